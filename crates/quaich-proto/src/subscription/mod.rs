//! Announcements to uWSGI's subscription server: one datagram each, in the form of a uwsgi packet.
//!
//! A head of four bytes (224, the length of the rest as u16 little endian, the command) and pairs
//! of texts, each `length u16, key, length u16, value`. Signed ones end in the pairs `unix` and
//! `sign`; the signature is over everything between the head and `sign`. The head, hence the
//! command, is not signed: whoever demands signatures must demand that `unix` grows.
//!
//! Called by `quaich-server`'s discovery; tests make announcements with it.

mod announcement;
mod packet;

pub use announcement::{Algorithm, Announcement, Command, Malformed, Signature, parse};
pub use packet::PacketBuilder;

/// Longest datagram.
pub const MAX_PACKET: usize = 4096;
/// Longest key, and longest address.
pub const MAX_NAME: usize = 255;
/// First byte of each packet.
const MODIFIER: u8 = 224;
/// Bytes before the pairs.
const HEAD: usize = 4;
