//! Development only: starts quaich, origins and Python apps as real processes on real sockets.
//!
//! The whole-program tests and the example tests call it. It never sleeps to synchronise: every
//! wait is for an event (bytes, an end of file, a log line, a readiness message) with a deadline,
//! and every failed wait shows what both sides saw.

mod certificates;
mod client;
mod gate;
pub mod h2;
mod origin;
mod pebble;
mod peer;
mod process;
mod python;
mod quaich;
mod response;
mod site;
mod stream;
mod tls;
mod transport;
mod websocket;

pub use certificates::{Ca, Leaf};
pub use client::RawClient;
pub use gate::Gate;
pub use origin::{Conversation, End, Origin, OriginRequest};
pub use pebble::{Pebble, PebbleOptions, requires_pebble};
pub use peer::Peer;
pub use process::{Finished, LogLines, children, process_exists, resident_memory};
pub use python::{python, requires_python};
pub use quaich::{Quaich, QuaichCommand, binary};
pub use response::{Framing, Response};
pub use rustix::process::Signal;
pub use site::TempSite;
pub use tls::{Handshake, TlsClient};
pub use transport::{Answer, Caller, Request, Transport};
pub use websocket::websocket_accept;

use std::time::{Duration, Instant};

/// How long a test waits for any one event before it fails. Generous: it is never slept through.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `ready` returns a value, looking again whenever the scheduler lets us.
///
/// Only for states that have no event to wait on (the process table, `/proc`).
///
/// # Panics
/// When `PATIENCE` is over; the message names `what`.
pub fn eventually<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(
            Instant::now() < deadline,
            "waited {PATIENCE:?} in vain: {what}"
        );
        std::thread::park_timeout(Duration::from_millis(2));
    }
}
