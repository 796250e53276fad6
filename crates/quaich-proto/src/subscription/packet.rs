//! Makes announcements.

use super::{Command, HEAD, MODIFIER};

/// A packet under construction.
///
/// ```
/// use quaich_proto::subscription::{Command, PacketBuilder, parse};
/// let mut packet = PacketBuilder::new(Command::Subscribe);
/// packet.pair("key", b"shop.example").pair("address", b"10.0.0.7:3031");
/// let bytes = packet.finish();
/// assert_eq!(parse(&bytes).unwrap().key, "shop.example");
/// ```
#[derive(Clone, Debug)]
pub struct PacketBuilder {
    bytes: Vec<u8>,
}

impl PacketBuilder {
    /// No pairs yet.
    #[must_use]
    pub fn new(command: Command) -> Self {
        let command = match command {
            Command::Subscribe => 0,
            Command::Unsubscribe => 1,
        };
        Self {
            bytes: vec![MODIFIER, 0, 0, command],
        }
    }

    /// One more pair. Texts of more than 65,535 bytes are cut.
    pub fn pair(&mut self, key: &str, value: &[u8]) -> &mut Self {
        for text in [key.as_bytes(), value] {
            let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
            self.bytes.extend_from_slice(&length.to_le_bytes());
            let text = text.get(..usize::from(length)).unwrap_or(text);
            self.bytes.extend_from_slice(text);
        }
        self
    }

    /// What a signature that is added now is over.
    #[must_use]
    pub fn to_sign(&self) -> &[u8] {
        self.bytes.get(HEAD..).unwrap_or_default()
    }

    /// The datagram.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let length = self.bytes.len().saturating_sub(HEAD);
        let length = u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes();
        if let Some(place) = self.bytes.get_mut(1..3) {
            place.copy_from_slice(&length);
        }
        self.bytes
    }
}
