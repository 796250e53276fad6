//! A request of uwsgi: never a panic, the same outcome in two pieces and byte by byte.
//! Started by `cargo xtask fuzz uwsgi`.

#![no_main]

use quaich_fuzz::wires::{of_uwsgi, same_however_cut};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    same_however_cut(data, &[of_uwsgi]);
});
