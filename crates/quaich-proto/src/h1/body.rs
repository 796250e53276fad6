//! A message body as it comes over a connection: finds what belongs to it in the bytes read
//! (RFC 9112 section 6.3). Used for requests and responses; holds no bytes itself.

use super::BodyLength;
use super::chunked::{ChunkStep, ChunkedDecoder};
use super::reject::Reject;

/// Where the body of a message stands.
#[derive(Debug, Default)]
pub struct BodyReader(State);

#[derive(Debug, Default)]
enum State {
    #[default]
    Done,
    Known(u64),
    Chunked(ChunkedDecoder),
    UntilClose,
}

/// What [`BodyReader::decode`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyStep {
    /// Where body bytes stand in the input; they are to be used before they are consumed.
    pub data: Option<(usize, usize)>,
    /// Bytes of the input that are dealt with.
    pub consumed: usize,
}

impl BodyReader {
    /// At the start of a body of that length.
    pub fn new(length: BodyLength) -> Self {
        Self(match length {
            BodyLength::Empty | BodyLength::Known(0) => State::Done,
            BodyLength::Known(length) => State::Known(length),
            BodyLength::Chunked => State::Chunked(ChunkedDecoder::new()),
            BodyLength::UntilClose => State::UntilClose,
        })
    }

    /// Whether its end has been seen.
    pub fn is_done(&self) -> bool {
        matches!(self.0, State::Done)
    }

    /// Bytes still to come, if their number is known.
    pub fn remaining(&self) -> Option<u64> {
        match self.0 {
            State::Done => Some(0),
            State::Known(left) => Some(left),
            State::Chunked(_) | State::UntilClose => None,
        }
    }

    /// Counts `count` bytes of a body of known length as read, past this reader.
    pub fn skip(&mut self, count: u64) {
        if let State::Known(left) = &mut self.0 {
            *left = left.saturating_sub(count);
            if *left == 0 {
                self.0 = State::Done;
            }
        }
    }

    /// The connection has ended; `false` when the body had not.
    pub fn close(&mut self) -> bool {
        if matches!(self.0, State::UntilClose) {
            self.0 = State::Done;
        }
        self.is_done()
    }

    /// Finds the next bytes of the body in `input`, which must not be empty. Without data it asks
    /// for more input, or the body is done.
    pub fn decode(&mut self, input: &[u8]) -> Result<BodyStep, Reject> {
        let (data, consumed) = match &mut self.0 {
            State::Done => (None, 0),
            State::Known(left) => {
                let take = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                self.skip(take as u64);
                (Some((0, take)), take)
            }
            State::UntilClose => (Some((0, input.len())), input.len()),
            State::Chunked(decoder) => match decoder.decode(input)? {
                ChunkStep::NeedMore { consumed } => (None, consumed),
                ChunkStep::Data {
                    start,
                    end,
                    consumed,
                } => (Some((start, end)), consumed),
                ChunkStep::Done { consumed } => {
                    self.0 = State::Done;
                    (None, consumed)
                }
            },
        };
        Ok(BodyStep { data, consumed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(length: BodyLength, mut input: &[u8]) -> (Vec<u8>, Vec<u8>, bool) {
        let mut reader = BodyReader::new(length);
        let mut body = Vec::new();
        while !input.is_empty() && !reader.is_done() {
            let step = reader.decode(input).unwrap();
            if let Some((start, end)) = step.data {
                body.extend_from_slice(&input[start..end]);
            }
            input = &input[step.consumed..];
        }
        (body, input.to_vec(), reader.close())
    }

    #[test]
    fn a_body_ends_where_its_length_says() {
        let (body, rest, whole) = read(BodyLength::Known(3), b"abcdef");
        assert_eq!(
            (&body[..], &rest[..], whole),
            (&b"abc"[..], &b"def"[..], true)
        );
        let (body, rest, whole) = read(BodyLength::Chunked, b"3\r\nabc\r\n0\r\n\r\ndef");
        assert_eq!(
            (&body[..], &rest[..], whole),
            (&b"abc"[..], &b"def"[..], true)
        );
        let (body, rest, whole) = read(BodyLength::UntilClose, b"abc");
        assert_eq!((&body[..], &rest[..], whole), (&b"abc"[..], &b""[..], true));
        let (body, rest, whole) = read(BodyLength::Known(0), b"abc");
        assert_eq!((&body[..], &rest[..], whole), (&b""[..], &b"abc"[..], true));
    }

    #[test]
    fn a_body_that_breaks_off_is_not_done() {
        for (length, input) in [
            (BodyLength::Known(4), &b"abc"[..]),
            (BodyLength::Chunked, b"3\r\nabc\r\n"),
            (BodyLength::Chunked, b"3\r\nabc\r\n0\r\n"),
        ] {
            let (_, _, whole) = read(length, input);
            assert!(!whole, "{length:?}");
        }
    }
}
