//! A response, head and body: never a panic, the same outcome in two pieces and byte by byte, and of
//! the head what the reference parser says. Started by `cargo xtask fuzz response_head`.

#![no_main]

use quaich_fuzz::outcome;
use quaich_fuzz::response_reference::disagreement;
use quaich_proto::method::Method;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&cut, input)) = data.split_first() else {
        return;
    };
    let cut = usize::from(cut).min(input.len());
    let whole = outcome::of_response(input, &[]);
    assert_eq!(outcome::of_response(input, &[cut]), whole, "cut at {cut}");
    let each: Vec<usize> = (0..input.len()).collect();
    assert_eq!(outcome::of_response(input, &each), whole, "byte by byte");
    for method in [Method::Get, Method::Head] {
        assert_eq!(disagreement(input, &outcome::LIMITS, method), None);
    }
});
