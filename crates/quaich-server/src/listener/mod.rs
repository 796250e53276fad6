//! Accepts connections on sockets that the supervisor has bound.

pub mod accept;
mod announced;
mod entry;
mod handshake;
mod per_ip;

pub use per_ip::PerAddress;
