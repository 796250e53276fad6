//! A datagram of uWSGI's subscription protocol: never a panic, and what was understood means the
//! same when it is written anew. Started by `cargo xtask fuzz subscription`.

#![no_main]

use quaich_proto::subscription::{PacketBuilder, parse};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(found) = parse(data) else {
        return;
    };
    assert!(!found.key.is_empty() && !found.address.is_empty() && found.weight > 0);
    if let Some(signature) = found.signature {
        assert!(found.unix.is_some() && data[4..].starts_with(signature.signed));
    }
    let mut packet = PacketBuilder::new(found.command);
    packet.pair("key", found.key.as_bytes());
    packet.pair("address", found.address.as_bytes());
    packet.pair("weight", found.weight.to_string().as_bytes());
    let bytes = packet.finish();
    let again = parse(&bytes).expect("written by us");
    assert_eq!(
        (again.command, again.key, again.address, again.weight),
        (found.command, found.key, found.address, found.weight)
    );
});
