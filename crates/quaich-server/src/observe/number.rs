//! Numbers and addresses as text, without `std::fmt`: its machinery costs more than all the rest
//! of a log line.
//!
//! Called by the access log formats and by `forwarded`.

use std::net::{IpAddr, Ipv6Addr};

/// Appends `value` in decimal.
pub(crate) fn decimal(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0u8; 20];
    let mut rest = value;
    let mut used = 0;
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + (rest % 10) as u8;
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[20 - used..]);
}

/// Appends microseconds as milliseconds with three places: `1.234`.
pub(super) fn millis(out: &mut Vec<u8>, micros: u64) {
    decimal(out, micros / 1000);
    let part = micros % 1000;
    let digit = |value: u64| b'0' + (value % 10) as u8;
    out.extend_from_slice(&[b'.', digit(part / 100), digit(part / 10), digit(part)]);
}

/// Appends a client address; the peer of a unix socket is `unix`.
pub(crate) fn client(out: &mut Vec<u8>, client: Option<IpAddr>) {
    match client.map(|address| address.to_canonical()) {
        None => out.extend_from_slice(b"unix"),
        Some(IpAddr::V4(address)) => {
            for (i, octet) in address.octets().into_iter().enumerate() {
                if i > 0 {
                    out.push(b'.');
                }
                decimal(out, u64::from(octet));
            }
        }
        Some(IpAddr::V6(address)) => ipv6(out, address),
    }
}

/// RFC 5952: lower case, no leading zeros, the first longest run of two or more zero groups is
/// `::`.
fn ipv6(out: &mut Vec<u8>, address: Ipv6Addr) {
    let groups = address.segments();
    let (run_start, run_length) = longest_zero_run(&groups);
    let mut at = 0;
    for (i, group) in groups.into_iter().enumerate() {
        if i < at {
            continue;
        }
        if run_length > 1 && i == run_start {
            out.extend_from_slice(b"::");
            at = run_start + run_length;
            continue;
        }
        let after_run = run_length > 1 && i == run_start + run_length;
        if i > 0 && !after_run {
            out.push(b':');
        }
        hexadecimal(out, group);
        at = i + 1;
    }
}

fn longest_zero_run(groups: &[u16; 8]) -> (usize, usize) {
    let (mut best, mut current) = ((0, 0), (0, 0));
    for (i, group) in groups.iter().enumerate() {
        current = match (*group, current) {
            (0, (_, 0)) => (i, 1),
            (0, (start, length)) => (start, length + 1),
            _ => (0, 0),
        };
        if current.1 > best.1 {
            best = current;
        }
    }
    best
}

fn hexadecimal(out: &mut Vec<u8>, group: u16) {
    let significant = (16 - group.leading_zeros()).div_ceil(4).max(1);
    for place in (0..significant).rev() {
        let nibble = (group >> (4 * place)) as u8 & 15;
        out.push(if nibble < 10 {
            b'0' + nibble
        } else {
            b'a' + nibble - 10
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    fn text(f: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        f(&mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn millis_have_three_places() {
        assert_eq!(text(|o| millis(o, 0)), "0.000");
        assert_eq!(text(|o| millis(o, 1_002)), "1.002");
        assert_eq!(text(|o| millis(o, 98_765_432)), "98765.432");
    }

    #[test]
    fn a_mapped_address_is_shown_as_ipv4_and_a_socket_without_address_as_unix() {
        let mapped = Ipv4Addr::new(192, 0, 2, 9).to_ipv6_mapped();
        assert_eq!(text(|o| client(o, Some(IpAddr::V6(mapped)))), "192.0.2.9");
        assert_eq!(text(|o| client(o, None)), "unix");
    }

    proptest! {
        #[test]
        fn decimals_agree_with_the_standard_library(value: u64) {
            prop_assert_eq!(text(|o| decimal(o, value)), value.to_string());
        }

        #[test]
        fn addresses_agree_with_the_standard_library(
            bits: u128,
            mask in proptest::collection::vec(any::<bool>(), 8),
        ) {
            let zeroed = mask.iter().fold(0u128, |m, &keep| m << 16 | if keep { 0xffff } else { 0 });
            for address in [bits, bits & zeroed, bits & zeroed & (zeroed >> 12)] {
                let address = IpAddr::V6(Ipv6Addr::from_bits(address)).to_canonical();
                prop_assert_eq!(text(|o| client(o, Some(address))), address.to_string());
            }
        }
    }
}
