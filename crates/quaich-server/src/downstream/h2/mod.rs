//! HTTP/2 towards clients (RFC 9113), on the `h2` crate: it has the frames, the windows and the
//! states of streams; here are what it is given to read and write, what it leaves to its user
//! (floods, deadlines, bounds of memory), and the way to the one service.

mod connection;
mod fields;
mod floods;
mod form;
mod frames;
pub(super) mod inbound;
pub(super) mod outbound;
mod piece;
pub(super) mod stream;
mod wire;
