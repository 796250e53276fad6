//! The `Forwarded` field, RFC 7239 section 4: elements of `name=value` pairs.
//!
//! Called by `forwarded` for trusted peers. Strict, because a lenient reader can be made to see
//! another chain than the proxy before it: one mistake makes the rest of the field unreadable.

/// One hop. Values are without their quotes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Element<'a> {
    /// `for=`
    pub(super) client: Option<&'a [u8]>,
    /// `proto=`
    pub(super) proto: Option<&'a [u8]>,
    /// `host=`
    pub(super) host: Option<&'a [u8]>,
}

/// The field does not follow the grammar from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The elements of one field line, from the client's end. Ends after the first error. Empty
/// elements are skipped (RFC 9110 section 5.6.1.2).
pub(super) fn elements(line: &[u8]) -> Elements<'_> {
    Elements {
        rest: line,
        ended: false,
    }
}

/// See [`elements`].
#[derive(Clone, Debug)]
pub(super) struct Elements<'a> {
    rest: &'a [u8],
    ended: bool,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rest = skip(self.rest, |byte| matches!(byte, b' ' | b'\t' | b','));
        if self.ended || self.rest.is_empty() {
            return None;
        }
        let element = self.element();
        self.ended = element.is_err();
        Some(element)
    }
}

impl<'a> Elements<'a> {
    fn element(&mut self) -> Result<Element<'a>, Malformed> {
        let mut element = Element::default();
        loop {
            let (name, value) = self.pair()?;
            let slot = match name {
                _ if name.eq_ignore_ascii_case(b"for") => Some(&mut element.client),
                _ if name.eq_ignore_ascii_case(b"proto") => Some(&mut element.proto),
                _ if name.eq_ignore_ascii_case(b"host") => Some(&mut element.host),
                _ => None,
            };
            if slot.is_some_and(|slot| slot.replace(value).is_some()) {
                return Err(Malformed);
            }
            self.rest = skip(self.rest, is_blank);
            match self.rest {
                [] | [b',', ..] => return Ok(element),
                [b';', rest @ ..] => self.rest = skip(rest, is_blank),
                _ => return Err(Malformed),
            }
        }
    }

    fn pair(&mut self) -> Result<(&'a [u8], &'a [u8]), Malformed> {
        let name = self.token()?;
        self.rest = self.rest.strip_prefix(b"=").ok_or(Malformed)?;
        let value = match self.rest.strip_prefix(b"\"") {
            Some(rest) => self.quoted(rest)?,
            None => self.token()?,
        };
        Ok((name, value))
    }

    fn token(&mut self) -> Result<&'a [u8], Malformed> {
        let after = skip(self.rest, is_token);
        let token = &self.rest[..self.rest.len() - after.len()];
        self.rest = after;
        if token.is_empty() {
            Err(Malformed)
        } else {
            Ok(token)
        }
    }

    /// The inside of a quoted string. No address, host or scheme needs a backslash, so a string
    /// with one is malformed instead of being copied.
    fn quoted(&mut self, inside: &'a [u8]) -> Result<&'a [u8], Malformed> {
        let end = inside
            .iter()
            .position(|&b| matches!(b, b'"' | b'\\'))
            .ok_or(Malformed)?;
        let (value, after) = inside.split_at(end);
        self.rest = after.strip_prefix(b"\"").ok_or(Malformed)?;
        Ok(value)
    }
}

fn skip(bytes: &[u8], unwanted: impl Fn(u8) -> bool) -> &[u8] {
    let keep = bytes
        .iter()
        .position(|&byte| !unwanted(byte))
        .unwrap_or(bytes.len());
    bytes.get(keep..).unwrap_or_default()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// `tchar`, RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(line: &[u8]) -> Result<Vec<Element<'_>>, Malformed> {
        elements(line).collect()
    }

    #[test]
    fn reads_the_examples_of_the_rfc() {
        let read = read(
            b"for=\"_gazonk\", For=\"[2001:db8:cafe::17]:4711\" , \
              for=192.0.2.60;proto=http;by=203.0.113.43,,for=192.0.2.43; host=\"x.example:80\"",
        );
        let element = |client| Element {
            client: Some(client),
            ..Element::default()
        };
        let expected = vec![
            element(b"_gazonk"),
            element(b"[2001:db8:cafe::17]:4711"),
            Element {
                proto: Some(b"http"),
                ..element(b"192.0.2.60")
            },
            Element {
                host: Some(b"x.example:80"),
                ..element(b"192.0.2.43")
            },
        ];
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn mistakes_are_refused() {
        let bad: [&[u8]; 11] = [
            b"for",
            b"for=",
            b"=x",
            b"for=a b",
            b"for=\"a",
            b"for=\"a\"b",
            b"for=\"a\\\"\"",
            b"for=a;",
            b"for=a;for=b",
            b"for=[::1]",
            b"for=a\x00",
        ];
        for line in bad {
            assert!(read(line).is_err(), "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn a_comma_inside_quotes_separates_nothing() {
        let elements = read(b"for=\"6.6.6.6, for=7.7.7.7\"").expect("well-formed");
        assert_eq!(elements.len(), 1);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic_and_end(line: Vec<u8>) {
            prop_assert!(elements(&line).count() <= line.len());
        }

        #[test]
        fn what_is_written_is_read_back(
            hops in proptest::collection::vec(("[a-z0-9._]{1,9}", "[a-z:\\[\\] ,;=]{0,9}"), 0..5),
            blank in "[ \t]{0,2}",
        ) {
            let hop = |(client, host): &(String, String)| format!("for={client};host=\"{host}\"");
            let line = hops.iter().map(hop).collect::<Vec<_>>().join(&format!("{blank},{blank}"));
            let expected: Vec<_> = hops
                .iter()
                .map(|(client, host)| Element {
                    client: Some(client.as_bytes()),
                    host: Some(host.as_bytes()),
                    proto: None,
                })
                .collect();
            prop_assert_eq!(read(line.as_bytes()), Ok(expected));
        }
    }
}
