//! Finds the frames in a byte stream (RFC 9113 section 4.1), whatever the pieces in which it comes.
//! Looks at heads only; sans-I/O.

/// Octets of a frame head.
const HEAD: usize = 9;

/// Octets of the payload that are kept for who wants them: the error code of a reset.
const PEEK: usize = 4;

/// Types of frames.
pub(super) mod kind {
    pub(in super::super) const DATA: u8 = 0;
    pub(in super::super) const HEADERS: u8 = 1;
    pub(in super::super) const PRIORITY: u8 = 2;
    pub(in super::super) const RST_STREAM: u8 = 3;
    pub(in super::super) const SETTINGS: u8 = 4;
    pub(in super::super) const PING: u8 = 6;
    pub(in super::super) const GOAWAY: u8 = 7;
    pub(in super::super) const WINDOW_UPDATE: u8 = 8;
    pub(in super::super) const CONTINUATION: u8 = 9;
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// Octets of its payload.
    pub(super) length: u32,
    /// See [`kind`].
    pub(super) kind: u8,
    /// As sent.
    pub(super) flags: u8,
    /// Its stream; 0 for the connection.
    pub(super) stream: u32,
    /// The first four octets of the payload of a `RST_STREAM`; else 0.
    pub(super) code: u32,
}

impl Frame {
    /// `END_STREAM` of DATA and HEADERS, `ACK` of SETTINGS and PING.
    pub(super) fn has_first_flag(&self) -> bool {
        self.flags & 1 != 0
    }
}

/// Follows a byte stream from its first frame on.
#[derive(Debug, Default)]
pub(super) struct Frames {
    head: [u8; HEAD + PEEK],
    filled: usize,
    /// Octets of payload that are still to pass.
    payload: usize,
}

impl Frames {
    /// Follows a stream whose first `skip` octets are no frames.
    pub(super) fn after(skip: usize) -> Self {
        Self {
            payload: skip,
            ..Self::default()
        }
    }

    /// Octets of the last frame's payload that are still to pass.
    pub(super) fn payload(&self) -> usize {
        self.payload
    }

    /// Takes octets up to the next frame head: how many, and the frame.
    pub(super) fn next(&mut self, input: &[u8]) -> (usize, Option<Frame>) {
        let mut at = self.payload.min(input.len());
        self.payload -= at;
        while let Some(&byte) = input.get(at) {
            at += 1;
            if let Some(place) = self.head.get_mut(self.filled) {
                *place = byte;
            }
            self.filled += 1;
            if let Some(frame) = self.complete() {
                let seen = self.filled - HEAD;
                self.payload = (frame.length as usize).saturating_sub(seen);
                self.filled = 0;
                return (at, Some(frame));
            }
        }
        (at, None)
    }

    fn complete(&self) -> Option<Frame> {
        let [l2, l1, l0, kind, flags, s3, s2, s1, s0, code @ ..] = self.head;
        let length = u32::from_be_bytes([0, l2, l1, l0]);
        // A reset of another length than four is an error that others find.
        let peeks = kind == kind::RST_STREAM && length as usize >= PEEK;
        let needed = if peeks { HEAD + PEEK } else { HEAD };
        (self.filled == needed).then(|| Frame {
            length,
            kind,
            flags,
            stream: u32::from_be_bytes([s3, s2, s1, s0]) & 0x7fff_ffff,
            code: if peeks { u32::from_be_bytes(code) } else { 0 },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(frames: &mut Frames, mut input: &[u8]) -> Vec<Frame> {
        let mut found = Vec::new();
        while !input.is_empty() {
            let (count, frame) = frames.next(input);
            found.extend(frame);
            input = &input[count..];
        }
        found
    }

    const STREAM: &[u8] = b"PRI\
        \x00\x00\x05\x00\x01\x00\x00\x00\x01hello\
        \x00\x00\x04\x03\x00\x80\x00\x00\x03\x00\x00\x00\x08\
        \x00\x00\x00\x04\x01\x00\x00\x00\x00\
        \x00\x00\x02\x03\x00\x00\x00\x00\x05ab\
        \x00\x00\x08\x06\x00\x00\x00\x00\x00\x01\x02\x03\x04\x05\x06\x07\x08";

    #[test]
    fn finds_the_same_frames_in_any_pieces() {
        let whole = all(&mut Frames::after(3), STREAM);
        let kinds: Vec<_> = whole.iter().map(|f| (f.kind, f.stream, f.code)).collect();
        assert_eq!(
            kinds,
            [(0, 1, 0), (3, 3, 8), (4, 0, 0), (3, 5, 0), (6, 0, 0)]
        );
        assert!(whole[0].has_first_flag() && whole[2].has_first_flag());
        for size in 1..STREAM.len() {
            let mut frames = Frames::after(3);
            let pieces = STREAM.chunks(size);
            let found: Vec<_> = pieces.flat_map(|piece| all(&mut frames, piece)).collect();
            assert_eq!(found, whole, "pieces of {size}");
        }
    }
}
