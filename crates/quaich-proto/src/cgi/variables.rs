//! A list of variables: filled from a request by a front server, or read by an application server.

/// Bounds of a list of variables that is read. What is exactly as large as its bound passes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the encoded list.
    pub max_bytes: usize,
    /// Number of variables.
    pub max_variables: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 65_535,
            max_variables: 256,
        }
    }
}

/// The variables cannot be written so that they could be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

#[derive(Clone, Copy, Debug)]
struct Pair {
    name: u32,
    value: u32,
    end: u32,
}

/// Names and values in their order, in one buffer. A name may be there twice: the last one counts.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    text: Vec<u8>,
    pairs: Vec<Pair>,
}

impl Variables {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// None, with room for `number` of them and `bytes` of their names and values.
    pub fn with_capacity(bytes: usize, number: usize) -> Self {
        Self {
            text: Vec::with_capacity(bytes),
            pairs: Vec::with_capacity(number),
        }
    }

    /// Forgets them, keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.pairs.clear();
    }

    /// Their number.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Bytes of all names and values.
    pub fn size(&self) -> usize {
        self.text.len()
    }

    /// Adds one at the end. Text beyond 4 GiB is not held, and no caller has so much.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        self.push_with(name, |text| text.extend_from_slice(value));
    }

    /// Adds one whose value `write` appends to what it is given; it must not change what is there.
    pub fn push_with(&mut self, name: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.text.len();
        self.text.extend_from_slice(name);
        let value = self.text.len();
        write(&mut self.text);
        self.close(start, value);
    }

    /// Adds the variable that a header field becomes: `HTTP_` and the name in capitals.
    pub fn push_field(&mut self, name: &[u8], value: &[u8]) {
        let start = self.text.len();
        self.text.extend_from_slice(b"HTTP_");
        self.text.extend(name.iter().copied().map(capital));
        let at = self.text.len();
        self.text.extend_from_slice(value);
        self.close(start, at);
    }

    /// Joins `value` to that of the last variable.
    pub fn extend_last(&mut self, separator: &[u8], value: &[u8]) {
        self.text.extend_from_slice(separator);
        self.text.extend_from_slice(value);
        if let (Some(last), Ok(end)) = (self.pairs.last_mut(), u32::try_from(self.text.len())) {
            last.end = end;
        }
    }

    fn close(&mut self, name: usize, value: usize) {
        let pair = (
            u32::try_from(name),
            u32::try_from(value),
            u32::try_from(self.text.len()),
        );
        match pair {
            (Ok(name), Ok(value), Ok(end)) => self.pairs.push(Pair { name, value, end }),
            _ => self.text.truncate(name),
        }
    }

    fn part(&self, start: u32, end: u32) -> &[u8] {
        self.text
            .get(start as usize..end as usize)
            .unwrap_or_default()
    }

    /// Name and value of each, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], &[u8])> {
        let pair = |p: &Pair| (self.part(p.name, p.value), self.part(p.value, p.end));
        self.pairs.iter().map(pair)
    }

    /// The value that counts.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        let named = self.iter().rev().find(|(known, _)| *known == name);
        named.map(|(_, value)| value)
    }
}

fn capital(byte: u8) -> u8 {
    match byte {
        b'-' => b'_',
        byte => byte.to_ascii_uppercase(),
    }
}

/// Whether the header field `field` becomes the variable `variable`.
pub fn is_field(variable: &[u8], field: &[u8]) -> bool {
    variable.strip_prefix(b"HTTP_").is_some_and(|name| {
        name.len() == field.len()
            && name
                .iter()
                .zip(field)
                .all(|(&name, &byte)| name == capital(byte))
    })
}

/// Appends the name of the header field that `variable` was made from, in lower case; `false` when
/// it was made from none. `CONTENT_TYPE` and `CONTENT_LENGTH` are fields, their doubles with `HTTP_`,
/// which some servers send as well, are not.
pub fn field_name(variable: &[u8], out: &mut Vec<u8>) -> bool {
    let name = match variable {
        b"CONTENT_TYPE" | b"CONTENT_LENGTH" => variable,
        b"HTTP_CONTENT_TYPE" | b"HTTP_CONTENT_LENGTH" => return false,
        _ => match variable.strip_prefix(b"HTTP_") {
            Some(name) if !name.is_empty() => name,
            _ => return false,
        },
    };
    out.extend(name.iter().map(|&byte| match byte {
        b'_' => b'-',
        byte => byte.to_ascii_lowercase(),
    }));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_name_counts() {
        let mut variables = Variables::new();
        variables.push(b"A", b"1");
        variables.push_field(b"X-Forwarded-For", b"a");
        variables.extend_last(b", ", b"b");
        variables.push_with(b"A", |text| text.extend_from_slice(b"2"));
        assert_eq!(variables.get(b"A"), Some(&b"2"[..]));
        assert_eq!(variables.get(b"HTTP_X_FORWARDED_FOR"), Some(&b"a, b"[..]));
        assert_eq!(variables.get(b"B"), None);
        assert_eq!((variables.len(), variables.iter().count()), (3, 3));
        variables.clear();
        assert!(variables.is_empty() && variables.size() == 0);
    }

    #[test]
    fn a_field_and_its_variable_find_each_other() {
        for (variable, field) in [
            (&b"HTTP_X_A"[..], &b"x-a"[..]),
            (b"CONTENT_TYPE", b"content-type"),
            (b"CONTENT_LENGTH", b"content-length"),
        ] {
            let mut name = Vec::new();
            assert!(field_name(variable, &mut name));
            assert_eq!(name, field);
        }
        for variable in [&b"PATH_INFO"[..], b"HTTP_", b"HTTP_CONTENT_TYPE", b"HTTPS"] {
            assert!(!field_name(variable, &mut Vec::new()));
        }
        assert!(is_field(b"HTTP_X_A", b"X-a") && !is_field(b"HTTP_X_A", b"x-b"));
        assert!(!is_field(b"X_A", b"x-a"));
    }
}
