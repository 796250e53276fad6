//! Headers as proxies write them, broken ones, and every header read back as it was written.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;

fn done(bytes: &[u8]) -> (Header, usize) {
    match decode(bytes) {
        Ok(Step::Done { header, length }) => (header, length),
        other => panic!("{other:?}"),
    }
}

fn client(from: &str, to: &str) -> Source {
    let addr = |text: &str| text.parse().expect("an address");
    Source::Client {
        from: addr(from),
        to: addr(to),
    }
}

#[test]
fn version_1_is_a_line() {
    let line = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\nGET /";
    let (header, length) = done(line);
    assert_eq!(header.source, client("192.0.2.1:56324", "198.51.100.7:443"));
    assert_eq!(&line[length..], b"GET /");
    let (header, _) = done(b"PROXY TCP6 2001:db8::1 ::ffff:1.2.3.4 1 0\r\n");
    assert_eq!(
        header.source,
        client("[2001:db8::1]:1", "[::ffff:1.2.3.4]:0")
    );
    for unknown in ["UNKNOWN", "UNKNOWN ffff::1 ::1 65535 65535", "UNKNOWN TCP4"] {
        let (header, _) = done(format!("PROXY {unknown}\r\n").as_bytes());
        assert_eq!(header.source, Source::Connection, "{unknown}");
    }
}

#[test]
fn version_1_is_refused_when_it_is_not_exact() {
    for line in [
        "TCP4 192.0.2.1 198.51.100.7 56324 443\n",
        "TCP4 192.0.2.1 198.51.100.7 56324\r\n",
        "TCP4 192.0.2.1 198.51.100.7 56324 443 1\r\n",
        "TCP4  192.0.2.1 198.51.100.7 56324 443\r\n",
        "TCP4 192.0.2.1 198.51.100.7 056324 443\r\n",
        "TCP4 192.0.2.1 198.51.100.7 65536 443\r\n",
        "TCP4 192.0.2.1 198.51.100.7 +1 443\r\n",
        "TCP4 192.0.2.01 198.51.100.7 1 443\r\n",
        "TCP4 ::1 ::1 1 443\r\n",
        "TCP6 192.0.2.1 198.51.100.7 1 443\r\n",
        "UDP4 192.0.2.1 198.51.100.7 1 443\r\n",
        "unknown\r\n",
        "\r\n",
        "TCP4 \u{fffd} 198.51.100.7 1 443\r\n",
    ] {
        assert!(
            decode(format!("PROXY {line}").as_bytes()).is_err(),
            "{line:?}"
        );
    }
}

#[test]
fn version_1_has_at_most_107_bytes() {
    let line = |length: usize| format!("PROXY UNKNOWN {}\r\n", "x".repeat(length - 16));
    assert_eq!(line(MAX_V1).len(), MAX_V1);
    assert_eq!(done(line(MAX_V1).as_bytes()).1, MAX_V1);
    assert_eq!(decode(line(MAX_V1 + 1).as_bytes()), Err(Malformed::TooLong));
    let unended = [b'x'; 200];
    let unended = [b"PROXY UNKNOWN ", &unended[..]].concat();
    assert_eq!(decode(&unended[..MAX_V1 - 1]), Ok(Step::NeedMore));
    assert_eq!(decode(&unended[..MAX_V1]), Err(Malformed::TooLong));
}

/// Version, family and what follows.
fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = v2::SIGNATURE.to_vec();
    bytes.extend([command, family]);
    bytes.extend((body.len() as u16).to_be_bytes());
    bytes.extend(body);
    bytes
}

const ADDRS4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 7, 0xdc, 0x04, 1, 187];

#[test]
fn version_2_has_addresses_and_fields() {
    let (header, length) = done(&[&v2(0x21, 0x11, &ADDRS4)[..], b"GET"].concat());
    let whole = client("192.0.2.1:56324", "198.51.100.7:443");
    assert_eq!((header.source, length), (whole, 28));
    // A field that nobody knows, a NOOP, the client's TLS with a name inside.
    let tls: &[u8] = &[0x20, 0, 11, 1, 0, 0, 0, 0, 0x22, 0, 3, b'c', b'n', b'!'];
    let fields = [&ADDRS4[..], &[0xee, 0, 1, 7], &[0x04, 0, 0], tls].concat();
    let (header, _) = done(&v2(0x21, 0x11, &fields));
    assert_eq!((header.source, header.tls), (whole, Some(true)));
    // Nobody in particular: health checks, unix sockets, datagrams.
    for (command, family, size) in [
        (0x20, 0x00, 0),
        (0x20, 0x11, 12),
        (0x21, 0x00, 0),
        (0x21, 0x31, 216),
        (0x21, 0x12, 12),
    ] {
        let (header, _) = done(&v2(command, family, &vec![1; size]));
        assert_eq!(header.source, Source::Connection);
        assert_eq!(header.tls, None);
    }
}

#[test]
fn version_2_is_refused_when_it_is_not_exact() {
    for (command, family, body, why) in [
        (0x31, 0x11, &ADDRS4[..], Malformed::Unknown),
        (0x11, 0x11, &ADDRS4, Malformed::Unknown),
        (0x22, 0x11, &ADDRS4, Malformed::Unknown),
        (0x21, 0x41, &ADDRS4, Malformed::BadAddress),
        (0x21, 0x11, &ADDRS4[..11], Malformed::BadAddress),
        (0x21, 0x21, &ADDRS4, Malformed::BadAddress),
        (0x21, 0x00, &[4, 0], Malformed::BadField),
        (0x21, 0x00, &[4, 0, 1], Malformed::BadField),
        (0x21, 0x00, &[0x20, 0, 0], Malformed::BadField),
        (0x21, 0x00, &[3, 0, 3, 1, 2, 3], Malformed::BadField),
        (0x21, 0x00, &[3, 0, 4, 1, 2, 3, 4], Malformed::BadChecksum),
    ] {
        assert_eq!(decode(&v2(command, family, body)), Err(why), "{body:?}");
    }
    let mut fields = vec![4];
    fields.extend((MAX_V2 as u16 - 19).to_be_bytes());
    fields.resize(MAX_V2 - 16, 0);
    assert_eq!(done(&v2(0x21, 0, &fields)).1, MAX_V2);
    fields.push(0);
    assert_eq!(decode(&v2(0x21, 0, &fields)), Err(Malformed::TooLong));
}

#[test]
fn the_checksum_is_over_all_but_itself() {
    let fields = [&ADDRS4[..], &[3, 0, 4, 0, 0, 0, 0, 4, 0, 0]].concat();
    let mut bytes = v2(0x21, 0x11, &fields);
    let sum = crc32c::sum(&[&bytes]);
    bytes[31..35].copy_from_slice(&sum.to_be_bytes());
    done(&bytes);
    bytes[20] ^= 1;
    assert_eq!(decode(&bytes), Err(Malformed::BadChecksum));
}

#[test]
fn what_begins_otherwise_is_no_header() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"PRI * HTTP/2.0\r\n",
        b"PROXX",
        b"\r\n\r\n\r\n",
    ] {
        assert_eq!(decode(bytes), Ok(Step::Absent), "{bytes:?}");
    }
    for bytes in [
        &b""[..],
        b"P",
        b"PROXY",
        b"PROXY ",
        b"\r",
        b"\r\n\r\n\0\r\nQUIT\n",
    ] {
        assert_eq!(decode(bytes), Ok(Step::NeedMore), "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(from: SocketAddr, to: SocketAddr, v1: bool, rest: Vec<u8>) {
        let version = if v1 { Version::V1 } else { Version::V2 };
        let mut bytes = Vec::new();
        write(&mut bytes, version, Some((from, to)));
        let length = bytes.len();
        prop_assert!(!v1 || length <= MAX_V1);
        bytes.extend(&rest);
        for cut in 0..length {
            prop_assert_eq!(decode(&bytes[..cut]), Ok(Step::NeedMore));
        }
        let (header, used) = done(&bytes);
        let Source::Client { from: read_from, to: read_to } = header.source else {
            panic!("no client");
        };
        let plain = |addr: SocketAddr| (addr.ip().to_canonical(), addr.port());
        prop_assert_eq!(used, length);
        prop_assert_eq!((plain(read_from), plain(read_to)), (plain(from), plain(to)));
        for (ends, local) in [(None, false), (None, true)] {
            let mut bytes = Vec::new();
            match local {
                true => write_local(&mut bytes, version),
                false => write(&mut bytes, version, ends),
            }
            prop_assert_eq!(done(&bytes).0.source, Source::Connection);
        }
    }

    #[test]
    fn any_bytes_have_one_outcome_however_they_come(
        mut bytes in prop::collection::vec(any::<u8>(), 0..400),
        start in 0..4_usize,
    ) {
        let start: &[u8] = match start {
            0 => v2::SIGNATURE,
            1 => b"PROXY TCP4 1.2.3.4 ",
            2 => b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x20",
            _ => b"",
        };
        bytes.splice(..0, start.iter().copied());
        let whole = decode(&bytes);
        for cut in 0..bytes.len() {
            match decode(&bytes[..cut]) {
                Ok(Step::NeedMore) => {}
                early => {
                    prop_assert_eq!(early, whole);
                    break;
                }
            }
        }
    }
}
