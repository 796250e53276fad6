//! What stands between a client and the handler of its route. One file or folder a capability; no
//! filter knows another.
//!
//! A request passes them in this order, a route that it was sent on to included:
//!
//! | step | filter |
//! |---|---|
//! | before the route is known | `patch` |
//! | where it is asked, as the client wrote it: once | `canonical` |
//! | who may ask | `maintenance`, `limit`, `cors` (preflight), `auth`, `limit` by user |
//! | what is asked | `rewrite`, `headers` |
//!
//! What a response passes is in `dressing`. Error answers are rendered with `error_pages` first and
//! then pass all of it.

pub mod auth;
mod canonical;
pub mod compress;
mod cors;
mod dressing;
pub mod error_pages;
mod expires;
mod headers;
pub mod limit;
pub mod maintenance;
mod mount;
pub mod pages;
pub mod patch;
mod rewrite;
mod security;
pub mod stage;
pub mod texts;
mod vary;

use std::rc::Rc;
use std::sync::Arc;

use quaich_config::model::{self, Config};

use crate::downstream::service::Scope;
use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::thread::Thread;
use crate::upstream::Upstream;
pub use dressing::{adopt, agreement, before_answer, dresses_rendered, foreign, response};
use error_pages::Shown;
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
    /// Of `auth`.
    pub passwords: auth::Passwords,
    /// Of `limit`.
    pub limits: limit::Store,
    /// Of `quaich patch`.
    pub patches: patch::Board,
    /// Of `maintenance`.
    pub maintenance: maintenance::Board,
    /// Pages made of texts.
    pub pages: pages::Compiled,
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
    claims: auth::Claims,
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
    canonical: Option<canonical::Canonical>,
    limits: Option<limit::Limits>,
    user_limits: Option<limit::Limits>,
    cors: Option<cors::Cors>,
    access: Option<auth::Access>,
    rewrite: Option<rewrite::Rewrite>,
    mount: Option<mount::Mount>,
    headers: Option<headers::Headers>,
    security: Option<security::Security>,
    expires: Option<expires::Expires>,
    compress: Option<compress::Compress>,
    error_pages: Option<error_pages::ErrorPages>,
    /// Whether nobody is told which software apps and upstreams run on.
    hides_versions: bool,
}

impl FilterTable {
    /// Compiles those of `parts.config`.
    pub fn new(parts: &Parts<'_>) -> Self {
        let site = |(index, site): (usize, &model::Site)| SiteFilters {
            own: Filters::new((index, &site.filters), None, parts),
            routes: site
                .routes
                .iter()
                .map(|route| Filters::new((index, &route.filters), Some(route), parts))
                .collect(),
        };
        Self {
            shared: parts.shared.clone(),
            claims: auth::Claims::new(parts.config),
            sites: parts.config.sites.iter().enumerate().map(site).collect(),
        }
    }

    /// Looks at what is to be looked at now and then.
    pub fn tend(&self) {
        self.shared.limits.tend();
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
    fn new(
        (site, settings): (usize, &model::Filters),
        route: Option<&model::Route>,
        parts: &Parts<'_>,
    ) -> Self {
        Self {
            maintenance: maintenance::Maintenance::new(site, &settings.maintenance, parts),
            canonical: canonical::Canonical::new(&settings.rewrite, route),
            limits: limit::Limits::new(&settings.limit, limit::Turn::BeforeAuth, parts),
            user_limits: limit::Limits::new(&settings.limit, limit::Turn::AfterAuth, parts),
            cors: cors::Cors::new(&settings.cors, parts),
            access: auth::Access::new(&settings.auth, parts),
            rewrite: rewrite::Rewrite::new(&settings.rewrite, parts),
            mount: route.and_then(|route| mount::Mount::new(route, parts)),
            headers: headers::Headers::new(&settings.headers, parts),
            security: security::Security::new(&settings.security, parts),
            expires: expires::Expires::new(&settings.expires, parts),
            compress: compress::Compress::new(&settings.compress, parts),
            error_pages: error_pages::ErrorPages::new(&settings.error_pages, parts),
            hides_versions: !settings.headers.show_versions,
        }
    }

    async fn request(&self, scope: &mut Scope<'_, '_>, first: bool) -> Result<Flow, Error> {
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
            // Those that may have much to wait for do not make every request larger.
            (boxed $filter:expr) => {
                if let Some(filter) = &$filter {
                    let flow = Box::pin(filter.request(scope)).await?;
                    if flow != Flow::Pass {
                        return Ok(flow);
                    }
                }
            };
        }
        // What a rewrite has made is nothing that a client may be sent to.
        if first {
            pass!(boxed self.canonical);
        }
        if let Some(maintenance) = &self.maintenance {
            maintenance.request(scope)?;
        }
        pass!(self.limits);
        pass!(boxed self.cors);
        pass!(boxed self.access);
        pass!(self.user_limits);
        pass!(self.rewrite);
        pass!(self.headers);
        Ok(Flow::Pass)
    }
}

/// Takes from the request what only `auth` may say. Before anything looks at its fields but `patch`.
pub fn disclaim(scope: &mut Scope<'_, '_>) {
    let claims = &scope.thread.generation.filters.claims;
    claims.drop_from(&mut scope.exchange.request.headers);
}

/// Whether only `auth` may say what a field of this name says.
pub fn is_claim(thread: &Thread, name: &[u8]) -> bool {
    thread.generation.filters.claims.holds(name)
}

/// Asks the rules that the operator has put in while quaich runs. Nothing of where the request goes
/// is known yet.
pub async fn patched(scope: &mut Scope<'_, '_>) -> Result<(), Error> {
    let patches = &scope.thread.generation.filters.shared.patches;
    match patches.is_empty() {
        true => Ok(()),
        false => Box::pin(patches.request(scope)).await,
    }
}

/// What becomes of a request that no route takes, which is why it has come to `error`: a site that is
/// closed says that first.
pub fn unrouted(scope: &mut Scope<'_, '_>, error: Error) -> Error {
    let filters = scope.thread.generation.filters.of(scope.exchange);
    let maintenance = filters.and_then(|filters| filters.maintenance.as_ref());
    let closed = maintenance.and_then(|maintenance| maintenance.request(scope).err());
    closed.unwrap_or(error)
}

/// Asks the filters of the route of the exchange, `first` of all or after another has sent it on.
pub async fn request(scope: &mut Scope<'_, '_>, first: bool) -> Result<Flow, Error> {
    // Who came in to a route that has sent the request on has not come in to this one.
    if scope.exchange.identity.checked {
        scope.exchange.identity.clear();
    }
    match scope.thread.generation.filters.of(scope.exchange) {
        Some(filters) => filters.request(scope, first).await,
        None => Ok(Flow::Pass),
    }
}

/// Appends the page that the route or site of the exchange has for `exchange.response.status` to
/// `out`, and what it is sent with. `kind` is what led to it.
pub fn error_page(
    thread: &Thread,
    exchange: &Exchange,
    (out, kind): (&mut Vec<u8>, Kind),
) -> Option<Shown> {
    let filters = thread.generation.filters.of(exchange)?;
    if kind == Kind::Maintenance
        && let Some(maintenance) = &filters.maintenance
        && let Some(shown) = maintenance.render(out, exchange)
    {
        thread.counters.error_pages.add();
        return Some(shown);
    }
    let shown = filters.error_pages.as_ref()?.render(out, exchange)?;
    thread.counters.error_pages.add();
    Some(shown)
}

/// Whether an answer of an app or upstream with `status` is replaced by the page for it.
pub fn replaces(thread: &Thread, exchange: &Exchange, status: u16) -> bool {
    let filters = thread.generation.filters.of(exchange);
    let pages = filters.and_then(|filters| filters.error_pages.as_ref());
    pages.is_some_and(|pages| pages.replaces(status))
}
