//! Decoders that read what has come so far, as browsers do.

use std::io::Write;

/// What can be read of `coded`, and whether that is all of it.
#[track_caller]
pub(super) fn decode(coding: &str, coded: &[u8]) -> (Vec<u8>, bool) {
    match coding {
        "gzip" => gzip(coded),
        "br" => brotli(coded),
        "zstd" => zstd(coded),
        other => panic!("no such coding: {other}"),
    }
}

/// The text of a body that must be complete.
#[track_caller]
pub(super) fn whole(coding: &str, coded: &[u8]) -> String {
    let (plain, ended) = decode(coding, coded);
    assert!(ended, "{coding} was cut after {} bytes", plain.len());
    String::from_utf8(plain).expect("text")
}

fn gzip(coded: &[u8]) -> (Vec<u8>, bool) {
    let mut plain = Vec::new();
    let mut decoder = flate2::write::GzDecoder::new(&mut plain);
    decoder.write_all(coded).expect("gzip");
    // At the end of what has come so far it has nothing to complain about.
    let _ = decoder.flush();
    let ended = decoder.finish().is_ok();
    (plain, ended)
}

fn brotli(coded: &[u8]) -> (Vec<u8>, bool) {
    let mut plain = Vec::new();
    let mut decoder = brotli::DecompressorWriter::new(&mut plain, 4096);
    decoder.write_all(coded).expect("brotli");
    let ended = decoder.close().is_ok();
    drop(decoder);
    (plain, ended)
}

fn zstd(coded: &[u8]) -> (Vec<u8>, bool) {
    let mut plain = Vec::new();
    let mut context = zstd_safe::DCtx::create();
    let mut input = zstd_safe::InBuffer::around(coded);
    loop {
        plain.reserve(64 * 1024);
        let (end, before) = (plain.len(), input.pos());
        let mut output = zstd_safe::OutBuffer::around_pos(&mut plain, end);
        let left = context.decompress_stream(&mut output, &mut input);
        let left = left.expect("zstd");
        if left == 0 || (plain.len() == end && input.pos() == before) {
            return (plain, left == 0);
        }
    }
}
