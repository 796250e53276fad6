//! Sans-I/O codecs: bytes become messages and back. No sockets, no clock.

#![cfg_attr(not(test), warn(clippy::unwrap_used))]

pub mod cgi;
pub mod coding;
pub mod fastcgi;
pub mod h1;
pub mod headers;
pub mod method;
mod octets;
pub mod proxy_protocol;
pub mod scgi;
pub mod subscription;
pub mod target;
pub mod uwsgi;
pub mod worker;
