//! Sans-I/O codecs: bytes become messages and back. No sockets, no clock.

pub mod worker;
