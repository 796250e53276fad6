//! The few messages on the socket between a worker and a front thread (SEQPACKET). Everything
//! that carries a descriptor goes here, the rest through the region.
//!
//! Pure. Encoded and decoded by both ends.

use super::layout::Slot;
use super::state::Generation;

/// Bytes of a message.
pub const SIZE: usize = 16;

/// One message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// Worker to front: send the request's body file.
    WantBody(u16, Generation),
    /// Front to worker: here it is, one descriptor attached; none = the request is gone.
    Body(u16, Generation),
    /// Worker to front: the descriptor of this slot's next `File` frame, attached.
    File(u16, Generation),
}

impl Message {
    /// The worker's question for a body.
    pub fn want_body(slot: Slot, generation: Generation) -> Self {
        Self::WantBody(slot.index() as u16, generation)
    }

    /// The worker's descriptor of an answer's file.
    pub fn file(slot: Slot, generation: Generation) -> Self {
        Self::File(slot.index() as u16, generation)
    }

    /// Its bytes.
    pub fn encode(self) -> [u8; SIZE] {
        let (kind, slot, generation) = match self {
            Self::WantBody(slot, generation) => (1u32, slot, generation),
            Self::Body(slot, generation) => (2, slot, generation),
            Self::File(slot, generation) => (3, slot, generation),
        };
        let mut out = [0; SIZE];
        out[..4].copy_from_slice(&kind.to_le_bytes());
        out[4..6].copy_from_slice(&slot.to_le_bytes());
        out[8..12].copy_from_slice(&generation.bits().to_le_bytes());
        out
    }

    /// Any bytes; `None` = no message.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; SIZE] = bytes.try_into().ok()?;
        let slot = u16::from_le_bytes([bytes[4], bytes[5]]);
        let generation = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
        let generation = Generation::new(generation);
        Some(match bytes[0] {
            1 => Self::WantBody(slot, generation),
            2 => Self::Body(slot, generation),
            3 => Self::File(slot, generation),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back() {
        for message in [
            Message::WantBody(7, Generation::new(9)),
            Message::Body(1023, Generation::new(u32::MAX)),
            Message::File(0, Generation::new(0)),
        ] {
            assert_eq!(Message::decode(&message.encode()), Some(message));
        }
        assert_eq!(Message::decode(&[0; SIZE]), None);
        assert_eq!(Message::decode(&[1; 3]), None);
    }
}
