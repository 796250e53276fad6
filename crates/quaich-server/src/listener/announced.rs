//! What a proxy says of its client before the client's own bytes: the PROXY protocol. Called by `entry`
//! where the listener takes it and the peer is trusted.

use std::future::poll_fn;
use std::net::SocketAddr;

use quaich_proto::proxy_protocol::{self as codec, MAX_V2, Source, Step};

use crate::buffer::Buffer;
use crate::deadline::Expired;
use crate::observe::log;
use crate::socket::Socket;
use crate::thread::Thread;

/// What a proxy has said.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    /// The client, and what it has connected to; `None` = the connection says that itself.
    pub(super) ends: Option<(SocketAddr, SocketAddr)>,
    /// Whether the client speaks TLS with the proxy.
    pub(super) tls: bool,
}

/// Takes the header off the front of a connection. `None`: the connection is of no use, which was
/// counted; or the thread drains and nothing has come.
pub(super) async fn receive(
    socket: &Socket,
    thread: &Thread,
    peer: Option<SocketAddr>,
    must: bool,
) -> Option<Told> {
    let told = tokio::select! {
        biased;
        told = Box::pin(read(socket, thread, must)) => told,
        () = thread.drain_started() => return None,
    };
    match told {
        Ok(told) => Some(told),
        Err(why) => {
            thread.counters.proxy_refused.add();
            log::debug!("no PROXY protocol header: {why}"; client = name(peer));
            None
        }
    }
}

/// Notes that a peer wanted to be served where only trusted ones may.
pub(super) fn refuse_stranger(thread: &Thread, peer: Option<SocketAddr>) {
    thread.counters.proxy_refused.add();
    log::warn_limited!(
        "a connection was closed: `proxy_protocol = \"require\"` serves the peers in `trust` only";
        client = name(peer)
    );
}

fn name(peer: Option<SocketAddr>) -> String {
    peer.map_or_else(
        || "unix".to_owned(),
        |peer| peer.ip().to_canonical().to_string(),
    )
}

/// Looks at what comes until it is a header or cannot be one, and leaves what is none.
async fn read(socket: &Socket, thread: &Thread, must: bool) -> Result<Told, &'static str> {
    let deadline = thread.deadlines.register();
    deadline.set(thread.settings.header_timeout);
    let mut buffer = Buffer::lend();
    let room = buffer.room();
    let room = match room.len() {
        0..=MAX_V2 => room,
        _ => room.split_at_mut(MAX_V2).0,
    };
    let mut known = 0;
    loop {
        let peeked = deadline.guard(poll_fn(|cx| socket.poll_peek(cx, room, known)));
        let count = match peeked.await {
            Err(Expired) => return Err("too_late"),
            Ok(Err(_)) => return Err("client_gone"),
            Ok(Ok(count)) => count,
        };
        let seen = room.get(..count).unwrap_or_default();
        match codec::decode(seen).map_err(codec::Malformed::label)? {
            Step::NeedMore if count <= known => return Err("client_gone"),
            Step::NeedMore => known = count,
            Step::Absent if must => return Err("missing"),
            Step::Absent => return Ok(Told::default()),
            Step::Done { header, length } => {
                take(socket, room.split_at_mut(length.min(MAX_V2)).0).await?;
                let ends = match header.source {
                    Source::Client { from, to } => Some((from, to)),
                    Source::Connection => None,
                };
                let tls = header.tls.unwrap_or(false);
                return Ok(Told { ends, tls });
            }
        }
    }
}

/// Takes as many bytes as `room` has, which have come already.
async fn take(socket: &Socket, mut room: &mut [u8]) -> Result<(), &'static str> {
    while !room.is_empty() {
        match socket.read(room).await {
            Ok(count @ 1..) => room = room.split_at_mut(count).1,
            Ok(0) | Err(_) => return Err("client_gone"),
        }
    }
    Ok(())
}
