//! The id of a request: in the log, on error pages, in the app's environment and upstream.
//!
//! Each front thread owns one [`RequestIds`]. An id is unique, not secret: it must never serve as
//! a token.

use quaich_proto::headers::{HeaderId, Headers};
use rustix::rand::{GetRandomFlags, getrandom};

/// Longest id that is taken over from a trusted peer, bytes.
pub const MAX_ACCEPTED: usize = 128;

/// 128 bits as 32 lower-case hexadecimal digits, the form of a W3C trace id.
pub type RequestId = [u8; 32];

/// Makes ids without a system call: a counter, mixed with two random 64-bit keys.
#[derive(Debug)]
pub struct RequestIds {
    counter: u64,
    key: u64,
}

impl RequestIds {
    /// Seeds the generator from the kernel. Fails only where `getrandom(2)` does.
    pub fn new() -> std::io::Result<Self> {
        let mut seed = [0u8; 16];
        let mut filled = 0;
        while filled < seed.len() {
            match getrandom(&mut seed[filled..], GetRandomFlags::empty()) {
                Ok(count) => filled += count,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let seed = u128::from_le_bytes(seed);
        Ok(Self {
            counter: seed as u64,
            key: (seed >> 64) as u64,
        })
    }

    /// The next id. No id of this generator repeats within 2^64 calls.
    pub fn next_id(&mut self) -> RequestId {
        self.counter = self.counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let high = mix(self.counter);
        let low = mix(self.counter ^ self.key);
        let mut text = [0; 32];
        write_hex(&mut text[..16], high);
        write_hex(&mut text[16..], low);
        text
    }
}

/// Stafford's 13th variant of the 64-bit finaliser of MurmurHash3: a bijection, so different
/// counters give different halves.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn write_hex(out: &mut [u8], value: u64) {
    for (pair, byte) in out.chunks_exact_mut(2).zip(value.to_be_bytes()) {
        pair[0] = hex(byte >> 4);
        pair[1] = hex(byte & 15);
    }
}

fn hex(nibble: u8) -> u8 {
    if nibble < 10 {
        b'0' + nibble
    } else {
        b'a' + nibble - 10
    }
}

/// The id that a client sent in `X-Request-ID`, if `trusted` and of 1 to [`MAX_ACCEPTED`] bytes
/// `[A-Za-z0-9._-]`. Two such fields are none: nobody could say which one the logs mean.
pub fn accepted(headers: &Headers, trusted: bool) -> Option<&[u8]> {
    if !trusted {
        return None;
    }
    let mut ids = headers.get_all(HeaderId::XRequestId);
    let id = ids.next()?;
    (ids.next().is_none() && is_valid(id)).then_some(id)
}

/// Whether `id` has the form that [`accepted`] asks for.
pub fn is_valid(id: &[u8]) -> bool {
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=MAX_ACCEPTED).contains(&id.len()) && id.iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_lower_case_hex_and_differ_between_calls_and_generators() {
        let mut seen = HashSet::new();
        for _ in 0..8 {
            let mut ids = RequestIds::new().expect("getrandom");
            for _ in 0..10_000 {
                let id = ids.next_id();
                assert!(
                    id.iter()
                        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b))
                );
                assert!(seen.insert(id), "an id came twice");
            }
        }
    }

    #[test]
    fn every_digit_of_an_id_varies() {
        let mut ids = RequestIds::new().expect("getrandom");
        let sample: Vec<RequestId> = (0..1000).map(|_| ids.next_id()).collect();
        for at in 0..32 {
            let digits: HashSet<u8> = sample.iter().map(|id| id[at]).collect();
            assert_eq!(digits.len(), 16, "digit {at}");
        }
    }

    fn headers(ids: &[&[u8]]) -> Headers {
        let mut headers = Headers::new();
        for id in ids {
            headers.push(b"X-Request-ID", id).expect("valid field");
        }
        headers
    }

    #[test]
    fn an_id_is_taken_from_a_trusted_peer_only() {
        let headers = headers(&[b"abc.DEF_1-2"]);
        assert_eq!(accepted(&headers, true), Some(&b"abc.DEF_1-2"[..]));
        assert_eq!(accepted(&headers, false), None);
    }

    #[test]
    fn an_id_of_the_wrong_form_is_refused() {
        let long = [b'a'; MAX_ACCEPTED + 1];
        assert_eq!(
            accepted(&headers(&[&long[1..]]), true).map(<[u8]>::len),
            Some(MAX_ACCEPTED)
        );
        let bad: [&[&[u8]]; 6] = [
            &[],
            &[b""],
            &[b"a b"],
            &[b"<script>"],
            &[&long],
            &[b"one", b"two"],
        ];
        for ids in bad {
            assert_eq!(accepted(&headers(ids), true), None, "{ids:?}");
        }
    }
}
