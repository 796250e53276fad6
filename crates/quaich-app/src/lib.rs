//! Processes, not HTTP: spawns, watches and replaces the workers of an app.
//!
//! The supervisor (crate `quaich`) owns one [`pool::Pool`] per app and feeds it with events; the
//! same [`process`] starts the front. Nothing here knows a request.

pub mod backoff;
pub mod channel;
pub mod control;
pub mod identity;
pub mod interpreter;
pub mod output;
pub mod pool;
pub mod process;
pub mod target;
pub mod worker;
