//! What quaich says about itself and about the requests it served.
//!
//! The data path hands a [`access_log::Record`] per request to the access log, and everybody uses
//! [`log`] for quaich's own messages. Nothing here may make a request wait: what cannot be written
//! in time is dropped and counted.

pub mod access_format;
pub mod access_log;
pub mod counters;
mod escape;
mod json_line;
pub mod log;
mod log_sink;
pub(crate) mod number;
mod pretty_line;
pub mod record;
pub mod timestamp;
pub mod writer;
