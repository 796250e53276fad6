//! The client side: connections, the requests on them and the answers to these.

pub mod connection;
pub mod inbound;
pub mod reply;
pub mod service;
