//! One loaded configuration, ready to run on one thread: routes, handlers, upstreams. Immutable.

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use quaich_config::model::{self, Action, Config};

use crate::deadline::Deadlines;
use crate::filter::compress::Eligible;
use crate::filter::{self, FilterTable};
use crate::handler::app::App;
use crate::handler::files::{FileHandler, OpenFileCache};
use crate::handler::offered::Protected;
use crate::handler::redirect::Redirect;
use crate::handler::respond::Respond;
use crate::handler::{Channel, End, Handler};
use crate::link::Secret;
use crate::observe::counters::Counters;
use crate::route::RouteTable;
use crate::upstream::Upstream;
use crate::upstream::group::Group;

/// A configuration on one thread.
pub struct Generation {
    /// Which route a request belongs to.
    pub routes: Arc<RouteTable>,
    /// What stands between clients and handlers.
    pub filters: FilterTable,
    /// What answers, by `Route::handler`.
    pub handlers: Vec<Handler>,
    /// Servers that run elsewhere, in configuration order.
    pub upstreams: Vec<Rc<Upstream>>,
    /// Channels of the apps, in configuration order.
    pub channels: Vec<Channel>,
    /// Open files of all routes.
    pub files: Rc<OpenFileCache>,
}

/// What a generation is built from, beside the configuration.
pub struct Parts {
    /// The route table, shared by all threads.
    pub routes: Arc<RouteTable>,
    /// What the threads share of filters.
    pub filters: Arc<filter::Shared>,
    /// What the threads share of each upstream.
    pub upstreams: Vec<Arc<Group>>,
    /// What the sticky cookies of each upstream are signed with.
    pub sticky_secrets: Arc<[Secret]>,
    /// A directory for each route with `files`, in order.
    pub roots: Vec<OwnedFd>,
    /// A directory for each route with `sendfile`, in order.
    pub protected: Vec<OwnedFd>,
    /// Channels of the apps, in configuration order.
    pub channels: Vec<Channel>,
    /// Of the thread.
    pub deadlines: Rc<Deadlines>,
    /// Of the thread.
    pub counters: Arc<Counters>,
}

impl Generation {
    /// Builds the handlers of every route.
    pub fn new(config: &Config, parts: Parts) -> Self {
        let (deadlines, counters) = (&parts.deadlines, &parts.counters);
        let secrets = parts.sticky_secrets.iter().map(Secret::bytes);
        let secrets = secrets.chain(std::iter::repeat(&[][..]));
        let upstreams = parts.upstreams.iter().zip(secrets);
        let upstreams: Vec<_> = upstreams
            .map(|(group, secret)| Rc::new(Upstream::new(group, secret, deadlines, counters)))
            .collect();
        let filters = FilterTable::new(&filter::Parts {
            config,
            shared: &parts.filters,
            upstreams: &upstreams,
        });
        let files = OpenFileCache::new(Default::default());
        let mut roots = parts.roots.into_iter();
        let mut protected = parts.protected.into_iter();
        let handlers = config
            .sites
            .iter()
            .flat_map(|site| &site.routes)
            .map(|route| Handler {
                files: route.files.as_ref().and_then(|settings| {
                    let handler = FileHandler::new(settings, roots.next()?, files.clone());
                    Some(handler.with_compressed(Eligible::new(&route.filters.compress)))
                }),
                protected: route.sendfile.as_ref().and_then(|settings| {
                    let compressed = Eligible::new(&route.filters.compress);
                    let root = protected.next()?;
                    Some(Protected::new(settings, root, files.clone(), compressed))
                }),
                end: end(route, config, &upstreams, &parts.channels),
            })
            .collect();
        Self {
            routes: parts.routes,
            filters,
            handlers,
            upstreams,
            channels: parts.channels,
            files,
        }
    }
}

fn end(
    route: &model::Route,
    config: &Config,
    upstreams: &[Rc<Upstream>],
    channels: &[Channel],
) -> End {
    match &route.action {
        Action::App(index) => match (config.apps.get(*index), channels.get(*index)) {
            (Some(settings), Some(channel)) => End::App(App::new(settings, channel.clone())),
            _ => End::Status(503),
        },
        Action::Upstream(index) => match upstreams.get(*index) {
            Some(upstream) => End::Upstream(upstream.clone()),
            None => End::Status(503),
        },
        Action::NotFound => End::NotFound,
        Action::Redirect { to, code } => End::Redirect(Redirect::new(to, *code)),
        Action::Respond {
            status,
            body,
            content_type,
        } => End::Respond(Respond::new(*status, body, content_type)),
        Action::Status(status) => End::Status(*status),
    }
}
