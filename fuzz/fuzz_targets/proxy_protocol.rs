//! A PROXY protocol header: never a panic, one outcome however the bytes come, and what was read,
//! written anew, is read again. Started by `cargo xtask fuzz proxy_protocol`.

#![no_main]

use quaich_proto::proxy_protocol::{Source, Step, Version, decode, write};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let whole = decode(data);
    for cut in 0..data.len() {
        match decode(&data[..cut]) {
            Ok(Step::NeedMore) => {}
            early => {
                assert_eq!(early, whole);
                break;
            }
        }
    }
    let Ok(Step::Done { header, length }) = whole else {
        return;
    };
    assert!(length <= data.len());
    if let Source::Client { from, to } = header.source {
        for version in [Version::V1, Version::V2] {
            let mut wire = Vec::new();
            write(&mut wire, version, Some((from, to)));
            let again = decode(&wire);
            assert!(matches!(again, Ok(Step::Done { length, .. }) if length == wire.len()));
        }
    }
});
