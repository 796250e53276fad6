//! The channel between a front process and the worker processes of one app.
//!
//! One sealed memory file per app and front incarnation holds slots, a request queue from which
//! free worker threads pull, and one response ring per slot. Used by the front
//! (`quaich-server`, `upstream/wire/worker`), by the worker (`quaich-worker`, `channel`) and, to
//! create the file, by the supervisor. Nothing here blocks, sleeps or talks to a socket.
//!
//! Trust: workers believe the front; the front believes nothing a worker wrote. Whatever the
//! front reads from the region is copied out first and checked after.

pub mod boot;
pub mod frame;
pub mod layout;
pub mod link;
pub mod message;
pub mod queue;
pub mod region;
pub mod ring;
pub mod state;

pub use layout::Layout;
pub use region::Region;
