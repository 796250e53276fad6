//! The front server's side: what an application server answers to one request.

use super::record::{BadRecord, END_REQUEST, ProtocolStatus, STDERR, STDOUT, Scanned, Scanner};

/// What [`ResponseReader::decode`] found. `start..end` are places in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseStep {
    /// Nothing more in these bytes.
    NeedMore {
        /// All of them.
        consumed: usize,
    },
    /// A piece of the response, head and body.
    Stdout {
        /// Its first byte.
        start: usize,
        /// After its last; consumed as far as this.
        end: usize,
    },
    /// A piece of what the app says to its operator.
    Stderr {
        /// Its first byte.
        start: usize,
        /// After its last; consumed as far as this.
        end: usize,
    },
    /// The request has ended. Whatever follows is not part of the response.
    End {
        /// As far as the record goes, padding included if it is here.
        consumed: usize,
        /// Whether it was run.
        status: ProtocolStatus,
    },
}

/// Reads one response. Strict: what does not belong to it is refused.
#[derive(Debug)]
pub struct ResponseReader {
    scanner: Scanner,
    id: u16,
    end: [u8; 8],
    end_have: usize,
    /// The empty record after the last STDOUT has come.
    stdout_over: bool,
    is_over: bool,
}

impl ResponseReader {
    /// For the request `id`.
    pub fn new(id: u16) -> Self {
        Self {
            scanner: Scanner::default(),
            id,
            end: [0; 8],
            end_have: 0,
            stdout_over: false,
            is_over: false,
        }
    }

    /// Whether the request has ended and its last record with it: the connection may carry another.
    pub fn is_exact(&self) -> bool {
        self.is_over && self.scanner.is_between()
    }

    /// Whether the request has ended.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Finds the next thing in `input`. After the end only padding is taken.
    pub fn decode(&mut self, input: &[u8]) -> Result<ResponseStep, BadRecord> {
        let mut at = 0;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            if self.is_over {
                let padding = self.scanner.skip_padding(rest.len());
                return match rest.len() > padding {
                    true => Err(BadRecord::Order),
                    false => Ok(ResponseStep::NeedMore {
                        consumed: at + padding,
                    }),
                };
            }
            let (scanned, count) = self.scanner.scan(rest)?;
            let (start, end) = (at, at + count);
            at = end;
            match scanned {
                Scanned::More => return Ok(ResponseStep::NeedMore { consumed: end }),
                Scanned::Begin(record) => {
                    self.begin(record.kind, record.id, record.length)?;
                }
                Scanned::Content(record, _) => match record.kind {
                    STDOUT => return Ok(ResponseStep::Stdout { start, end }),
                    STDERR => return Ok(ResponseStep::Stderr { start, end }),
                    _ => {
                        let bytes = input.get(start..end).unwrap_or_default();
                        if let Some(status) = self.collect_end(bytes)? {
                            // The padding, if it is here: the next call would need bytes for it.
                            let left = input.len().saturating_sub(end);
                            let consumed = end + self.scanner.skip_padding(left);
                            return Ok(ResponseStep::End { consumed, status });
                        }
                    }
                },
            }
        }
    }

    /// A record begins: may it come here?
    fn begin(&mut self, kind: u8, id: u16, length: u16) -> Result<(), BadRecord> {
        if !matches!(kind, STDOUT | STDERR | END_REQUEST) {
            return Err(BadRecord::Type);
        }
        if id != self.id {
            return Err(BadRecord::Id);
        }
        match (kind, length) {
            (STDOUT, 0) => self.stdout_over = true,
            (STDOUT, _) if self.stdout_over => return Err(BadRecord::Order),
            (END_REQUEST, 8) | (STDOUT | STDERR, _) => {}
            _ => return Err(BadRecord::Content),
        }
        Ok(())
    }

    fn collect_end(&mut self, bytes: &[u8]) -> Result<Option<ProtocolStatus>, BadRecord> {
        for &byte in bytes {
            if let Some(place) = self.end.get_mut(self.end_have) {
                *place = byte;
                self.end_have += 1;
            }
        }
        if self.end_have < self.end.len() {
            return Ok(None);
        }
        let [_, _, _, _, status, ..] = self.end;
        let status = ProtocolStatus::from_number(status)?;
        self.is_over = true;
        Ok(Some(status))
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::{PARAMS, UNKNOWN_TYPE, end, record, record_header};
    use super::*;

    /// What comes of `input`, given in pieces of at most `piece` bytes.
    fn read(input: &[u8], piece: usize) -> Result<(String, String, Option<usize>), BadRecord> {
        let mut reader = ResponseReader::new(1);
        let (mut out, mut err, mut at) = (Vec::new(), Vec::new(), 0);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        while at < input.len() {
            let part = &input[at..input.len().min(at + piece)];
            match reader.decode(part)? {
                ResponseStep::NeedMore { consumed } => {
                    assert_eq!(consumed, part.len());
                    at += consumed;
                }
                ResponseStep::Stdout { start, end } => {
                    out.extend_from_slice(&part[start..end]);
                    at += end;
                }
                ResponseStep::Stderr { start, end } => {
                    err.extend_from_slice(&part[start..end]);
                    at += end;
                }
                ResponseStep::End { consumed, .. } => at += consumed,
            }
        }
        let ended = reader.is_over().then_some(usize::from(reader.is_exact()));
        Ok((text(out), text(err), ended))
    }

    fn same(input: &[u8]) -> Result<(String, String, Option<usize>), BadRecord> {
        let whole = read(input, usize::MAX / 2);
        for piece in [1, 2, 3, 7, 8, 9] {
            assert_eq!(read(input, piece), whole, "in pieces of {piece}");
        }
        whole
    }

    fn padded(kind: u8, content: &[u8], padding: u8) -> Vec<u8> {
        let mut out = Vec::new();
        let mut header = record_header(kind, 1, content.len() as u16);
        header[6] = padding;
        out.extend_from_slice(&header);
        out.extend_from_slice(content);
        out.extend(std::iter::repeat_n(b'#', padding.into()));
        out
    }

    fn ended(records: &[&[u8]]) -> Vec<u8> {
        let mut all = records.concat();
        end(&mut all, 1, 0, ProtocolStatus::Complete);
        all
    }

    #[test]
    fn output_is_found_between_padding_and_other_records() {
        let input = ended(&[
            &padded(STDOUT, b"Status: 200 OK\n", 255),
            &padded(STDERR, b"oh", 3),
            &padded(STDOUT, b"\nbody", 0),
            &padded(STDERR, b"", 1),
            &padded(STDOUT, b"", 0),
            &padded(STDERR, b"dear", 7),
        ]);
        let expected = ("Status: 200 OK\n\nbody".to_owned(), "ohdear".to_owned());
        assert_eq!(same(&input), Ok((expected.0, expected.1, Some(1))));
        let cut = &input[..input.len() - 1];
        assert_eq!(same(cut).unwrap().2, None);
    }

    #[test]
    fn padding_of_the_last_record_is_part_of_it() {
        let input = [padded(STDOUT, b"x", 0), padded(END_REQUEST, &[0; 8], 5)].concat();
        assert_eq!(same(&input).unwrap().2, Some(1));
        let cut = &input[..input.len() - 1];
        assert_eq!(same(cut).unwrap().2, Some(0));
    }

    #[test]
    fn what_does_not_belong_to_the_response_is_refused() {
        let mut other = Vec::new();
        record(&mut other, STDOUT, 2, b"x");
        for (input, expected) in [
            (b"HTTP/1.1 200 OK".to_vec(), BadRecord::Version),
            (padded(PARAMS, b"", 0), BadRecord::Type),
            (padded(UNKNOWN_TYPE, &[0; 8], 0), BadRecord::Type),
            (padded(99, b"", 0), BadRecord::Type),
            (other, BadRecord::Id),
            (padded(END_REQUEST, b"1234", 0), BadRecord::Content),
            (padded(END_REQUEST, b"", 0), BadRecord::Content),
            (padded(END_REQUEST, b"0000\x04000", 0), BadRecord::Content),
            (
                [padded(STDOUT, b"", 0), padded(STDOUT, b"x", 0)].concat(),
                BadRecord::Order,
            ),
            (
                [ended(&[]), padded(STDOUT, b"x", 0)].concat(),
                BadRecord::Order,
            ),
        ] {
            assert_eq!(same(&input), Err(expected), "{}", input.escape_ascii());
        }
    }

    #[test]
    fn a_refusal_is_told() {
        let mut input = Vec::new();
        end(&mut input, 1, 7, ProtocolStatus::Overloaded);
        let step = ResponseReader::new(1).decode(&input);
        let expected = ResponseStep::End {
            consumed: 16,
            status: ProtocolStatus::Overloaded,
        };
        assert_eq!(step, Ok(expected));
    }
}
