//! Bodies that are whole in memory: coded at once, by the quickest means for that. gzip is made by
//! libdeflate here, which needs less than half of what any zlib does for the same size.
//!
//! Each thread keeps what it codes with until it has not needed it for a while.

use std::cell::RefCell;

use libdeflater::{CompressionLvl, Compressor};
use quaich_proto::coding::Coding;
use zstd_safe::{CCtx, CParameter};

use super::coder::{Broken, Coder, Shape, Then, brotli, brotli_encoder};

/// Coders of streams that wait for their next body.
const SPARE: usize = 4;

#[derive(Default)]
struct Kit {
    gzip: Vec<(u8, Compressor)>,
    zstd: Option<CCtx<'static>>,
    streams: Vec<(Shape, Coder)>,
    used: bool,
}

thread_local! {
    static KIT: RefCell<Kit> = RefCell::default();
}

/// The coded form of `body`, appended to `out`.
pub(super) fn encode(
    coding: Coding,
    level: u8,
    body: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Broken> {
    match coding {
        Coding::Gzip => with_kit(|kit| gzip(kit, level, body, out)),
        Coding::Zstd => with_kit(|kit| zstd(kit, level, body, out)),
        Coding::Brotli => {
            // No larger than what there is to refer to.
            let window = (usize::BITS - body.len().leading_zeros()).clamp(17, 20);
            let mut encoder = brotli_encoder(level, window, body.len());
            brotli(&mut encoder, body, Then::End, out)
        }
    }
}

fn with_kit<T>(work: impl FnOnce(&mut Kit) -> T) -> T {
    KIT.with_borrow_mut(|kit| {
        kit.used = true;
        work(kit)
    })
}

fn gzip(kit: &mut Kit, level: u8, body: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
    let at = match kit.gzip.iter().position(|(made, _)| *made == level) {
        Some(at) => at,
        None => {
            let wanted = CompressionLvl::new(level.into()).map_err(|_| Broken)?;
            kit.gzip.push((level, Compressor::new(wanted)));
            kit.gzip.len() - 1
        }
    };
    let (_, compressor) = kit.gzip.get_mut(at).ok_or(Broken)?;
    let start = out.len();
    out.resize(start + compressor.gzip_compress_bound(body.len()), 0);
    let room = out.get_mut(start..).ok_or(Broken)?;
    let size = compressor.gzip_compress(body, room).map_err(|_| Broken)?;
    out.truncate(start + size);
    Ok(())
}

fn zstd(kit: &mut Kit, level: u8, body: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
    if kit.zstd.is_none() {
        kit.zstd = Some(CCtx::try_create().ok_or(Broken)?);
    }
    let context = kit.zstd.as_mut().ok_or(Broken)?;
    context
        .set_parameter(CParameter::CompressionLevel(level.into()))
        .map_err(|_| Broken)?;
    let start = out.len();
    out.resize(start + zstd_safe::compress_bound(body.len()), 0);
    let room = out.get_mut(start..).ok_or(Broken)?;
    let size = context.compress2(room, body).map_err(|_| Broken)?;
    out.truncate(start + size);
    Ok(())
}

/// A coder for a stream: one that was given back, else a new one.
pub(super) fn take(shape: Shape) -> Result<Coder, Broken> {
    let spare = with_kit(|kit| {
        let at = kit.streams.iter().position(|(made, _)| *made == shape)?;
        Some(kit.streams.swap_remove(at).1)
    });
    spare.map_or_else(|| Coder::new(shape), Ok)
}

/// Gives a coder back whose stream has ended.
pub(super) fn give(shape: Shape, mut coder: Coder) {
    with_kit(|kit| {
        if kit.streams.len() < SPARE && coder.reset() {
            kit.streams.push((shape, coder));
        }
    });
}

/// Called now and then: what was not used since the last call is freed.
pub(crate) fn sweep() {
    KIT.with_borrow_mut(|kit| {
        if !std::mem::take(&mut kit.used) {
            *kit = Kit::default();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::testing::{decode, text};
    use super::*;

    #[test]
    fn every_body_comes_back_from_every_coding_and_level() {
        for (coding, levels) in [
            (Coding::Zstd, 1..=19),
            (Coding::Brotli, 1..=9),
            (Coding::Gzip, 1..=9),
        ] {
            for level in levels {
                for size in [0, 1, 1024, 70_000] {
                    let plain = text(size);
                    let mut coded = Vec::new();
                    encode(coding, level, &plain, &mut coded).expect("coded");
                    assert_eq!(
                        decode(coding, &coded),
                        (plain, true),
                        "{coding:?} {level} {size}"
                    );
                    assert!(
                        coded.len() <= size * 3 / 4 + 64,
                        "{coding:?} {level} {size}"
                    );
                }
            }
        }
    }

    #[test]
    fn coders_are_used_again_and_freed_when_nobody_needs_them() {
        sweep();
        sweep();
        let shape = Shape {
            coding: Coding::Gzip,
            level: 1,
            live: false,
        };
        for _ in 0..2 * SPARE {
            give(shape, Coder::new(shape).expect("a coder"));
        }
        let spare = || KIT.with_borrow(|kit| kit.streams.len());
        assert_eq!(spare(), SPARE);
        take(shape).expect("a coder");
        assert_eq!(spare(), SPARE - 1);
        sweep();
        assert_eq!(spare(), SPARE - 1, "it was used since");
        sweep();
        assert_eq!(spare(), 0);
    }
}
