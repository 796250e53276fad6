//! Content codings, and which of them a client is sent (RFC 9110 section 12.5.3).
//!
//! Asked by whoever has a body in several forms or can make them. It must never choose a coding that
//! the client has not named or covered with `*`.

use crate::headers::{HeaderId, Headers};

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
    /// RFC 1952.
    Gzip,
}

/// How many there are.
const COUNT: usize = 3;

impl Coding {
    /// The value of `Content-Encoding`.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    fn from_token(token: &[u8]) -> Option<Self> {
        match token {
            _ if token.eq_ignore_ascii_case(b"br") => Some(Self::Brotli),
            _ if token.eq_ignore_ascii_case(b"zstd") => Some(Self::Zstd),
            _ if token.eq_ignore_ascii_case(b"gzip") => Some(Self::Gzip),
            _ if token.eq_ignore_ascii_case(b"x-gzip") => Some(Self::Gzip),
            _ => None,
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// What the client accepts, in thousandths; `None` = not named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Weights {
    codings: [Option<u16>; COUNT],
    identity: Option<u16>,
    any: Option<u16>,
}

impl Weights {
    fn add(&mut self, element: &[u8]) {
        let mut parts = element.split(|byte| *byte == b';');
        let token = parts.next().unwrap_or_default().trim_ascii();
        let weight = parts.find_map(quality).unwrap_or(1000);
        if token == b"*" {
            self.any = Some(weight);
        } else if token.eq_ignore_ascii_case(b"identity") {
            self.identity = Some(weight);
        } else if let Some(coding) = Coding::from_token(token)
            && let Some(slot) = self.codings.get_mut(coding.index())
        {
            *slot = Some(weight);
        }
    }

    fn of(&self, coding: Coding) -> u16 {
        let named = self.codings.get(coding.index()).copied().flatten();
        named.or(self.any).unwrap_or(0)
    }
}

/// `q=0.5` as 500; malformed weights count as 0, so that they never win.
fn quality(parameter: &[u8]) -> Option<u16> {
    let parameter = parameter.trim_ascii();
    let value = parameter
        .strip_prefix(b"q=")
        .or_else(|| parameter.strip_prefix(b"Q="))?;
    let (whole, fraction) = match value {
        [whole] => (whole, &[][..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return Some(0),
    };
    let mut thousandths = match whole {
        b'0' => 0,
        b'1' => 1000,
        _ => return Some(0),
    };
    for (digit, scale) in fraction.iter().zip([100, 10, 1]) {
        if !digit.is_ascii_digit() {
            return Some(0);
        }
        thousandths += u16::from(digit - b'0') * scale;
    }
    Some(thousandths.min(1000))
}

/// The coding to send among those that are `offered`, the first of those with the highest weight;
/// `None` = the body as it is, which is also the answer to a client that refuses everything.
#[must_use]
pub fn choose(headers: &Headers, offered: impl IntoIterator<Item = Coding>) -> Option<Coding> {
    let mut weights = Weights::default();
    for value in headers.get_all(HeaderId::AcceptEncoding) {
        value
            .split(|byte| *byte == b',')
            .for_each(|element| weights.add(element));
    }
    let mut best = None;
    let mut best_weight = 0;
    for coding in offered {
        let weight = weights.of(coding);
        if weight > best_weight {
            best = Some(coding);
            best_weight = weight;
        }
    }
    best.filter(|_| weights.identity.unwrap_or(0) <= best_weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: &[&str], offered: &[Coding]) -> Option<Coding> {
        let mut headers = Headers::new();
        for value in accept {
            headers
                .push(b"accept-encoding", value.as_bytes())
                .expect("a valid field");
        }
        choose(&headers, offered.iter().copied())
    }

    #[test]
    fn the_heaviest_coding_that_is_offered_is_chosen() {
        use Coding::{Brotli, Gzip, Zstd};
        let cases: [(&[&str], Option<Coding>); 18] = [
            (&[], None),
            (&[""], None),
            (&["identity"], None),
            (&["gzip"], Some(Gzip)),
            (&["x-gzip"], Some(Gzip)),
            (&["gzip, deflate, br, zstd"], Some(Brotli)),
            (&["gzip, deflate", "zstd"], Some(Zstd)),
            (&["GZIP;Q=1"], Some(Gzip)),
            (&["br;q=0.5, gzip;q=0.8"], Some(Gzip)),
            (&["br;q=0"], None),
            (&["*"], Some(Brotli)),
            (&["br;q=0, *"], Some(Zstd)),
            (&["*;q=0, gzip"], Some(Gzip)),
            (&["gzip;q=0.5, identity"], None),
            (&["gzip;q=0.001"], Some(Gzip)),
            (&["gzip;q=2"], None),
            (&["gzip;q=0.5000"], None),
            (&["gzipped, brotli"], None),
        ];
        for (accept, coding) in cases {
            assert_eq!(chosen(accept, &[Brotli, Zstd, Gzip]), coding, "{accept:?}");
        }
    }

    #[test]
    fn a_coding_that_is_not_offered_is_passed_over() {
        assert_eq!(
            chosen(&["br, gzip;q=0.1"], &[Coding::Gzip]),
            Some(Coding::Gzip)
        );
        assert_eq!(chosen(&["br"], &[Coding::Gzip]), None);
    }

    #[test]
    fn among_equal_weights_the_first_that_is_offered_wins() {
        let all = ["gzip, zstd, br"];
        assert_eq!(
            chosen(&all, &[Coding::Zstd, Coding::Gzip]),
            Some(Coding::Zstd)
        );
        assert_eq!(
            chosen(&all, &[Coding::Gzip, Coding::Zstd]),
            Some(Coding::Gzip)
        );
        assert_eq!(
            chosen(&["identity;q=0, gzip;q=0.1"], &[Coding::Gzip]),
            Some(Coding::Gzip)
        );
        assert_eq!(chosen(&["identity;q=0"], &[Coding::Gzip]), None);
        assert_eq!(chosen(&all, &[]), None);
    }
}
