//! The cookies of a request, read in one way by conditions, texts and `balance` (RFC 6265 section
//! 5.4). Names are read as leniently as apps do, so that none can be hidden from a rule.

use quaich_proto::headers::{HeaderId, Headers};

/// The values of the cookies `name`, in their order; empty for one without `=`.
pub fn values<'h>(headers: &'h Headers, name: &'h [u8]) -> impl Iterator<Item = &'h [u8]> {
    let fields = headers.get_all(HeaderId::Cookie);
    let pairs = fields.flat_map(|field| field.split(|&byte| byte == b';'));
    pairs.filter_map(move |pair| {
        let (own, value) = match memchr::memchr(b'=', pair) {
            Some(at) => (&pair[..at], &pair[at + 1..]),
            None => (pair, &[][..]),
        };
        (trim(own) == name).then(|| value.trim_ascii())
    })
}

/// The first value of the cookies `name` that is not empty.
pub fn first<'h>(headers: &'h Headers, name: &'h [u8]) -> Option<&'h [u8]> {
    values(headers, name).find(|value| !value.is_empty())
}

/// Without the blanks around it. Python takes what Unicode has of them away as well, of text that it
/// has read as UTF-8 or as Latin-1.
fn trim(name: &[u8]) -> &[u8] {
    if name.is_ascii() {
        return name.trim_ascii();
    }
    let blank = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, 0x85 | 0xa0);
    match std::str::from_utf8(name) {
        Ok(text) => text.trim().as_bytes(),
        Err(_) => {
            let start = name.iter().position(|byte| !blank(byte));
            let end = name.iter().rposition(|byte| !blank(byte));
            let inside = start
                .zip(end)
                .and_then(|(start, end)| name.get(start..=end));
            inside.unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(cookie: &[u8]) -> Headers {
        let mut headers = Headers::new();
        headers.push(b"Cookie", cookie).expect("a field");
        headers
    }

    #[test]
    fn blanks_around_a_name_are_not_of_it() {
        for cookie in [
            &b"a=1"[..],
            b"a =1",
            b"b=2;\ta\t= 1 ; c",
            b"a\xc2\xa0=1",
            b"\xe3\x80\x80a=1",
            b"a\xa0=1",
            b"b; \x85a=1",
        ] {
            let headers = headers(cookie);
            let found: Vec<_> = values(&headers, b"a").collect();
            assert_eq!(found, [b"1"], "{}", cookie.escape_ascii());
        }
        for cookie in [
            &b"a b=1"[..],
            b"A=1",
            b"aa=1",
            b"=a",
            b"\xc3\xa0=1",
            b"\xff=1",
        ] {
            assert_eq!(
                first(&headers(cookie), b"a"),
                None,
                "{}",
                cookie.escape_ascii()
            );
        }
    }

    #[test]
    fn the_first_that_has_a_value_counts_in_texts() {
        assert_eq!(
            first(&headers(b"a; a=; a=x=y; a=2"), b"a"),
            Some(&b"x=y"[..])
        );
    }
}
