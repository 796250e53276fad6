//! FastCGI, both what a front server and what an application server sends: never a panic, the same outcome in two pieces and byte by byte.
//! Started by `cargo xtask fuzz fastcgi`.

#![no_main]

use quaich_fuzz::wires::{of_fastcgi_response, of_fastcgi_requests, same_however_cut};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    same_however_cut(data, &[of_fastcgi_response, of_fastcgi_requests]);
});
