//! What stands between a client and the handler of its route. One file or folder a capability; no
//! filter knows another.
//!
//! A request passes them in this order, a route that it was sent on to included:
//!
//! | step | filter |
//! |---|---|
//! | before the route is known | `patch`, `maintenance` |
//! | who may ask | `limit`, `cors` (preflight), `auth` |
//! | what is asked | `rewrite`, `headers` |
//!
//! A response passes, just before its head is written: `mount`, `expires`, `headers`, `security`,
//! `cors`, `compress`. Error answers are rendered with `error_pages` first and then pass all of them.

mod auth;
pub mod compress;
mod cors;
mod error_pages;
mod expires;
mod headers;
pub mod limit;
mod maintenance;
mod mount;
pub mod patch;
mod rewrite;
mod security;
pub mod stage;
pub mod texts;

use std::rc::Rc;
use std::sync::Arc;

use quaich_config::model::{self, Config};
use quaich_proto::h1::BodyLength;

use crate::downstream::service::Scope;
use crate::error::Error;
use crate::exchange::{Exchange, Origin};
use crate::thread::Thread;
use crate::upstream::Upstream;
use stage::Stage;
use texts::Texts;

/// What a filter says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It goes on.
    Pass,
    /// It has its answer.
    Answered,
    /// It has another path now: the route is to be looked for again.
    Reroute,
}

/// What the threads share.
#[derive(Default)]
pub struct Shared {
    /// Files that the supervisor read.
    pub texts: Texts,
    /// Of `limit`.
    pub limits: limit::Store,
    /// Of `quaich patch`.
    pub patches: patch::Board,
}

/// What filters are made of.
pub struct Parts<'p> {
    /// All of it.
    pub config: &'p Config,
    /// What the threads share.
    pub shared: &'p Arc<Shared>,
    /// Of this thread, in configuration order.
    pub upstreams: &'p [Rc<Upstream>],
}

/// The filters of all sites and routes, on one thread.
pub struct FilterTable {
    shared: Arc<Shared>,
    sites: Vec<SiteFilters>,
}

struct SiteFilters {
    /// For requests that no route takes.
    own: Filters,
    routes: Vec<Filters>,
}

/// The filters of one route.
struct Filters {
    maintenance: Option<maintenance::Maintenance>,
    limits: Option<limit::Limits>,
    cors: Option<cors::Cors>,
    access: Option<auth::Access>,
    rewrite: Option<rewrite::Rewrite>,
    mount: Option<mount::Mount>,
    headers: Option<headers::Headers>,
    security: Option<security::Security>,
    expires: Option<expires::Expires>,
    compress: Option<compress::Compress>,
    error_pages: Option<error_pages::ErrorPages>,
}

impl FilterTable {
    /// Compiles those of `parts.config`.
    pub fn new(parts: &Parts<'_>) -> Self {
        let site = |site: &model::Site| SiteFilters {
            own: Filters::new(&site.filters, None, parts),
            routes: site
                .routes
                .iter()
                .map(|route| Filters::new(&route.filters, Some(route), parts))
                .collect(),
        };
        Self {
            shared: parts.shared.clone(),
            sites: parts.config.sites.iter().map(site).collect(),
        }
    }

    /// Those that hold for an exchange as far as it has come; `None` before its site is known.
    fn of(&self, exchange: &Exchange) -> Option<&Filters> {
        let site = self.sites.get(exchange.notes.site?)?;
        match exchange.notes.route {
            Some(route) => site.routes.get(route),
            None => Some(&site.own),
        }
    }
}

impl Filters {
    fn new(settings: &model::Filters, route: Option<&model::Route>, parts: &Parts<'_>) -> Self {
        Self {
            maintenance: maintenance::Maintenance::new(&settings.maintenance, parts),
            limits: limit::Limits::new(&settings.limit, parts),
            cors: cors::Cors::new(&settings.cors, parts),
            access: auth::Access::new(&settings.auth, parts),
            rewrite: rewrite::Rewrite::new(&settings.rewrite, parts),
            mount: route.and_then(|route| mount::Mount::new(route, parts)),
            headers: headers::Headers::new(&settings.headers, parts),
            security: security::Security::new(&settings.security, parts),
            expires: expires::Expires::new(&settings.expires, parts),
            compress: compress::Compress::new(&settings.compress, parts),
            error_pages: error_pages::ErrorPages::new(&settings.error_pages, parts),
        }
    }

    /// Whether a response may leave otherwise than its handler gave it, for another reason than its
    /// coding.
    fn dresses(&self) -> bool {
        self.mount.is_some()
            || self.headers.is_some()
            || self.security.is_some()
            || self.expires.is_some()
            || self.cors.is_some()
    }

    async fn request(&self, scope: &mut Scope<'_, '_>) -> Result<Flow, Error> {
        /// Goes on only when the filter lets it.
        macro_rules! pass {
            ($filter:expr) => {
                if let Some(filter) = &$filter {
                    let flow = filter.request(scope).await?;
                    if flow != Flow::Pass {
                        return Ok(flow);
                    }
                }
            };
        }
        pass!(self.limits);
        pass!(self.cors);
        pass!(self.access);
        pass!(self.rewrite);
        pass!(self.headers);
        Ok(Flow::Pass)
    }
}

/// Asks the filters that do not depend on the route. The site of the exchange is known.
pub async fn before_route(scope: &mut Scope<'_, '_>) -> Result<Flow, Error> {
    let table = &scope.thread.generation.filters;
    if !table.shared.patches.is_empty() {
        let flow = table.shared.patches.request(scope).await?;
        if flow != Flow::Pass {
            return Ok(flow);
        }
    }
    let filters = table.of(scope.exchange);
    match filters.and_then(|filters| filters.maintenance.as_ref()) {
        Some(maintenance) => maintenance.request(scope).await,
        None => Ok(Flow::Pass),
    }
}

/// Asks the filters of the route of the exchange.
pub async fn request(scope: &mut Scope<'_, '_>) -> Result<Flow, Error> {
    match scope.thread.generation.filters.of(scope.exchange) {
        Some(filters) => filters.request(scope).await,
        None => Ok(Flow::Pass),
    }
}

/// Whether a response with header lines that are rendered already, and a body of `length` bytes, may
/// leave otherwise than its handler gave it.
pub fn dresses_rendered(
    thread: &Thread,
    exchange: &Exchange,
    (lines, length): (&[u8], u64),
) -> bool {
    let filters = thread.generation.filters.of(exchange);
    let compresses = |filters: &Filters| {
        let compress = filters.compress.as_ref();
        compress.is_some_and(|compress| compress.changes_rendered(exchange, lines, length))
    };
    !exchange.additions.is_empty()
        || filters.is_some_and(|filters| filters.dresses() || compresses(filters))
}

/// Changes `exchange.response` as the filters of its route say: the length of its body then, and what
/// the body passes on its way.
pub fn response(
    thread: &Thread,
    exchange: &mut Exchange,
    length: BodyLength,
) -> (BodyLength, Option<Box<Stage>>) {
    let (mut length, mut stage) = (length, None);
    if let Some(filters) = thread.generation.filters.of(exchange) {
        if let Some(mount) = &filters.mount
            && matches!(exchange.notes.origin, Origin::App | Origin::Upstream)
        {
            mount.response(exchange);
        }
        if let Some(expires) = &filters.expires {
            expires.response(exchange);
        }
        if let Some(headers) = &filters.headers {
            headers.response(exchange);
        }
        if let Some(security) = &filters.security {
            security.response(exchange);
        }
        if let Some(cors) = &filters.cors {
            cors.response(exchange);
        }
        if let Some(compress) = &filters.compress {
            (length, stage) = compress.response(thread, exchange, length);
        }
    }
    for (_, name, value) in exchange.additions.iter() {
        // It was valid there.
        let _ = exchange.response.headers.push(name, value);
    }
    (length, stage)
}

/// Appends the page that the route or site of the exchange has for `status` to `out` and returns its
/// `Content-Type`.
pub fn error_page<'t>(
    thread: &'t Thread,
    exchange: &Exchange,
    (out, status): (&mut Vec<u8>, u16),
) -> Option<&'t str> {
    let filters = thread.generation.filters.of(exchange)?;
    filters.error_pages.as_ref()?.render(out, exchange, status)
}

/// Whether an answer of an app or upstream with `status` is replaced by the page for it.
pub fn replaces(thread: &Thread, exchange: &Exchange, status: u16) -> bool {
    let filters = thread.generation.filters.of(exchange);
    let pages = filters.and_then(|filters| filters.error_pages.as_ref());
    pages.is_some_and(|pages| pages.replaces(status))
}
