//! The id of a request: in the log, on error pages, in the app's environment and upstream.
//!
//! The data path calls [`next`] once per request. An id is unique, not secret: it must never serve
//! as a token.

use std::cell::RefCell;

use rustix::rand::{GetRandomFlags, getrandom};

/// Longest id that is taken over from a trusted peer, bytes.
pub const MAX_ACCEPTED: usize = 128;

/// An id: 32 lower-case hexadecimal digits (128 bits, the form of a W3C trace id), or what a
/// trusted peer sent.
#[derive(Clone, Copy)]
pub struct RequestId {
    text: [u8; MAX_ACCEPTED],
    length: u8,
}

impl Default for RequestId {
    /// No id yet: empty.
    fn default() -> Self {
        Self {
            text: [0; MAX_ACCEPTED],
            length: 0,
        }
    }
}

impl std::fmt::Debug for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RequestId({})", self.as_bytes().escape_ascii())
    }
}

impl RequestId {
    /// The id as text, `[A-Za-z0-9._-]`.
    pub fn as_bytes(&self) -> &[u8] {
        self.text
            .get(..usize::from(self.length))
            .unwrap_or_default()
    }

    /// `None` when `id` does not have the form of [`is_valid`].
    fn accepted(id: &[u8]) -> Option<Self> {
        let mut this = Self {
            length: u8::try_from(id.len()).ok()?,
            ..Self::default()
        };
        this.text
            .get_mut(..id.len())
            .filter(|_| is_valid(id))?
            .copy_from_slice(id);
        Some(this)
    }
}

thread_local! {
    static IDS: RefCell<RequestIds> = RefCell::new(RequestIds::new());
}

/// The id of the next request of this thread: `given`, if it is valid, else a new one. Only what a
/// trusted peer sent in `X-Request-ID` may be given. Makes no system call but the thread's first.
pub fn next(given: Option<&[u8]>) -> RequestId {
    given
        .and_then(RequestId::accepted)
        .unwrap_or_else(|| IDS.with_borrow_mut(RequestIds::next_id))
}

/// Whether `id` may be accepted: 1 to [`MAX_ACCEPTED`] bytes of `[A-Za-z0-9._-]`.
pub fn is_valid(id: &[u8]) -> bool {
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=MAX_ACCEPTED).contains(&id.len()) && id.iter().all(allowed)
}

/// Makes ids without a system call: a counter, mixed with two random 64-bit keys.
#[derive(Debug)]
struct RequestIds {
    counter: u64,
    key: u64,
}

impl RequestIds {
    fn new() -> Self {
        let mut seed = [0u8; 16];
        // The kernel interrupts no request of up to 256 bytes; it fails only where a sandbox
        // forbids it, and there ids are unique by process and time instead.
        if !matches!(getrandom(&mut seed, GetRandomFlags::empty()), Ok(16)) {
            seed = fallback_seed();
        }
        let seed = u128::from_le_bytes(seed);
        Self {
            counter: mix(seed as u64),
            key: mix((seed >> 64) as u64),
        }
    }

    /// The next id. No id of this generator repeats within 2^64 calls.
    fn next_id(&mut self) -> RequestId {
        self.counter = self.counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let high = mix(self.counter);
        let low = mix(self.counter ^ self.key);
        let mut id = RequestId {
            length: 32,
            ..RequestId::default()
        };
        write_hex(&mut id.text[..16], high);
        write_hex(&mut id.text[16..32], low);
        id
    }
}

fn fallback_seed() -> [u8; 16] {
    let wall = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    let thread = rustix::thread::gettid().as_raw_nonzero().get();
    let time = (wall.tv_sec as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(wall.tv_nsec as u64);
    (u128::from(time) << 64 | u128::from(thread as u32)).to_le_bytes()
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_lower_case_hex_and_differ_between_calls_and_threads() {
        let many = || (0..10_000).map(|_| next(None)).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(many)).collect();
        let mut seen = HashSet::new();
        for thread in threads {
            for id in thread.join().expect("no panic") {
                let text = id.as_bytes();
                assert_eq!(text.len(), 32);
                assert!(
                    text.iter()
                        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b))
                );
                assert!(seen.insert(text.to_vec()), "an id came twice");
            }
        }
    }

    #[test]
    fn every_digit_of_an_id_varies() {
        let sample: Vec<RequestId> = (0..1000).map(|_| next(None)).collect();
        for at in 0..32 {
            let digits: HashSet<u8> = sample.iter().map(|id| id.as_bytes()[at]).collect();
            assert_eq!(digits.len(), 16, "digit {at}");
        }
    }

    #[test]
    fn a_valid_given_id_is_taken_over() {
        let longest = [b'a'; MAX_ACCEPTED];
        for given in [&b"abc.DEF_1-2"[..], &longest] {
            assert_eq!(next(Some(given)).as_bytes(), given);
        }
    }

    #[test]
    fn a_given_id_of_the_wrong_form_is_replaced() {
        let too_long = [b'a'; MAX_ACCEPTED + 1];
        let far_too_long = [b'a'; 300];
        for given in [
            &b""[..],
            b"a b",
            b"<script>",
            b"\xff",
            &too_long,
            &far_too_long,
        ] {
            assert_eq!(next(Some(given)).as_bytes().len(), 32);
        }
    }
}
