//! The end of a route: what answers.

pub mod acme_challenge;
pub mod app;
pub mod files;
mod gateway;
pub mod https_redirect;
pub mod offered;
pub mod proxy;
pub mod redirect;
mod replaced;
pub mod respond;
mod send_file;
mod tunnel;
mod websocket;

use std::rc::Rc;

use quaich_proto::h1::Version;

use crate::downstream::service::Scope;
use crate::error::{Error, Kind};
use crate::route::Route;
use crate::upstream::Upstream;
use crate::upstream::wire::worker::AppChannel;

/// What answers on one route, ready to run. One per route and thread.
pub struct Handler {
    /// Tried first.
    pub files: Option<files::FileHandler>,
    /// What the end may have sent in place of its answer.
    pub protected: Option<offered::Protected>,
    /// Else this.
    pub end: End,
}

/// What answers when no file does.
pub enum End {
    /// A Python app.
    App(app::App),
    /// Servers that run elsewhere.
    Upstream(Rc<Upstream>),
    /// A fixed response.
    Respond(respond::Respond),
    /// Another URL.
    Redirect(redirect::Redirect),
    /// An error page.
    Status(u16),
    /// There were only files.
    NotFound,
}

/// The channel of an app, shared by its routes.
pub type Channel = Rc<AppChannel>;

/// Answers the request of `scope` as `route` says.
pub async fn run(scope: &mut Scope<'_, '_>, route: &Route) -> Result<(), Error> {
    let generation = scope.thread.generation.clone();
    let Some(handler) = generation.handlers.get(route.handler) else {
        return Err(Error::internal());
    };
    if let Some(files) = handler.files.as_ref().filter(|_| !wants_tunnel(scope))
        && send_file::run(scope, route, files, !matches!(handler.end, End::NotFound)).await?
    {
        return Ok(());
    }
    if wants_tunnel(scope) && !matches!(handler.end, End::Upstream(_)) {
        // The answer of anything else would be taken for the tunnel (RFC 8441 section 5).
        return Err(Error::downstream(Kind::Rejected(501, "no_tunnel")));
    }
    let protected = handler.protected.as_ref();
    match &handler.end {
        End::App(app) => app::run(scope, route, app, protected).await,
        End::Upstream(upstream) => {
            let request = &scope.exchange.request;
            let own = upstream.for_request(request.authority(), request.path());
            proxy::run(scope, route, own.as_ref().unwrap_or(upstream), protected).await
        }
        End::Respond(respond) => respond::run(scope, respond).await,
        End::Redirect(redirect) => redirect::run(scope, redirect).await,
        End::Status(status) => Err(Error::downstream(Kind::Status(*status))),
        End::NotFound => Err(Error::downstream(Kind::NotFound)),
    }
}

/// Whether the request is an extended CONNECT.
fn wants_tunnel(scope: &Scope<'_, '_>) -> bool {
    let request = &scope.exchange.request;
    request.upgrade && request.version == Version::Http2
}
