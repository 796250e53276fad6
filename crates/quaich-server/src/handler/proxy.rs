//! `upstream` and `proxy`: passes the exchange to a server that runs elsewhere.
//!
//! Bodies flow both ways with back-pressure: no more is read from one side than the other takes. A
//! response that breaks off is never made to look complete. A request is sent a second time only
//! when the first attempt cannot have had an effect.

mod attempts;
mod both_ways;
mod hash;
mod held;
mod request;
mod stay;
mod variables;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use quaich_config::model::{SendProxy, UpstreamProtocol};
use quaich_proto::h1::Version;

use self::attempts::{Attempts, connect};
use self::both_ways::{Ended, From, Sending, both_ways};
use self::held::Held;
use self::request::{Trails, request};
use self::stay::Stay;
use super::offered::{self, Protected};
use super::{replaced, tunnel, websocket};
use crate::downstream::service::Scope;
use crate::error::{Error, Kind, Side};
use crate::exchange::{Exchange, Origin};
use crate::observe::log;
use crate::route::Route;
use crate::upstream::announce::Ends;
use crate::upstream::endpoint::Want;
use crate::upstream::group::Outcome;
use crate::upstream::request::Request;
use crate::upstream::server::Server;
use crate::upstream::wire::{Conn, Download};
use crate::upstream::{Link, Upstream};

/// Passes the exchange of `scope` to a server of `upstream`.
pub async fn run(
    scope: &mut Scope<'_, '_>,
    route: &Route,
    upstream: &Upstream,
    protected: Option<&Protected>,
) -> Result<(), Error> {
    scope.body.look_ahead().await?;
    scope.exchange.notes.origin = Origin::Upstream;
    let stay = Stay::new(upstream, scope.exchange);
    let held = Held::hold(scope, upstream).await?;
    let length = held.length(scope.exchange.request.body);
    let mut request = request(scope, route, upstream, length);
    let params = upstream.settings().params;
    let timeout = route.timeout.unwrap_or(upstream.timeout());
    let want = Want {
        fresh: false,
        upgrade: request.protocol().is_some(),
        client: announced(scope, upstream),
    };
    let thread = scope.thread;
    let trails = Trails::of(scope);
    let mut attempts = Attempts::new(scope, &stay, want);
    loop {
        let mut link = connect(scope, &mut attempts).await?;
        scope.exchange.timings.mark_connected();
        note_server(scope, link.slot.server());
        stay.count(link.slot.server(), &scope.thread.counters);
        let may_repeat =
            scope.exchange.request.method.is_idempotent() && scope.body.whole_buffered().is_some();
        let server = link.slot.server();
        let from = From {
            server,
            stay: &stay,
            repeats: &|status| attempts.repeats(may_repeat, status, server),
            replaces: &|exchange| replaced::applies(thread, exchange),
            trails: &trails,
        };
        let protocol = server.settings().protocol;
        variables::prepare(scope, route, (protocol, params), &mut request);
        let ended = exchange(scope, &mut link.conn, (&request, &held), (&from, timeout)).await;
        advise(&ended, &link, &request);
        if let Some(outcome) = outcome(scope.exchange.response.status, link.kept, &ended) {
            upstream.group().report(link.slot.server(), outcome);
        }
        match ended {
            Ok(Ended::Reusable) => {
                link.conn.rest();
                upstream.keep(link);
                return Ok(());
            }
            Ok(Ended::Closed | Ended::Switched) => return Ok(()),
            Ok(Ended::Offered(offer, reusable)) => {
                match reusable {
                    true => {
                        link.conn.rest();
                        upstream.keep(link);
                    }
                    false => drop(link),
                }
                return Box::pin(offered::send(scope, protected, &offer, Side::Upstream)).await;
            }
            Ok(Ended::Replaced(reusable)) => {
                if reusable {
                    link.conn.rest();
                    upstream.keep(link);
                }
                return Err(replaced::error(thread, scope.exchange, Side::Upstream));
            }
            Ok(Ended::Unwanted) => attempts.after_answer(scope, &link),
            Err(failed) => attempts.after_failure(scope, &link, failed)?,
        }
    }
}

/// Whose request it is, for servers that want to know it of the connection.
fn announced(scope: &Scope<'_, '_>, upstream: &Upstream) -> Option<Ends> {
    if upstream.send_proxy() == SendProxy::Off {
        return None;
    }
    let client = &scope.exchange.client;
    let from = SocketAddr::new(client.addr?, client.port);
    Some((
        from,
        scope.local.unwrap_or(anywhere(from, scope.local_port)),
    ))
}

/// Where a client has connected to that came through a unix socket: nobody knows more than the port.
fn anywhere(client: SocketAddr, port: u16) -> SocketAddr {
    let ip = match client {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    SocketAddr::new(ip, port)
}

fn note_server(scope: &mut Scope<'_, '_>, server: &Server) {
    let note = &mut scope.exchange.notes.upstream;
    note.clear();
    note.push_str(server.name());
}

/// What an exchange over a connection, `kept` or new, says of its server. A client that left says
/// nothing, and neither does a kept connection that was closed before it was used.
fn outcome(status: u16, kept: bool, ended: &Result<Ended, Failed>) -> Option<Outcome> {
    match ended {
        Ok(_) => Some(Outcome::Answered(status)),
        Err(Failed { error, .. }) if error.side != Side::Upstream => None,
        Err(failed) if kept && failed.is_close_unanswered() => None,
        Err(_) => Some(Outcome::Failed),
    }
}

/// What a server may mean by closing without a word, or by an answer that is none.
fn advise(ended: &Result<Ended, Failed>, link: &Link, request: &Request) {
    /// Its `buffer-size`, unless it is told otherwise.
    const BUFFER_SIZE: usize = 4096;
    let Err(Failed { error, .. }) = ended else {
        return;
    };
    let server = link.slot.server();
    let protocol = server.settings().protocol;
    let size = request
        .variables(protocol)
        .map_or(0, |variables| variables.size() + variables.len() * 4);
    let closed = error.side == Side::Upstream && error.kind == Kind::UpstreamClosed;
    if closed && protocol == UpstreamProtocol::Uwsgi && size > BUFFER_SIZE {
        log::warn_limited!(
            "a server closed without an answer to {size} bytes of variables; uWSGI takes no more \
             than its `buffer-size`, which is {BUFFER_SIZE} unless it is set";
            server = server.name()
        );
        return;
    }
    let what = match error.kind {
        // Kept connections are closed at any time.
        Kind::UpstreamClosed if closed && !link.kept => "closed without an answer",
        Kind::BadResponse(_) => "gave an answer that breaks the protocol",
        _ => return,
    };
    let spoken = match protocol {
        UpstreamProtocol::Uwsgi => "uwsgi",
        UpstreamProtocol::FastCgi => "FastCGI",
        UpstreamProtocol::Scgi => "SCGI",
        UpstreamProtocol::H2c => "HTTP/2 without TLS",
        UpstreamProtocol::Http if server.settings().tls => "HTTP over TLS",
        UpstreamProtocol::Http | UpstreamProtocol::Tcp => "HTTP",
    };
    log::warn_limited!(
        "a server {what}: does it speak {spoken}, as the scheme of its URL says?";
        server = server.name()
    );
}

/// A failed attempt, and whether another one is safe.
struct Failed {
    error: Error,
    safe: bool,
    /// Nothing of an answer has come.
    unanswered: bool,
}

impl Failed {
    /// Nothing was sent.
    fn before_all(error: Error) -> Self {
        Self {
            error,
            safe: error.kind == Kind::UpstreamRefused,
            unanswered: true,
        }
    }

    /// The server has answered already.
    fn for_good(error: Error) -> Self {
        Self {
            error,
            safe: false,
            unanswered: false,
        }
    }

    /// Whether the connection was closed before an answer: one that was kept may have been old.
    fn is_close_unanswered(&self) -> bool {
        self.unanswered && self.error.kind == Kind::UpstreamClosed
    }
}

/// One attempt.
async fn exchange(
    scope: &mut Scope<'_, '_>,
    conn: &mut Conn,
    (request, held): (&Request, &Held),
    (from, timeout): (&From<'_>, Duration),
) -> Result<Ended, Failed> {
    let Scope {
        exchange,
        body,
        reply,
        ..
    } = scope;
    body.goes_to_stream(matches!(conn, Conn::Http2(_)));
    let whole = match held.is_some() {
        true => held.memory(),
        false => body.whole_buffered(),
    };
    let is_empty = whole.is_some_and(<[u8]>::is_empty);
    let begun = conn.begin(request, is_empty, timeout).await;
    let (mut up, mut down) = begun.map_err(Failed::before_all)?;
    let sending = match (up.head(request, whole).await, whole) {
        (Ok(()), None) => Ok(Sending::Rest),
        (Ok(()), Some(_)) => Ok(Sending::Done),
        // The server may have answered before it closed: read on.
        (Err(error), Some(_)) if error.kind == Kind::UpstreamClosed => Ok(Sending::Failed),
        (Err(error), _) => Err(error),
    };
    let outcome = match sending {
        Ok(sending) => {
            let client = (&mut **body, &mut **reply);
            let server = (&mut up, &mut down);
            let sending = (sending, held.file());
            both_ways(exchange, client, server, sending, from).await
        }
        Err(error) => Err(error),
    };
    match outcome {
        Ok(Ended::Reusable) => {
            body.finish_whole();
            Ok(match down.is_reusable() {
                true => Ended::Reusable,
                false => Ended::Closed,
            })
        }
        Ok(Ended::Offered(offer, reusable)) => {
            let _ = reusable.then(|| body.finish_whole());
            Ok(Ended::Offered(offer, reusable && down.is_reusable()))
        }
        Ok(Ended::Replaced(reusable)) => {
            let _ = reusable.then(|| body.finish_whole());
            Ok(Ended::Replaced(reusable && down.is_reusable()))
        }
        Ok(Ended::Switched) => {
            let over_http2 = matches!(down, Download::Http2(_));
            prove(exchange, request, over_http2).map_err(Failed::for_good)?;
            reply.begin_tunnel(exchange);
            // However it ends, both connections end with it.
            let _ = tunnel::run(body, reply, (&mut up, &mut down)).await;
            Ok(Ended::Closed)
        }
        Ok(ended @ (Ended::Closed | Ended::Unwanted)) => Ok(ended),
        Err(error) => {
            let unanswered = !down.has_begun() && !reply.has_begun();
            // A server may act on a head alone (RFC 9110 section 9.2.2) ...
            let harmless = match error.kind {
                Kind::UpstreamClosed | Kind::ResponseTimeout => {
                    exchange.request.method.is_idempotent()
                }
                Kind::UpstreamRefused => true,
                _ => false,
            };
            Err(Failed {
                error,
                // ... and a body of which a part is gone cannot be sent again.
                safe: harmless && unanswered && (held.is_some() || body.received() == 0),
                unanswered,
            })
        }
    }
}

/// The proof of a WebSocket handshake, where only one side has one.
fn prove(exchange: &mut Exchange, request: &Request, over_http2: bool) -> Result<(), Error> {
    let from_http2 = exchange.request.version == Version::Http2;
    if from_http2 == over_http2 {
        return Ok(());
    }
    let key = request
        .fields()
        .find(|(name, _)| name.eq_ignore_ascii_case(b"sec-websocket-key"));
    let proof = key.map(|(_, key)| websocket::accept(key));
    let headers = &mut exchange.response.headers;
    if from_http2 {
        return match headers.by_name(b"sec-websocket-accept") == proof.as_deref() {
            true => Ok(()),
            false => Err(Error::upstream(Kind::BadResponse("bad_websocket_accept"))),
        };
    }
    let fields = [
        (&b"Connection"[..], Some(&b"upgrade"[..])),
        (b"Upgrade", request.protocol()),
        (b"Sec-WebSocket-Accept", proof.as_deref()),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            headers.set(name, value).map_err(|_| Error::internal())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(error: Error, unanswered: bool) -> Result<Ended, Failed> {
        Err(Failed {
            error,
            safe: true,
            unanswered,
        })
    }

    #[test]
    fn only_what_a_server_did_says_something_of_it() {
        let closed = |unanswered| failed(Error::upstream(Kind::UpstreamClosed), unanswered);
        assert_eq!(
            outcome(204, true, &Ok(Ended::Reusable)),
            Some(Outcome::Answered(204))
        );
        assert_eq!(
            outcome(200, false, &failed(Error::CLIENT_GONE, false)),
            None
        );
        assert_eq!(outcome(0, true, &closed(true)), None, "it was old");
        assert_eq!(outcome(0, false, &closed(true)), Some(Outcome::Failed));
        assert_eq!(outcome(200, true, &closed(false)), Some(Outcome::Failed));
        let late = failed(Error::upstream(Kind::ResponseTimeout), true);
        assert_eq!(outcome(0, true, &late), Some(Outcome::Failed));
    }
}
