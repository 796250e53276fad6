//! `canonical_host` and `slash`: one URL for one thing, others are redirected to it.
//!
//! Redirects lead to the host that was asked for or the one of the configuration, and to the path in
//! its normal form: nobody can be sent elsewhere by a link.

use quaich_config::model::{self, Slash};
use quaich_proto::headers::HeaderId;
use quaich_proto::method::Method;

use super::Flow;
use crate::downstream::service::{Scope, bodyless};
use crate::error::Error;
use crate::exchange::Exchange;
use crate::route::secure::https_code;

/// Of one route.
pub(super) struct Canonical {
    host: Option<Vec<u8>>,
    slash: Slash,
    /// Where an app is mounted, percent-decoded; empty = nowhere.
    mount: Vec<u8>,
}

impl Canonical {
    /// `None` when there is nothing to do.
    pub(super) fn new(settings: &model::Rewrite, route: Option<&model::Route>) -> Option<Self> {
        let host = settings.canonical_host.clone().map(String::into_bytes);
        let slash = settings.slash;
        let mount = route.map(|route| route.prefix.clone().into_bytes());
        (host.is_some() || slash != Slash::Off).then(|| Self {
            host,
            slash,
            mount: mount.unwrap_or_default(),
        })
    }

    pub(super) async fn request(&self, scope: &mut Scope<'_, '_>) -> Result<Flow, Error> {
        let exchange = &*scope.exchange;
        let host = self.host.as_deref();
        let request = &exchange.request;
        // A client of HTTP/1.0 that names no host has found us anyway.
        let host = host.filter(|host| !request.host().is_empty() && request.host() != *host);
        let path = match self.is_root_of_app(request.path_decoded()) {
            true => None,
            false => other_path(self.slash, request.path(), request.method),
        };
        if host.is_none() && path.is_none() {
            return Ok(Flow::Pass);
        }
        let public = scope.thread.trust.public(
            &exchange.client,
            &request.headers,
            request.authority(),
            scope.local_port,
        );
        let mut to = Vec::with_capacity(128);
        if let Some(host) = host {
            origin(&mut to, exchange, host);
        }
        to.extend_from_slice(public.prefix);
        to.extend_from_slice(path.as_deref().unwrap_or(request.path()));
        if request.has_query() {
            to.push(b'?');
            to.extend_from_slice(request.query());
        }
        let code = https_code(request.method);
        let response = &mut scope.exchange.response;
        response.status = code;
        // Host, path and query are valid; the prefix was checked with the request.
        let pushed = response.headers.push_known(HeaderId::Location, &to);
        pushed.map_err(|_| Error::internal())?;
        scope.thread.counters.canonical_redirects.add();
        bodyless(scope).await?;
        Ok(Flow::Answered)
    }
}

impl Canonical {
    /// Whether this is the root of a mounted app, whose slash stays: frameworks redirect to it when it
    /// is not there, and clients would go to and fro for ever.
    fn is_root_of_app(&self, path: &[u8]) -> bool {
        self.slash == Slash::Remove
            && !self.mount.is_empty()
            && path.strip_suffix(b"/") == Some(&self.mount[..])
    }
}

/// The scheme, and the port that the client named, stay.
fn origin(to: &mut Vec<u8>, exchange: &Exchange, host: &[u8]) {
    to.extend_from_slice(exchange.client.scheme().as_bytes());
    to.extend_from_slice(b"://");
    to.extend_from_slice(host);
    let usual = if exchange.client.https { 443 } else { 80 };
    if let Some(port) = exchange.request.port().filter(|&port| port != usual) {
        to.extend_from_slice(format!(":{port}").as_bytes());
    }
}

/// The path with or without a slash at its end; `None` where it is right. Nobody asks for a page with
/// OPTIONS, and browsers follow no redirect of a preflight.
fn other_path(slash: Slash, path: &[u8], method: Method) -> Option<Vec<u8>> {
    if method == Method::Options {
        return None;
    }
    match (slash, path.strip_suffix(b"/")) {
        (Slash::Add, None) => {
            let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
            (!name.contains(&b'.')).then(|| [path, b"/"].concat())
        }
        (Slash::Remove, Some(without)) if !without.is_empty() => Some(without.to_vec()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_get_or_lose_the_slash_at_their_end() {
        for (slash, path, expected) in [
            (Slash::Add, "/a", Some("/a/")),
            (Slash::Add, "/a/", None),
            (Slash::Add, "/", None),
            (Slash::Add, "/v1.2/a", Some("/v1.2/a/")),
            (Slash::Add, "/a/logo.png", None),
            (Slash::Add, "/.well-known", None),
            (Slash::Remove, "/a/", Some("/a")),
            (Slash::Remove, "/a", None),
            (Slash::Remove, "/", None),
            (Slash::Off, "/a", None),
        ] {
            let other = other_path(slash, path.as_bytes(), Method::Get);
            assert_eq!(other.as_deref(), expected.map(str::as_bytes), "{path}");
            assert_eq!(other_path(slash, path.as_bytes(), Method::Options), None);
        }
    }
}
