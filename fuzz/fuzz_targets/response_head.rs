//! A response, head and body: never a panic, and the same outcome in two pieces and byte by byte.
//! Started by `cargo xtask fuzz response_head`.

#![no_main]

use quaich_fuzz::outcome;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&cut, input)) = data.split_first() else {
        return;
    };
    let cut = usize::from(cut).min(input.len());
    let whole = outcome::of_response(input, &[]);
    assert_eq!(outcome::of_response(input, &[cut]), whole, "cut at {cut}");
    let each: Vec<usize> = (0..input.len()).collect();
    assert_eq!(outcome::of_response(input, &each), whole, "byte by byte");
});
