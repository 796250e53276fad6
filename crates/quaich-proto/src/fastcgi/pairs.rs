//! Names and values in the content of records: two lengths, then the text. A length is one byte
//! below 128, else four with the top bit set.

use super::record::BadRecord;

/// Appends a pair.
pub fn encode_pair(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    length(out, name.len());
    length(out, value.len());
    out.extend_from_slice(name);
    out.extend_from_slice(value);
}

fn length(out: &mut Vec<u8>, length: usize) {
    match u8::try_from(length) {
        Ok(short @ 0..=127) => out.push(short),
        // A value of 2 GiB never gets here: heads have limits.
        _ => out.extend_from_slice(&(length as u32 | 1 << 31).to_be_bytes()),
    }
}

/// The pairs of a block. Ends after the first that is wrong.
pub struct Pairs<'b>(&'b [u8]);

impl<'b> Pairs<'b> {
    /// Those of a whole block.
    pub fn new(block: &'b [u8]) -> Self {
        Self(block)
    }

    fn take(&mut self) -> Option<(&'b [u8], &'b [u8])> {
        let (name, rest) = read_length(self.0)?;
        let (value, rest) = read_length(rest)?;
        let (name, rest) = rest.split_at_checked(name)?;
        let (value, rest) = rest.split_at_checked(value)?;
        self.0 = rest;
        Some((name, value))
    }
}

impl<'b> Iterator for Pairs<'b> {
    type Item = Result<(&'b [u8], &'b [u8]), BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let pair = self.take().filter(|(name, _)| !name.is_empty());
        if pair.is_none() {
            self.0 = &[];
        }
        Some(pair.ok_or(BadRecord::Content))
    }
}

fn read_length(input: &[u8]) -> Option<(usize, &[u8])> {
    match input {
        [short @ 0..=127, rest @ ..] => Some((usize::from(*short), rest)),
        [a, b, c, d, rest @ ..] => {
            let length = u32::from_be_bytes([*a & 0x7f, *b, *c, *d]);
            Some((usize::try_from(length).ok()?, rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_128_and_more_take_four_bytes() {
        for length in [0, 1, 127, 128, 255, 70_000] {
            let value = vec![b'v'; length];
            let mut block = Vec::new();
            encode_pair(&mut block, b"NAME", &value);
            let short = length < 128;
            assert_eq!(block.len(), 4 + length + if short { 2 } else { 5 });
            let pairs: Vec<_> = Pairs::new(&block).collect();
            assert_eq!(pairs, [Ok((&b"NAME"[..], &value[..]))]);
            for end in 1..block.len().min(300) {
                let cut = Pairs::new(&block[..end]).last();
                assert_eq!(cut, Some(Err(BadRecord::Content)), "{length} cut at {end}");
            }
        }
    }

    #[test]
    fn lengths_beyond_the_block_are_refused() {
        for block in [
            &b"\xff\xff\xff\xff\x00"[..],
            b"\x80\x00\x00\x00\x80\x00\x00\x00",
            b"\x01\x02a",
            b"\x00\x01a",
            b"\x81",
        ] {
            let pairs: Vec<_> = Pairs::new(block).collect();
            assert_eq!(pairs, [Err(BadRecord::Content)], "{}", block.escape_ascii());
        }
    }
}
