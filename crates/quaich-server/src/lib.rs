//! The data path: sockets, routes, handlers, upstreams, files, logs.
//!
//! `front` is the process; the other rooms are listed in the order in which a request meets them.

pub mod front;
pub mod link;

pub mod discovery;
pub mod downstream;
pub mod exchange;
pub mod filter;
pub mod forwarded;
pub mod handler;
pub mod listener;
pub mod request_id;
pub mod route;
pub mod upstream;

pub mod error;
pub mod error_page;
pub mod generation;
pub mod observe;
pub mod thread;

mod buffer;
mod clock;
mod deadline;
mod heap;
pub mod password;
mod pipe;
mod socket;
mod spool;
mod stream;
mod text;
pub mod tls;

mod watch;
