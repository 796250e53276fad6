//! The client side: connections, the requests on them and the answers to these.

pub mod connection;
pub mod inbound;
mod log_line;
mod output;
pub mod reply;
pub mod service;
pub mod standard;
