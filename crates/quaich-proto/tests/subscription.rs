//! Announcements: what uWSGI sends, what nobody sends, and every way to cut it.

use proptest::collection::vec;
use proptest::prelude::*;
use quaich_proto::subscription::{
    Algorithm, Announcement, Command, MAX_PACKET, PacketBuilder, Signature, parse,
};

/// In the order of uWSGI 2.0.21.
fn usual() -> PacketBuilder {
    let mut packet = PacketBuilder::new(Command::Subscribe);
    packet
        .pair("key", b"shop.example:8000")
        .pair("address", b"127.0.0.1:3031")
        .pair("modifier1", b"0")
        .pair("modifier2", b"0")
        .pair("cores", b"2")
        .pair("load", b"0")
        .pair("weight", b"0");
    packet
}

#[test]
fn an_announcement_of_uwsgi_is_read() {
    let bytes = usual().finish();
    let expected = Announcement {
        command: Command::Subscribe,
        key: "shop.example:8000",
        address: "127.0.0.1:3031",
        modifiers: (0, 0),
        cores: 2,
        load: 0,
        weight: 1,
        backup: 0,
        http: false,
        algorithm: None,
        notify: None,
        names_files: false,
        unix: None,
        signature: None,
    };
    assert_eq!(parse(&bytes), Ok(expected));
}

#[test]
fn the_signature_is_over_everything_before_it_but_the_head() {
    let mut packet = usual();
    packet.pair("unix", b"1700000000");
    let signed = packet.to_sign().to_vec();
    packet.pair("sign", b"\x01\x02");
    let bytes = packet.finish();
    let found = parse(&bytes).expect("well formed");
    let signature = Signature {
        signed: &signed,
        sign: b"\x01\x02",
    };
    assert_eq!(
        (found.unix, found.signature),
        (Some(1_700_000_000), Some(signature))
    );
    // signed bytes = all but the head and the pair of the signature
    assert_eq!(signed.len(), bytes.len() - 4 - (2 + 4 + 2 + 2));
}

#[test]
fn what_is_not_signed_cannot_stand_in_a_signed_packet() {
    let after = |name: &str| {
        let mut packet = usual();
        packet
            .pair("unix", b"1")
            .pair("sign", b"x")
            .pair(name, b"y");
        parse(&packet.finish()).is_err()
    };
    assert!(after("address") && after("sign") && after("whatever"));
    let mut packet = usual();
    packet.pair("sign", b"x");
    assert!(parse(&packet.finish()).is_err(), "no time");
}

#[test]
fn other_fields_are_read() {
    let mut packet = usual();
    packet
        .pair("weight", b"7")
        .pair("backup", b"2")
        .pair("proto", b"http")
        .pair("algo", b"lrc")
        .pair("notify", b"127.0.0.1:9")
        .pair("sni_key", b"/etc/passwd")
        .pair("vassal", b"x");
    let bytes = packet.finish();
    let found = parse(&bytes).expect("well formed");
    assert_eq!((found.weight, found.backup, found.http), (7, 2, true));
    assert_eq!(found.algorithm, Some(Algorithm::LeastBusy));
    assert_eq!(
        (found.notify, found.names_files),
        (Some("127.0.0.1:9"), true)
    );
}

#[test]
fn what_is_no_announcement_is_refused() {
    let good = usual().finish();
    for cut in 0..good.len() {
        assert!(parse(&good[..cut]).is_err(), "cut at {cut}");
    }
    let with = |key: &str, value: &[u8]| {
        let mut packet = usual();
        packet.pair(key, value);
        parse(&packet.finish()).is_err()
    };
    assert!(with("key", &[b'a'; 256]) && with("key", b"") && with("key", b"a b"));
    assert!(with("address", b"127.0.0.1:1\n") && with("weight", b"-1"));
    assert!(with("modifier1", b"256") && with("unix", b"99999999999999999999"));
    assert!(with("x", &[0; MAX_PACKET]));
    for (place, byte) in [(0, 0), (3, 2), (1, 0xff)] {
        let mut bad = good.clone();
        bad[place] = byte;
        assert!(parse(&bad).is_err(), "byte {place}");
    }
}

proptest! {
    #[test]
    fn no_datagram_makes_reading_panic(bytes in vec(any::<u8>(), 0..300), honest: bool) {
        let mut bytes = bytes;
        if honest && let Ok(length) = u16::try_from(bytes.len()) {
            let [low, high] = length.to_le_bytes();
            bytes.splice(0..0, [224, low, high, 0]);
        }
        let _ = parse(&bytes);
    }

    #[test]
    fn what_is_written_is_read(
        key in "[!-~]{1,255}",
        address in "[!-~]{1,255}",
        (weight, backup) in (1_u32..=65_535, any::<u32>()),
        modifiers in any::<(u8, u8)>(),
        unix in any::<Option<u64>>(),
    ) {
        let mut packet = PacketBuilder::new(Command::Unsubscribe);
        packet.pair("key", key.as_bytes()).pair("address", address.as_bytes());
        packet.pair("weight", weight.to_string().as_bytes());
        packet.pair("backup", backup.to_string().as_bytes());
        packet.pair("modifier1", modifiers.0.to_string().as_bytes());
        packet.pair("modifier2", modifiers.1.to_string().as_bytes());
        if let Some(unix) = unix {
            packet.pair("unix", unix.to_string().as_bytes());
        }
        let bytes = packet.finish();
        let found = parse(&bytes).expect("well formed");
        prop_assert_eq!(found.command, Command::Unsubscribe);
        prop_assert_eq!((found.key, found.address), (key.as_str(), address.as_str()));
        prop_assert_eq!((found.weight, found.backup), (weight, backup));
        prop_assert_eq!((found.modifiers, found.unix), (modifiers, unix));
    }
}
