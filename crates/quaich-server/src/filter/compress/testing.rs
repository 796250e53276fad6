//! What the tests of coders need: bodies, and decoders other than those of the tested code.

use std::io::{Read, Write};

use quaich_proto::coding::Coding;

/// `size` bytes of text that compresses as text does.
pub(super) fn text(size: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let words = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        format!("word{} ", (state >> 16) % 200)
    });
    words.flat_map(String::into_bytes).take(size).collect()
}

/// What can be read of `coded`, and whether that is all of it.
pub(super) fn decode(coding: Coding, coded: &[u8]) -> (Vec<u8>, bool) {
    let mut plain = Vec::new();
    let ended = match coding {
        Coding::Gzip => {
            let mut decoder = flate2::write::GzDecoder::new(&mut plain);
            decoder.write_all(coded).expect("gzip");
            let _ = decoder.flush();
            decoder.finish().is_ok()
        }
        Coding::Brotli => {
            // Gives out all that can be read before it misses the rest.
            let mut decoder = brotli::Decompressor::new(coded, 4096);
            decoder.read_to_end(&mut plain).is_ok()
        }
        Coding::Zstd => {
            let mut context = zstd_safe::DCtx::create();
            let mut input = zstd_safe::InBuffer::around(coded);
            loop {
                plain.reserve(4096);
                let (end, before) = (plain.len(), input.pos());
                let mut output = zstd_safe::OutBuffer::around_pos(&mut plain, end);
                let left = context.decompress_stream(&mut output, &mut input);
                let left = left.expect("zstd");
                if left == 0 || (plain.len() == end && input.pos() == before) {
                    break left == 0;
                }
            }
        }
    };
    (plain, ended)
}
