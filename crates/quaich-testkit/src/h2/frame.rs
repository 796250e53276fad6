//! One HTTP/2 frame as bytes (RFC 9113 section 4.1), with any length, flags and stream.

/// What a client sends first (RFC 9113 section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Frame types (RFC 9113 section 6).
pub mod kind {
    #![allow(missing_docs, reason = "they are the names of the RFC")]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Flags of frames.
pub mod flag {
    #![allow(missing_docs, reason = "they are the names of the RFC")]
    pub const ACK: u8 = 0x1;
    pub const END_STREAM: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
}

/// Error codes (RFC 9113 section 7).
pub mod code {
    #![allow(missing_docs, reason = "they are the names of the RFC")]
    pub const NO_ERROR: u32 = 0;
    pub const PROTOCOL_ERROR: u32 = 1;
    pub const INTERNAL_ERROR: u32 = 2;
    pub const FLOW_CONTROL_ERROR: u32 = 3;
    pub const STREAM_CLOSED: u32 = 5;
    pub const FRAME_SIZE_ERROR: u32 = 6;
    pub const REFUSED_STREAM: u32 = 7;
    pub const CANCEL: u32 = 8;
    pub const COMPRESSION_ERROR: u32 = 9;
    pub const ENHANCE_YOUR_CALM: u32 = 11;
}

/// Settings (RFC 9113 section 6.5.2, RFC 8441 section 3).
pub mod setting {
    #![allow(missing_docs, reason = "they are the names of the RFC")]
    pub const HEADER_TABLE_SIZE: u16 = 1;
    pub const ENABLE_PUSH: u16 = 2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    pub const MAX_FRAME_SIZE: u16 = 5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 6;
    pub const ENABLE_CONNECT_PROTOCOL: u16 = 8;
}

/// One frame. Nothing is checked: what is wrong in it is meant to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Type; see `kind`.
    pub kind: u8,
    /// Flags; see `flag`.
    pub flags: u8,
    /// Stream identifier, the reserved bit included.
    pub stream: u32,
    /// What follows the nine bytes.
    pub payload: Vec<u8>,
    /// What the header says of the payload's length when that is not the truth.
    length: Option<u32>,
}

impl Frame {
    /// Any frame.
    #[must_use]
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            kind,
            flags,
            stream,
            payload: payload.into(),
            length: None,
        }
    }

    /// DATA that does not end the stream.
    #[must_use]
    pub fn data(stream: u32, bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(kind::DATA, 0, stream, bytes)
    }

    /// HEADERS with a whole block, that does not end the stream.
    #[must_use]
    pub fn headers(stream: u32, block: impl Into<Vec<u8>>) -> Self {
        Self::new(kind::HEADERS, flag::END_HEADERS, stream, block)
    }

    /// CONTINUATION that does not end the block.
    #[must_use]
    pub fn continuation(stream: u32, block: impl Into<Vec<u8>>) -> Self {
        Self::new(kind::CONTINUATION, 0, stream, block)
    }

    /// PRIORITY: depends on `on`, weight 16.
    #[must_use]
    pub fn priority(stream: u32, on: u32) -> Self {
        let mut payload = on.to_be_bytes().to_vec();
        payload.push(15);
        Self::new(kind::PRIORITY, 0, stream, payload)
    }

    /// `RST_STREAM`.
    #[must_use]
    pub fn rst_stream(stream: u32, code: u32) -> Self {
        Self::new(kind::RST_STREAM, 0, stream, code.to_be_bytes())
    }

    /// SETTINGS.
    #[must_use]
    pub fn settings(values: &[(u16, u32)]) -> Self {
        let mut payload = Vec::new();
        for (id, value) in values {
            payload.extend_from_slice(&id.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        Self::new(kind::SETTINGS, 0, 0, payload)
    }

    /// The acknowledgement of SETTINGS.
    #[must_use]
    pub fn settings_ack() -> Self {
        Self::new(kind::SETTINGS, flag::ACK, 0, [])
    }

    /// PING.
    #[must_use]
    pub fn ping(opaque: [u8; 8]) -> Self {
        Self::new(kind::PING, 0, 0, opaque)
    }

    /// GOAWAY.
    #[must_use]
    pub fn goaway(last_stream: u32, code: u32) -> Self {
        let mut payload = last_stream.to_be_bytes().to_vec();
        payload.extend_from_slice(&code.to_be_bytes());
        Self::new(kind::GOAWAY, 0, 0, payload)
    }

    /// `WINDOW_UPDATE`.
    #[must_use]
    pub fn window_update(stream: u32, increment: u32) -> Self {
        Self::new(kind::WINDOW_UPDATE, 0, stream, increment.to_be_bytes())
    }

    /// `PUSH_PROMISE` of a stream.
    #[must_use]
    pub fn push_promise(stream: u32, promised: u32, block: impl AsRef<[u8]>) -> Self {
        let mut payload = promised.to_be_bytes().to_vec();
        payload.extend_from_slice(block.as_ref());
        Self::new(kind::PUSH_PROMISE, flag::END_HEADERS, stream, payload)
    }

    /// The same frame with these flags as well.
    #[must_use]
    pub fn with(mut self, flags: u8) -> Self {
        self.flags |= flags;
        self
    }

    /// The same frame without these flags.
    #[must_use]
    pub fn without(mut self, flags: u8) -> Self {
        self.flags &= !flags;
        self
    }

    /// The same frame, as the last one of its stream.
    #[must_use]
    pub fn end(self) -> Self {
        self.with(flag::END_STREAM)
    }

    /// The same frame with `PADDED`, the pad length that is said, and the padding that is there.
    #[must_use]
    pub fn padded(mut self, said: u8, there: usize) -> Self {
        self.payload.insert(0, said);
        self.payload.resize(self.payload.len() + there, 0);
        self.with(flag::PADDED)
    }

    /// The same frame with priority fields in front of its block: depends on `on`.
    #[must_use]
    pub fn depending(mut self, on: u32) -> Self {
        let mut payload = on.to_be_bytes().to_vec();
        payload.push(15);
        payload.append(&mut self.payload);
        self.payload = payload;
        self.with(flag::PRIORITY)
    }

    /// The same frame with a header that says this length.
    #[must_use]
    pub fn saying_length(mut self, length: u32) -> Self {
        self.length = Some(length);
        self
    }

    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let true_length = u32::try_from(self.payload.len()).unwrap_or(u32::MAX);
        let length = self.length.unwrap_or(true_length).to_be_bytes();
        let mut bytes = Vec::with_capacity(9 + self.payload.len());
        bytes.extend_from_slice(&length[1..]);
        bytes.extend_from_slice(&[self.kind, self.flags]);
        bytes.extend_from_slice(&self.stream.to_be_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// Length, type, flags and stream of a frame's nine bytes; the reserved bit is dropped.
    #[must_use]
    pub fn read_header(bytes: [u8; 9]) -> (usize, u8, u8, u32) {
        let [a, b, c, kind, flags, stream @ ..] = bytes;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        (
            length,
            kind,
            flags,
            u32::from_be_bytes(stream) & (u32::MAX >> 1),
        )
    }

    /// Whether it has a flag.
    #[must_use]
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The four bytes at this place as a number; 0 when they are not there.
    #[must_use]
    pub fn number(&self, at: usize) -> u32 {
        let bytes = self.payload.get(at..at + 4);
        bytes.map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    /// The pairs of SETTINGS.
    #[must_use]
    pub fn pairs(&self) -> Vec<(u16, u32)> {
        let pair = |p: &[u8]| {
            (
                u16::from_be_bytes([p[0], p[1]]),
                u32::from_be_bytes([p[2], p[3], p[4], p[5]]),
            )
        };
        self.payload.chunks_exact(6).map(pair).collect()
    }

    /// The payload of DATA or HEADERS without padding and priority fields.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        let mut content = self.payload.as_slice();
        if self.has(flag::PADDED)
            && let Some((padding, rest)) = content.split_first()
        {
            let end = rest.len().saturating_sub(usize::from(*padding));
            content = &rest[..end];
        }
        if self.kind == kind::HEADERS && self.has(flag::PRIORITY) {
            content = content.get(5..).unwrap_or_default();
        }
        content
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_nine_bytes_and_reads_them_back() {
        let frame = Frame::data(0x0102_0304, b"abc".to_vec()).end();
        let bytes = frame.encode();
        assert_eq!(bytes, [0, 0, 3, 0, 1, 1, 2, 3, 4, b'a', b'b', b'c']);
        let header = bytes[..9].try_into().expect("nine bytes");
        assert_eq!(Frame::read_header(header), (3, 0, 1, 0x0102_0304));
        let lying = frame.saying_length(70_000).encode();
        assert_eq!(lying[..3], [1, 0x11, 0x70]);
    }

    #[test]
    fn finds_the_content_between_padding_and_priority() {
        let frame = Frame::headers(1, b"block".to_vec())
            .depending(3)
            .padded(4, 4);
        assert_eq!(frame.content(), b"block");
    }
}
