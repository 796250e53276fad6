//! HTTP/2 towards the program under test: frames written and read one by one, right or wrong.
//!
//! `Frame` and `Block` write whatever they are told, so that a test can break every rule of
//! RFC 9113 and RFC 7541. `H2Client` keeps the rules unless it is asked to send raw frames.

mod block;
mod client;
mod event;
mod frame;
mod origin;
mod response;

pub use block::Block;
pub use client::H2Client;
pub use event::Event;
pub use frame::{Frame, PREFACE, code, flag, kind, setting};
pub use origin::{H2Origin, H2Peer, H2Request};
pub use response::{Ended, H2Response};
