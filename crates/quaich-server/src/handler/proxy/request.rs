//! The request that servers get.

use quaich_proto::h1::{self, BodyLength, Connection, Version};
use quaich_proto::headers::{HeaderId, Headers};

use crate::downstream::service::Scope;
use crate::filter;
use crate::forwarded;
use crate::handler::websocket;
use crate::route::{Route, strip_mount};
use crate::thread::Thread;
use crate::upstream::Upstream;
use crate::upstream::request::Request;
use crate::upstream::sticky::Sticky;

/// The request for the server: the client's, without what belongs to the client's connection, with
/// the fields that say who asked, and with a body of this length.
pub(super) fn request(
    scope: &Scope<'_, '_>,
    route: &Route,
    upstream: &Upstream,
    body: BodyLength,
) -> Request {
    let exchange = &*scope.exchange;
    let from = &exchange.request;
    let path = match strip_mount(from.path(), &route.mount) {
        Some(b"") => b"/",
        Some(rest) => rest,
        None => from.path(),
    };
    let query = from.has_query().then(|| from.query());
    let method = (from.method, from.method_name());
    let mut request = Request::new(method, path, query, exchange.outgoing_authority());
    let (fields, trusted) = exchange.outgoing();
    let listed = Connection::of(&from.headers);
    let asked = exchange
        .session
        .as_ref()
        .is_some_and(|session| session.asked);
    let protocol = from.headers.get(HeaderId::Upgrade);
    let protocol = protocol.filter(|_| from.upgrade);
    // In HTTP/2 there is none (RFC 8441 section 5): it is made for servers of HTTP/1.
    let key = (protocol.is_some() && from.version == Version::Http2).then(websocket::key);
    for (id, name, value) in fields.iter() {
        let ours = matches!(
            id,
            HeaderId::Host | HeaderId::ContentLength | HeaderId::Expect | HeaderId::XRequestId
        );
        if !(ours
            || h1::is_hop_by_hop(id)
            || is_for_proxy(id, name)
            || !exchange.is_edited && (listed.names(name) || exchange.identity.hides(id, value))
            || key.is_some() && name.eq_ignore_ascii_case(b"sec-websocket-key")
            || forwarded::is_dropped(id, name, trusted)
            || asked && forwarded::is_certificate(name))
        {
            match upstream.sticky().filter(|_| id == HeaderId::Cookie) {
                Some(sticky) => cookie(&mut request, name, value, sticky),
                None => request.field(name, value),
            }
        }
    }
    for (_, name, value) in exchange.identity.fields.iter() {
        request.field(name, value);
    }
    if let Some(key) = &key {
        request.field(b"Sec-WebSocket-Key", key);
    }
    let (client, authority) = (&exchange.client, from.authority());
    let public = scope
        .thread
        .trust
        .public(client, &from.headers, authority, scope.local_port);
    let lines = request.lines();
    forwarded::append(lines, &from.headers, client, &public, &route.mount);
    for (name, value) in exchange.session.iter().flat_map(|session| session.fields()) {
        request.field(name.as_bytes(), value.as_bytes());
    }
    request.field(b"X-Request-ID", exchange.request_id.as_bytes());
    if from.accepts_trailers() {
        request.accept_trailers();
    }
    if protocol.is_none() && upstream.group().settings().keepalive == 0 {
        request.close_after();
    }
    request.end(body, protocol);
    request
}

/// What the trailers of a request may say: no more than its fields.
pub(super) struct Trails<'t> {
    thread: &'t Thread,
    trusted: bool,
    /// The client was asked for a certificate.
    asked: bool,
}

impl<'t> Trails<'t> {
    pub(super) fn of(scope: &Scope<'t, '_>) -> Self {
        let session = scope.exchange.session.as_ref();
        Self {
            thread: scope.thread,
            trusted: scope.exchange.client.trusted,
            asked: session.is_some_and(|session| session.asked),
        }
    }

    /// Those of `trailers` that a server gets: it may join them with the fields.
    pub(super) fn told(&self, trailers: &Headers) -> Headers {
        let mut told = trailers.clone();
        told.retain(|id, name, _| {
            !(filter::is_claim(self.thread, name)
                || forwarded::is_dropped(id, name, self.trusted)
                || self.asked && forwarded::is_certificate(name)
                || is_for_proxy(id, name))
        });
        told
    }
}

/// Cookies are passed on without that of quaich.
fn cookie(request: &mut Request, name: &[u8], value: &[u8], sticky: &Sticky) {
    match sticky.cookie_for_server(value) {
        None => request.field(name, value),
        Some(edited) if edited.is_empty() => {}
        Some(edited) => request.field(name, &edited),
    }
}

/// `Proxy-Authorization` is for the first proxy that asks for it (RFC 9110 section 11.7.2), and none
/// behind this one did.
fn is_for_proxy(id: HeaderId, name: &[u8]) -> bool {
    id == HeaderId::Other && name.eq_ignore_ascii_case(b"proxy-authorization")
}
