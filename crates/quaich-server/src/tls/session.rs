//! What an exchange may know of the TLS connection that it came over.

/// One connection's handshake, as it turned out.
#[derive(Debug)]
pub struct Session {
    /// Whether an earlier session was resumed.
    pub resumed: bool,
}
