//! The MD5 scheme of Apache's htpasswd and of crypt(3): a thousand rounds of MD5.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use md5::{Digest, Md5};

/// Of htpasswd.
pub(super) const APACHE: &str = "$apr1$";

/// Of crypt(3): another first word is all that differs.
pub(super) const CRYPT: &str = "$1$";

const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Salt and sum; `None` = the text is damaged.
pub(super) fn parts<'t>(text: &'t str, magic: &str) -> Option<(&'t [u8], &'t [u8])> {
    let (salt, sum) = text.strip_prefix(magic)?.split_once('$')?;
    let fits = |byte: u8| ALPHABET.contains(&byte);
    let whole = salt.len() <= 8 && sum.len() == 22 && sum.bytes().all(fits);
    whole.then_some((salt.as_bytes(), sum.as_bytes()))
}

/// Whether `password` is that of `text`.
pub(super) fn verify(password: &[u8], text: &str, magic: &str) -> bool {
    let Some((salt, sum)) = parts(text, magic) else {
        return false;
    };
    let own = encode(&sum_of(password, salt, magic.as_bytes()));
    verify_slices_are_equal(&own, sum).is_ok()
}

fn sum_of(password: &[u8], salt: &[u8], magic: &[u8]) -> [u8; 16] {
    let inner: [u8; 16] = Md5::new()
        .chain_update(password)
        .chain_update(salt)
        .chain_update(password)
        .finalize()
        .into();
    let mut outer = Md5::new();
    outer.update(password);
    outer.update(magic);
    outer.update(salt);
    for piece in password.chunks(16) {
        outer.update(inner.get(..piece.len()).unwrap_or_default());
    }
    let mut length = password.len();
    while length > 0 {
        match length & 1 {
            1 => outer.update([0]),
            _ => outer.update(password.get(..1).unwrap_or_default()),
        }
        length >>= 1;
    }
    let mut sum: [u8; 16] = outer.finalize().into();
    for round in 0..1000 {
        let (first, last): (&[u8], &[u8]) = match round % 2 {
            0 => (&sum, password),
            _ => (password, &sum),
        };
        let mut next = Md5::new();
        next.update(first);
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(last);
        sum = next.finalize().into();
    }
    sum
}

/// In the order and the digits of crypt(3).
fn encode(sum: &[u8; 16]) -> [u8; 22] {
    const ORDER: [[usize; 3]; 5] = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]];
    let mut text = [0; 22];
    let mut places = text.iter_mut();
    let mut push = |mut bits: u32, digits: usize| {
        for place in places.by_ref().take(digits) {
            *place = ALPHABET[(bits & 63) as usize];
            bits >>= 6;
        }
    };
    for [a, b, c] in ORDER {
        push(
            u32::from(sum[a]) << 16 | u32::from(sum[b]) << 8 | u32::from(sum[c]),
            4,
        );
    }
    push(u32::from(sum[11]), 2);
    text
}
