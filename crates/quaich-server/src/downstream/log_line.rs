//! What the access log is told of an exchange that has ended.

use quaich_proto::h1::Version;

use crate::clock::unix_millis;
use crate::exchange::Exchange;
use crate::observe::access_log::AccessLogger;
use crate::observe::record::{Record, Timings};
use crate::route::RouteTable;

/// Writes the line of `exchange`.
pub(super) fn write(log: &AccessLogger, exchange: &Exchange, routes: &RouteTable) {
    let (request, notes) = (&exchange.request, &exchange.notes);
    let app = if notes.by_app {
        notes.upstream.as_str()
    } else {
        ""
    };
    let server = if notes.by_app {
        ""
    } else {
        notes.upstream.as_str()
    };
    log.log(&Record {
        client: exchange.client.addr,
        remote_user: Some(&*exchange.identity.user).filter(|user| !user.is_empty()),
        unix_millis: unix_millis().saturating_sub(exchange.timings.total() / 1000),
        method: request.method_name(),
        target: request.target(),
        protocol: match request.version {
            Version::Http11 => "HTTP/1.1",
            Version::Http10 => "HTTP/1.0",
            Version::Http2 => "HTTP/2.0",
        },
        scheme: exchange.client.scheme(),
        status: notes.status,
        body_bytes: notes.body_bytes,
        sent_bytes: notes.sent_bytes,
        received_bytes: notes.received_bytes,
        host: request.authority(),
        headers: &request.headers,
        timings: timings(exchange),
        request_id: exchange.request_id.as_bytes(),
        site: routes.site_name(notes.site),
        route: routes.route_origin(notes.site, notes.route),
        app,
        upstream: routes.upstream_name(notes.site, notes.route),
        server,
        outcome: notes.failure,
        connection: exchange.connection,
        connection_request: exchange.connection_request,
        retries: notes.retries,
    });
}

fn timings(exchange: &Exchange) -> Timings {
    let moments = &exchange.timings;
    let between = |from: u64, to: u64| (from > 0 && to >= from).then(|| to - from);
    let waited = between(moments.start, moments.connected);
    let by_app = exchange.notes.by_app;
    let queued = between(moments.queued, moments.dequeued);
    let connect = |waited: u64| waited.saturating_sub(queued.unwrap_or(0));
    Timings {
        header: None,
        queue: if by_app { waited } else { queued },
        connect: waited.filter(|_| !by_app).map(connect),
        first_byte: between(moments.start, moments.first_byte),
        total: moments.total(),
    }
}
