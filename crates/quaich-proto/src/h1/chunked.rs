//! Chunked bodies (RFC 9112 section 7.1). Extensions and trailers are checked and thrown away. Used
//! for requests and responses; every byte is judged when it comes.

use super::fields::parse_line;
use super::reject::{Reject, RejectReason};
use crate::octets::{TOKEN, VALUE, hex};

/// Hexadecimal digits of a chunk size: as many as 64 bits have.
const MAX_DIGITS: u8 = 16;
/// Bytes of the extensions of a chunk.
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
    /// At the name of an extension, in it, at its value, in it.
    ExtensionStart,
    ExtensionName,
    ValueStart,
    Value,
    /// In a quoted value, after a backslash in it, after its end.
    Quoted,
    QuotedPair,
    QuotedEnd,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailer,
    TrailerLf,
    Done,
}

impl State {
    fn is_extension(self) -> bool {
        matches!(
            self,
            Self::ExtensionStart
                | Self::ExtensionName
                | Self::ValueStart
                | Self::Value
                | Self::Quoted
                | Self::QuotedPair
                | Self::QuotedEnd
        )
    }
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

    /// Decodes up to the next body bytes, the end of the body or the end of `input`. After `Done`, or
    /// an error, there is nothing more to decode.
    pub fn decode(&mut self, input: &[u8]) -> Result<ChunkStep, Reject> {
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            if self.state == State::Data {
                let take = usize::try_from(self.size)
                    .unwrap_or(usize::MAX)
                    .min(input.len() - at);
                self.size -= take as u64;
                if self.size == 0 {
                    self.state = State::DataCr;
                }
                let end = at + take;
                return Ok(ChunkStep::Data {
                    start: at,
                    end,
                    consumed: end,
                });
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
            (State::Size, b';') => State::ExtensionStart,
            (State::Size, _) => self.size_digit(byte)?,
            (state, _) if state.is_extension() => self.extension_byte(byte)?,
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

    /// `;name`, `;name=token` or `;name="text"`, without blanks. What ends early inside quotes is the
    /// beginning of an attack on parsers that skip to the next line end.
    fn extension_byte(&mut self, byte: u8) -> Result<State, RejectReason> {
        self.extension += 1;
        if self.extension > MAX_EXTENSION && byte != b'\r' {
            return Err(RejectReason::ChunkTooLarge);
        }
        let is_token = TOKEN[usize::from(byte)];
        Ok(match (self.state, byte) {
            (State::ExtensionStart | State::ExtensionName, _) if is_token => State::ExtensionName,
            (State::ExtensionName, b'=') => State::ValueStart,
            (State::ValueStart | State::Value, _) if is_token => State::Value,
            (State::ValueStart, b'"') => State::Quoted,
            (State::Quoted, b'"') => State::QuotedEnd,
            (State::Quoted, b'\\') => State::QuotedPair,
            (State::Quoted | State::QuotedPair, _) if VALUE[usize::from(byte)] => State::Quoted,
            (State::ExtensionName | State::Value | State::QuotedEnd, b';') => State::ExtensionStart,
            (State::ExtensionName | State::Value | State::QuotedEnd, b'\r') => State::SizeLf,
            _ => return Err(RejectReason::BadChunk),
        })
    }

    fn size_digit(&mut self, byte: u8) -> Result<State, RejectReason> {
        let digit = hex(byte).ok_or(RejectReason::BadChunk)?;
        self.digits += 1;
        if self.digits > MAX_DIGITS {
            return Err(RejectReason::ChunkTooLarge);
        }
        self.size = self.size << 4 | u64::from(digit);
        Ok(State::Size)
    }

    fn trailer_byte(&mut self, byte: u8) -> Result<State, RejectReason> {
        if !VALUE[usize::from(byte)] {
            return Err(RejectReason::BadTrailer);
        }
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
