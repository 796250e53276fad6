//! Numbers for what requests and servers are told apart by, the same in every process: what `balance`
//! and `sticky` choose by.

use std::net::IpAddr;

/// Of any bytes (FNV-1a, its bits spread).
pub fn of(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

/// Of the address of a client. An IPv6 client may have any address of its /64.
pub fn of_address(addr: IpAddr) -> u64 {
    match addr {
        IpAddr::V4(addr) => of(&addr.octets()),
        IpAddr::V6(addr) => of(&(addr.to_bits() >> 64).to_be_bytes()),
    }
}

/// Spreads the bits of a number over all of it (Stafford's 13th variant).
pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_ipv6_network_are_one() {
        let of = |text: &str| of_address(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
