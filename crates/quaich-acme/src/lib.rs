//! Certificates that quaich gets by itself: ACME orders (RFC 8555), the local development CA, and
//! OCSP answers to staple (RFC 6960).
//!
//! The supervisor talks to no certificate authority. It starts the **agent** ([`agent_main`]), a
//! process that makes one pass: it reads a [`Job`] from its standard input, does what is due,
//! writes [`Event`]s to its standard output, and exits. What it gets lies in the state directory,
//! which [`store::load`] reads.

mod agent;
mod clock;
mod error;
mod http;
pub mod local_ca;
mod ocsp;
mod order;
mod protocol;
pub mod store;
mod x509;

pub use agent::agent_main;
pub use error::{Error, Result};
pub use protocol::{Ack, Challenge, Event, Job, Level, OcspJob};
