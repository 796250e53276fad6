//! The head of a response of CGI: never a panic, the same outcome in two pieces and byte by byte.
//! Started by `cargo xtask fuzz cgi_head`.

#![no_main]

use quaich_fuzz::wires::{of_cgi, same_however_cut};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    same_however_cut(data, &[of_cgi]);
});
