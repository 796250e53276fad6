//! A chunked body: never a panic, and the same data in two pieces and byte by byte; what was read,
//! written anew, is read again. Started by `cargo xtask fuzz chunked`.

#![no_main]

use quaich_fuzz::outcome;
use quaich_proto::h1::{LAST_CHUNK, chunk_head};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&cut, input)) = data.split_first() else {
        return;
    };
    let whole = outcome::dechunk(input, &[]);
    assert_eq!(
        outcome::dechunk(input, &[usize::from(cut).min(input.len())]),
        whole
    );
    let each: Vec<usize> = (0..input.len()).collect();
    assert_eq!(outcome::dechunk(input, &each), whole);
    if let Ok((body, _, true)) = whole {
        let mut wire = Vec::new();
        if !body.is_empty() {
            chunk_head(&mut wire, body.len());
            wire.extend_from_slice(&body);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(LAST_CHUNK);
        assert_eq!(outcome::dechunk(&wire, &[]), Ok((body, &[][..], true)));
    }
});
