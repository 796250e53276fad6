//! The client side: connections, the requests on them and the answers to these.
//!
//! `h1` and `h2` speak the two protocols; [`body`] and [`reply`] are what handlers see of both
//! ([`wire`] is what filters leave of the second), and
//! [`service`] has the steps of one exchange, the same for both. [`tcp`] knows no requests.

pub mod body;
pub mod cgi;
pub mod connection;
mod h1;
mod h2;
mod held;
mod log_line;
mod output;
pub mod reply;
pub mod service;
mod source;
pub mod standard;
pub mod tcp;
pub mod wire;
