//! The data path: sockets, routes, handlers, upstreams, files, logs.

pub mod error_page;
pub mod forwarded;
pub mod observe;
pub mod request_id;
