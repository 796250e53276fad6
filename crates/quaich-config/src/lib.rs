//! Pure: TOML text becomes a `Document` (with spans), then a `Config` (validated, typed).
//!
//! No sockets, no threads. Every problem of a file is found in one run.

pub mod model;
