//! The data path: sockets, routes, handlers, upstreams, files, logs.

pub mod handler;
