//! As much of DER as OCSP needs. Reading never panics and never reads beyond what is there.

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OID: u8 = 0x06;
pub(crate) const ENUMERATED: u8 = 0x0a;
pub(crate) const SEQUENCE: u8 = 0x30;

/// The tag of an explicit or constructed context element.
pub(crate) const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// The tag of an implicit primitive context element.
pub(crate) const fn context_primitive(number: u8) -> u8 {
    0x80 | number
}

/// One element of `tag` around `content`.
pub(crate) fn element(tag: u8, content: &[&[u8]]) -> Vec<u8> {
    let length: usize = content.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            let significant = bytes.iter().skip(zeros);
            // At most 8, the bytes of a `usize`.
            out.push(0x80 | (bytes.len() - zeros) as u8);
            out.extend(significant);
        }
    }
    content.iter().for_each(|part| out.extend_from_slice(part));
    out
}

/// An element that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    pub tag: u8,
    pub content: &'a [u8],
    /// With tag and length.
    pub whole: &'a [u8],
}

/// Reads elements one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next element; `None` at the end, or where it is no DER.
    pub(crate) fn next(&mut self) -> Option<Element<'a>> {
        let bytes = self.0;
        let (tag, first) = (*bytes.first()?, *bytes.get(1)?);
        // Tags of several bytes do not occur in OCSP.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (head, length) = match first {
            0..=0x7f => (2, usize::from(first)),
            // More than four bytes of length are beyond all limits; 0x80 is not DER.
            0x81..=0x84 => {
                let head = 2 + usize::from(first & 0x7f);
                let length = bytes.get(2..head)?;
                let length = length
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                (head, length)
            }
            _ => return None,
        };
        let end = head.checked_add(length)?;
        let element = Element {
            tag,
            content: bytes.get(head..end)?,
            whole: bytes.get(..end)?,
        };
        self.0 = bytes.get(end..)?;
        Some(element)
    }

    /// The next element if it has this tag; else nothing is read.
    pub(crate) fn optional(&mut self, tag: u8) -> Option<Element<'a>> {
        let mut ahead = *self;
        let element = ahead.next().filter(|element| element.tag == tag)?;
        *self = ahead;
        Some(element)
    }

    /// Reads inside the next element, which must have this tag.
    pub(crate) fn enter(&mut self, tag: u8) -> Option<Reader<'a>> {
        self.optional(tag).map(|element| Self(element.content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let content = vec![7; length];
            let written = element(SEQUENCE, &[&content]);
            let mut reader = Reader::new(&written);
            assert_eq!(reader.next().unwrap().content, content);
            assert!(reader.next().is_none());
        }
    }

    #[test]
    fn what_is_cut_off_is_no_element() {
        let written = element(SEQUENCE, &[&[7; 300]]);
        for end in 0..written.len() {
            assert_eq!(Reader::new(&written[..end]).next(), None);
        }
        for bad in [
            &[0x30, 0x80, 0, 0][..],
            &[0x30, 0x85, 0, 0, 0, 0, 1, 1],
            &[0x1f, 1, 0],
        ] {
            assert_eq!(Reader::new(bad).next(), None);
        }
    }
}
