//! Servers that are spoken to in uwsgi, FastCGI and SCGI: real ones, and ones scripted to the byte.

mod broken;
mod deaths;
mod fastcgi;
pub(crate) mod peers;
mod real;
pub(crate) mod scripted;
mod variables;
