//! Chunked bodies (RFC 9112 section 7.1). Extensions and trailers are checked and thrown away.

use super::fields::parse_line;
use super::reject::{Reject, RejectReason};

/// Hexadecimal digits of a chunk size.
const MAX_DIGITS: u8 = 16;
/// Bytes of a chunk extension.
const MAX_EXTENSION: u16 = 256;
/// Bytes and number of trailer fields.
const MAX_TRAILER: usize = 8 * 1024;
const MAX_TRAILERS: u8 = 16;

/// Decodes one chunked body, whatever the pieces in which it comes.
#[derive(Debug)]
pub struct ChunkedDecoder {
    state: State,
    size: u64,
    digits: u8,
    extension: u16,
    trailer: Vec<u8>,
    trailers: u8,
    trailer_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailer,
    TrailerLf,
    Done,
}

/// What a piece of input held. Positions count from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkStep {
    /// No body bytes; `consumed` is all of the input.
    NeedMore {
        /// Bytes that are dealt with.
        consumed: usize,
    },
    /// Body bytes from `start` to `end`.
    Data {
        /// First.
        start: usize,
        /// One past the last.
        end: usize,
        /// Equal to `end`.
        consumed: usize,
    },
    /// The body is complete.
    Done {
        /// Bytes that belonged to it.
        consumed: usize,
    },
}

impl Default for ChunkedDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl ChunkedDecoder {
    /// At the start of a body.
    pub fn new() -> Self {
        Self {
            state: State::Size,
            size: 0,
            digits: 0,
            extension: 0,
            trailer: Vec::new(),
            trailers: 0,
            trailer_bytes: 0,
        }
    }

    /// Decodes up to the next body bytes, the end of the body or the end of `input`.
    pub fn decode(&mut self, input: &[u8]) -> Result<ChunkStep, Reject> {
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            if self.state == State::Data {
                let take = usize::try_from(self.size).unwrap_or(usize::MAX).min(input.len() - at);
                self.size -= take as u64;
                if self.size == 0 {
                    self.state = State::DataCr;
                }
                let end = at + take;
                return Ok(ChunkStep::Data { start: at, end, consumed: end });
            }
            if self.state == State::Done {
                break;
            }
            self.step(byte)?;
            at += 1;
        }
        Ok(match self.state {
            State::Done => ChunkStep::Done { consumed: at },
            _ => ChunkStep::NeedMore { consumed: at },
        })
    }

    fn step(&mut self, byte: u8) -> Result<(), RejectReason> {
        self.state = match (self.state, byte) {
            (State::Size, b'\r' | b';') if self.digits == 0 => return Err(RejectReason::BadChunk),
            (State::Size, b'\r') => State::SizeLf,
            (State::Size, b';') => State::Extension,
            (State::Size, _) => self.size_digit(byte)?,
            (State::Extension, b'\r') => State::SizeLf,
            (State::Extension, b'\t' | 0x20..=0x7e | 0x80..) => {
                self.extension += 1;
                if self.extension > MAX_EXTENSION {
                    return Err(RejectReason::ChunkTooLarge);
                }
                State::Extension
            }
            (State::SizeLf, b'\n') if self.size == 0 => State::Trailer,
            (State::SizeLf, b'\n') => State::Data,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => {
                self.digits = 0;
                self.extension = 0;
                State::Size
            }
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::Trailer, b'\n') => return Err(RejectReason::BadLineEnd),
            (State::Trailer, _) => self.trailer_byte(byte)?,
            (State::TrailerLf, b'\n') => self.end_trailer_line()?,
            _ => return Err(RejectReason::BadChunk),
        };
        Ok(())
    }

    fn size_digit(&mut self, byte: u8) -> Result<State, RejectReason> {
        let digit = (byte as char).to_digit(16).ok_or(RejectReason::BadChunk)?;
        self.digits += 1;
        if self.digits > MAX_DIGITS || self.size >> 60 != 0 {
            return Err(RejectReason::BadChunk);
        }
        self.size = self.size << 4 | u64::from(digit);
        Ok(State::Size)
    }

    fn trailer_byte(&mut self, byte: u8) -> Result<State, RejectReason> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > MAX_TRAILER {
            return Err(RejectReason::TrailerTooLarge);
        }
        self.trailer.push(byte);
        Ok(State::Trailer)
    }

    fn end_trailer_line(&mut self) -> Result<State, RejectReason> {
        if self.trailer.is_empty() {
            return Ok(State::Done);
        }
        parse_line(&self.trailer).map_err(|_| RejectReason::BadTrailer)?;
        self.trailers += 1;
        if self.trailers > MAX_TRAILERS {
            return Err(RejectReason::TrailerTooLarge);
        }
        self.trailer.clear();
        Ok(State::Trailer)
    }
}
