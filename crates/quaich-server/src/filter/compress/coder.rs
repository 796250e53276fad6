//! Coders of bodies that leave in pieces. They may be sent to another thread and back, and know
//! neither requests nor sockets.

use brotli::enc::StandardAlloc;
use brotli::enc::encode::{
    BrotliEncoderOperation as Operation, BrotliEncoderParameter as Parameter,
    BrotliEncoderStateStruct,
};
use flate2::{Compress, Compression, FlushCompress, Status};
use quaich_proto::coding::Coding;
use zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, ResetDirective};

/// Room that is made for output when there is none.
const ROOM: usize = 16 * 1024;

/// How far back a stream may refer, as a power of two: what both sides hold in memory.
const WINDOW: u32 = 20;

/// The same for streams that may last, of which there may be many.
const LIVE_WINDOW: u32 = 17;

/// How a coder was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) coding: Coding,
    pub(super) level: u8,
    /// It may last for hours: it takes little memory.
    pub(super) live: bool,
}

/// What is to become of the bytes that a coder was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// More follow: it may hold them back.
    More,
    /// The client shall be able to read all of them now.
    Flush,
    /// They were the last.
    End,
}

/// A coder failed: the body cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// Codes one body.
pub(super) enum Coder {
    Gzip(Compress),
    Brotli(Box<BrotliEncoderStateStruct<StandardAlloc>>),
    Zstd(CCtx<'static>),
}

impl Coder {
    /// A coder for a new body.
    pub(super) fn new(shape: Shape) -> Result<Self, Broken> {
        Ok(match shape.coding {
            Coding::Gzip => {
                let level = Compression::new(shape.level.into());
                Self::Gzip(Compress::new_gzip(level, 15))
            }
            Coding::Brotli => {
                let window = if shape.live { LIVE_WINDOW } else { WINDOW };
                Self::Brotli(brotli_encoder(shape.level, window, 0))
            }
            Coding::Zstd => Self::Zstd(zstd_context(shape)?),
        })
    }

    /// Makes it ready for another body; `false` if it cannot be.
    pub(super) fn reset(&mut self) -> bool {
        match self {
            Self::Gzip(compress) => {
                compress.reset();
                true
            }
            Self::Brotli(_) => false,
            Self::Zstd(context) => context.reset(ResetDirective::SessionOnly).is_ok(),
        }
    }

    /// Codes `input` and appends what it becomes to `out`.
    pub(super) fn encode(
        &mut self,
        input: &[u8],
        then: Then,
        out: &mut Vec<u8>,
    ) -> Result<(), Broken> {
        match self {
            Self::Gzip(compress) => gzip(compress, input, then, out),
            Self::Brotli(encoder) => brotli(encoder, input, then, out),
            Self::Zstd(context) => zstd(context, input, then, out),
        }
    }
}

fn gzip(
    compress: &mut Compress,
    input: &[u8],
    then: Then,
    out: &mut Vec<u8>,
) -> Result<(), Broken> {
    let flush = match then {
        Then::More => FlushCompress::None,
        Then::Flush => FlushCompress::Sync,
        Then::End => FlushCompress::Finish,
    };
    let mut rest = input;
    loop {
        out.reserve(ROOM);
        let before = compress.total_in();
        let status = compress
            .compress_vec(rest, out, flush)
            .map_err(|_| Broken)?;
        let taken = usize::try_from(compress.total_in() - before).map_err(|_| Broken)?;
        rest = rest.get(taken..).ok_or(Broken)?;
        let done = match then {
            Then::End => status == Status::StreamEnd,
            // Room that is left means that nothing waits for some.
            _ => rest.is_empty() && out.len() < out.capacity(),
        };
        if done {
            return Ok(());
        }
    }
}

/// An encoder for about `size` bytes; 0 = not known.
pub(super) fn brotli_encoder(
    level: u8,
    window: u32,
    size: usize,
) -> Box<BrotliEncoderStateStruct<StandardAlloc>> {
    let mut encoder = Box::new(BrotliEncoderStateStruct::new(StandardAlloc::default()));
    encoder.set_parameter(Parameter::BROTLI_PARAM_QUALITY, level.into());
    encoder.set_parameter(Parameter::BROTLI_PARAM_LGWIN, window);
    let size = u32::try_from(size).unwrap_or(u32::MAX);
    encoder.set_parameter(Parameter::BROTLI_PARAM_SIZE_HINT, size);
    encoder
}

/// As [`Coder::encode`].
pub(super) fn brotli(
    encoder: &mut BrotliEncoderStateStruct<StandardAlloc>,
    input: &[u8],
    then: Then,
    out: &mut Vec<u8>,
) -> Result<(), Broken> {
    let operation = match then {
        Then::More => Operation::BROTLI_OPERATION_PROCESS,
        Then::Flush => Operation::BROTLI_OPERATION_FLUSH,
        Then::End => Operation::BROTLI_OPERATION_FINISH,
    };
    let (mut left, mut at) = (input.len(), 0);
    loop {
        let start = out.len();
        out.resize(start + ROOM, 0);
        let room = out.get_mut(start..).ok_or(Broken)?;
        let (mut free, mut made) = (room.len(), 0);
        let ok = encoder.compress_stream(
            operation,
            &mut left,
            input,
            &mut at,
            &mut free,
            room,
            &mut made,
            &mut None,
            &mut |_, _, _, _| (),
        );
        out.truncate(start + made);
        if !ok {
            return Err(Broken);
        }
        let done = left == 0 && !encoder.has_more_output();
        if done && (then != Then::End || encoder.is_finished()) {
            return Ok(());
        }
    }
}

fn zstd_context(shape: Shape) -> Result<CCtx<'static>, Broken> {
    let mut context = CCtx::try_create().ok_or(Broken)?;
    let window = if shape.live { LIVE_WINDOW } else { WINDOW };
    let mut set = |parameter| context.set_parameter(parameter).map_err(|_| Broken);
    set(CParameter::CompressionLevel(shape.level.into()))?;
    set(CParameter::WindowLog(window))?;
    if shape.live {
        set(CParameter::HashLog(14))?;
        set(CParameter::ChainLog(14))?;
    }
    Ok(context)
}

fn zstd(
    context: &mut CCtx<'static>,
    input: &[u8],
    then: Then,
    out: &mut Vec<u8>,
) -> Result<(), Broken> {
    let directive = match then {
        Then::More => ZSTD_EndDirective::ZSTD_e_continue,
        Then::Flush => ZSTD_EndDirective::ZSTD_e_flush,
        Then::End => ZSTD_EndDirective::ZSTD_e_end,
    };
    let mut input = InBuffer::around(input);
    loop {
        out.reserve(ROOM);
        let end = out.len();
        let mut output = OutBuffer::around_pos(out, end);
        let waiting = context
            .compress_stream2(&mut output, &mut input, directive)
            .map_err(|_| Broken)?;
        let taken = input.pos() == input.src.len();
        if taken && (then == Then::More || waiting == 0) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{decode, text};
    use super::*;

    const SHAPES: [Coding; 3] = [Coding::Zstd, Coding::Brotli, Coding::Gzip];

    #[test]
    fn what_was_flushed_can_be_read_and_the_end_ends_it() {
        for coding in SHAPES {
            for (level, live) in [(1, true), (1, false), (4, false), (9, false)] {
                let shape = Shape {
                    coding,
                    level,
                    live,
                };
                let mut coder = Coder::new(shape).expect("a coder");
                for _ in 0..2 {
                    let (mut plain, mut coded) = (Vec::new(), Vec::new());
                    for size in [0, 1, 10, 3_000, 300_000, 0, 7] {
                        let piece = text(size);
                        plain.extend_from_slice(&piece);
                        coder.encode(&piece, Then::More, &mut coded).expect("coded");
                        coder.encode(b"", Then::Flush, &mut coded).expect("coded");
                        let read = decode(coding, &coded).0;
                        assert_eq!(read.len(), plain.len(), "{shape:?}, {size}");
                        assert!(read == plain, "{shape:?}, {size}");
                        assert!(!decode(coding, &coded).1);
                    }
                    coder.encode(b"end", Then::End, &mut coded).expect("coded");
                    plain.extend_from_slice(b"end");
                    assert_eq!(decode(coding, &coded), (plain, true), "{shape:?}");
                    if !coder.reset() {
                        break;
                    }
                }
            }
        }
    }

    #[test]
    fn a_coder_may_go_to_another_thread() {
        fn sent<T: Send>() {}
        sent::<Coder>();
    }
}
