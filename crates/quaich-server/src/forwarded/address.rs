//! Addresses and ports as forwarding fields write them.
//!
//! Called by `forwarded` for bytes from outside: whatever is not exactly an address is none.

use std::net::{IpAddr, Ipv6Addr};

use quaich_config::model::Network;

/// A network of IPv4 addresses written as IPv6 (`::ffff:10.0.0.0/104`) as what it is.
pub fn canonical(network: &Network) -> Network {
    match (
        network.addr,
        network.addr.to_canonical(),
        network.prefix.checked_sub(96),
    ) {
        (IpAddr::V6(_), addr @ IpAddr::V4(_), Some(prefix)) => Network { addr, prefix },
        _ => *network,
    }
}

/// Whether the canonical `addr` lies in `network`.
pub fn is_within(addr: IpAddr, network: &Network) -> bool {
    let (difference, width) = match (addr, network.addr) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits() ^ b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits(), 128),
        _ => return false,
    };
    let free = width - u32::from(network.prefix).min(width);
    difference.checked_shr(free).unwrap_or(0) == 0
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`. A port may also
/// be obfuscated (RFC 7239 section 6.2); it is not looked at.
pub(super) fn parse(text: &[u8]) -> Option<IpAddr> {
    if let Some(rest) = text.strip_prefix(b"[") {
        let end = rest.iter().position(|&byte| byte == b']')?;
        let (inside, after) = (rest.get(..end)?, rest.get(end + 1..)?);
        let port_follows = matches!(after, [] | [b':', _, ..]);
        let address: Ipv6Addr = ascii(inside).filter(|_| port_follows)?.parse().ok()?;
        return Some(IpAddr::V6(address).to_canonical());
    }
    let mut parts = text.split(|&byte| byte == b':');
    let host = match (parts.next(), parts.next(), parts.next()) {
        (Some(host), Some(port), None) if !port.is_empty() => host,
        _ => text,
    };
    let address: IpAddr = ascii(host)?.parse().ok()?;
    Some(address.to_canonical())
}

/// A port in decimal, 1 to 65535.
pub(super) fn port(text: &[u8]) -> Option<u16> {
    let digits = ascii(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok().filter(|&port| port > 0)
}

fn ascii(text: &[u8]) -> Option<&str> {
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_addresses_with_and_without_port() {
        let cases = [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1:4711", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("[2001:db8::1]:_port", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
        ];
        for (text, address) in cases {
            assert_eq!(parse(text.as_bytes()), address.parse().ok(), "{text}");
        }
    }

    #[test]
    fn what_is_not_exactly_an_address_is_none() {
        for text in [
            "",
            "unknown",
            "_hidden",
            "192.0.2",
            "192.0.2.256",
            "192.0.2.1:",
            "192.0.2.1 ",
            "[192.0.2.1]",
            "[2001:db8::1",
            "[2001:db8::1]x",
            "[2001:db8::1]:",
            "example.org",
            "192.0.2.1:80:90",
            "0x7f.1",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        for text in ["", "0", "65536", "+80", "8o", "-1"] {
            assert_eq!(port(text.as_bytes()), None, "{text}");
        }
        assert_eq!(port(b"65535"), Some(65535));
    }

    fn network(addr: IpAddr, prefix: u8) -> Network {
        canonical(&Network { addr, prefix })
    }

    #[test]
    fn a_prefix_of_zero_is_everything_of_its_family() {
        let v4 = network("0.0.0.0".parse().expect("address"), 0);
        assert!(is_within("255.255.255.255".parse().expect("address"), &v4));
        assert!(!is_within("::1".parse().expect("address"), &v4));
        let v6 = network("::".parse().expect("address"), 0);
        assert!(is_within("ffff::".parse().expect("address"), &v6));
    }

    #[test]
    fn a_network_of_mapped_addresses_is_one_of_ipv4() {
        let mapped = network("::ffff:10.0.0.0".parse().expect("address"), 104);
        assert!(is_within("10.255.0.1".parse().expect("address"), &mapped));
        assert!(!is_within("11.0.0.1".parse().expect("address"), &mapped));
    }

    proptest! {
        #[test]
        fn an_address_is_within_as_long_as_the_first_bits_agree(
            bits: u128, flip in 0u32..128, prefix in 0u8..=128,
        ) {
            let network = Network { addr: IpAddr::V6(bits.into()), prefix };
            let other = IpAddr::V6((bits ^ (1 << (127 - flip))).into());
            prop_assert_eq!(is_within(other, &network), flip >= u32::from(prefix));
        }

        #[test]
        fn any_address_with_any_port_is_read_back(bits: u128, v4: u32, port: u16) {
            for socket in [
                std::net::SocketAddr::new(IpAddr::V6(bits.into()), port),
                std::net::SocketAddr::new(IpAddr::V4(v4.into()), port),
            ] {
                let canonical = Some(socket.ip().to_canonical());
                prop_assert_eq!(parse(socket.to_string().as_bytes()), canonical);
                prop_assert_eq!(parse(socket.ip().to_string().as_bytes()), canonical);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(text: Vec<u8>) {
            let _ = parse(&text);
            let _ = port(&text);
        }
    }
}
