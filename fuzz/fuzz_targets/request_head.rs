//! A request, head and body: never a panic, the same outcome in two pieces and byte by byte, and of
//! the head what the reference parser says, with usual and with tight limits. Started by `cargo xtask fuzz request_head`.

#![no_main]

use quaich_fuzz::agreement::disagreement;
use quaich_fuzz::outcome;
use quaich_proto::h1::Limits;

const TIGHT: Limits = Limits {
    max_uri: 16,
    max_field: 24,
    max_header: 60,
    max_headers: 3,
};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&cut, input)) = data.split_first() else {
        return;
    };
    let cut = usize::from(cut).min(input.len());
    let whole = outcome::of_request(input, &[]);
    assert_eq!(outcome::of_request(input, &[cut]), whole, "cut at {cut}");
    let each: Vec<usize> = (0..input.len()).collect();
    assert_eq!(outcome::of_request(input, &each), whole, "byte by byte");
    assert_eq!(disagreement(input, &outcome::LIMITS), None);
    assert_eq!(disagreement(input, &TIGHT), None);
});
