//! The application server's side: one request after the other on a connection.

use super::pairs::Pairs;
use super::record::{
    ABORT_REQUEST, BEGIN_REQUEST, BadRecord, GET_VALUES, PARAMS, Record, STDIN, Scanned, Scanner,
};
use crate::cgi::{Limits, Variables};

/// What [`RequestReader::decode`] found; `consumed` bytes of the input are dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestStep {
    /// Nothing more in these bytes.
    NeedMore {
        /// All of them.
        consumed: usize,
    },
    /// The variables of the request are complete: see [`RequestReader::variables`].
    Head {
        /// As far as their end.
        consumed: usize,
    },
    /// A piece of the body.
    Stdin {
        /// Its first byte.
        start: usize,
        /// After its last; consumed as far as this.
        end: usize,
    },
    /// The end of the body.
    StdinEnd {
        /// As far as its record.
        consumed: usize,
    },
    /// The front server does not want the answer any more.
    Abort {
        /// As far as its record.
        consumed: usize,
    },
    /// Another request was begun: to be answered with `CannotMultiplex`, or, where the role is
    /// another than RESPONDER, with `UnknownRole`.
    Refuse {
        /// As far as its record.
        consumed: usize,
        /// Of that request.
        id: u16,
        /// The role is not known, whatever else.
        unknown_role: bool,
    },
    /// The front server asks what can be done here: see [`RequestReader::asked`].
    Values {
        /// As far as its record.
        consumed: usize,
    },
    /// A record of no request and no known type: to be answered with `unknown_type`.
    Unknown {
        /// As far as the header of its record.
        consumed: usize,
        /// Its type.
        kind: u8,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Idle,
    Params,
    Stdin,
    /// All of it has come, or it was given up.
    Over,
}

/// Reads requests. A request is over once its answer was sent: see [`RequestReader::next`].
#[derive(Debug, Default)]
pub struct RequestReader {
    scanner: Scanner,
    stage: Stage,
    id: u16,
    keep: bool,
    /// Content that is needed whole.
    block: Vec<u8>,
    variables: Variables,
    asked: Variables,
    limits: Limits,
    /// Another request of this id was refused: what still comes of it is skipped.
    refused: Option<u16>,
}

impl RequestReader {
    /// For a connection.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// For a connection that goes on after a rest: what still comes of the request `last`, as
    /// [`last`](Self::last) said it, is skipped.
    pub fn after(limits: Limits, last: Option<u16>) -> Self {
        Self {
            refused: last,
            ..Self::new(limits)
        }
    }

    /// The request that was answered last, or refused.
    pub fn last(&self) -> Option<u16> {
        self.refused
    }

    /// Of the request that has begun.
    pub fn id(&self) -> u16 {
        self.id
    }

    /// Whether the connection is to stay open after it.
    pub fn keeps_connection(&self) -> bool {
        self.keep
    }

    /// Of the request that has begun, once its head is there.
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// The same, to be taken.
    pub fn variables_mut(&mut self) -> &mut Variables {
        &mut self.variables
    }

    /// The names that [`RequestStep::Values`] asks for.
    pub fn asked(&self) -> &Variables {
        &self.asked
    }

    /// Whether no request has begun, and no record: [`last`](Self::last) is all there is to know.
    pub fn is_idle(&self) -> bool {
        self.stage == Stage::Idle && self.scanner.is_between()
    }

    /// The request was answered. What still comes of it is skipped.
    pub fn next(&mut self) {
        if self.stage != Stage::Idle {
            self.stage = Stage::Idle;
            self.refused = Some(self.id);
        }
    }

    /// Finds the next thing in `input`.
    pub fn decode(&mut self, input: &[u8]) -> Result<RequestStep, BadRecord> {
        let mut at = 0;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            let (scanned, count) = self.scanner.scan(rest)?;
            let (start, end) = (at, at + count);
            at = end;
            let step = match scanned {
                Scanned::More => Some(RequestStep::NeedMore { consumed: end }),
                Scanned::Begin(record) => self.begin(record, end)?,
                Scanned::Content(record, _) => {
                    let bytes = input.get(start..end).unwrap_or_default();
                    self.content(record, bytes, (start, end))?
                }
            };
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    fn is_skipped(&self, id: u16) -> bool {
        self.refused == Some(id) && (self.stage == Stage::Idle || self.id != id)
    }

    /// A record begins. Those without content are dealt with here.
    fn begin(&mut self, record: Record, end: usize) -> Result<Option<RequestStep>, BadRecord> {
        let Record {
            kind, id, length, ..
        } = record;
        if id == 0 {
            return self.begin_management(kind, length, end);
        }
        match kind {
            BEGIN_REQUEST if length == 8 => self.block.clear(),
            BEGIN_REQUEST => return Err(BadRecord::Content),
            PARAMS | STDIN | ABORT_REQUEST if self.is_skipped(id) => {}
            PARAMS | STDIN | ABORT_REQUEST => {
                if self.stage == Stage::Idle || id != self.id {
                    return Err(BadRecord::Id);
                }
                return self.begin_part(kind, length, end);
            }
            _ => return Err(BadRecord::Type),
        }
        Ok(None)
    }

    fn begin_management(
        &mut self,
        kind: u8,
        length: u16,
        end: usize,
    ) -> Result<Option<RequestStep>, BadRecord> {
        match (kind, length) {
            // It may come in the middle of the variables, whose block it would spoil.
            (GET_VALUES, _) if self.stage == Stage::Params => Err(BadRecord::Order),
            (GET_VALUES, 0) => {
                self.asked.clear();
                Ok(Some(RequestStep::Values { consumed: end }))
            }
            (GET_VALUES, _) => {
                self.block.clear();
                Ok(None)
            }
            (BEGIN_REQUEST..=STDIN, _) => Err(BadRecord::Id),
            _ => Ok(Some(RequestStep::Unknown {
                consumed: end,
                kind,
            })),
        }
    }

    fn begin_part(
        &mut self,
        kind: u8,
        length: u16,
        end: usize,
    ) -> Result<Option<RequestStep>, BadRecord> {
        match (kind, self.stage, length) {
            (ABORT_REQUEST, _, 0) => {
                self.stage = Stage::Over;
                Ok(Some(RequestStep::Abort { consumed: end }))
            }
            (PARAMS, Stage::Params, 0) => {
                self.read_variables()?;
                self.stage = Stage::Stdin;
                Ok(Some(RequestStep::Head { consumed: end }))
            }
            (PARAMS, Stage::Params, length) => {
                match self.block.len() + usize::from(length) > self.limits.max_bytes {
                    true => Err(BadRecord::TooLarge),
                    false => Ok(None),
                }
            }
            (STDIN, Stage::Stdin, 0) => {
                self.stage = Stage::Over;
                Ok(Some(RequestStep::StdinEnd { consumed: end }))
            }
            (STDIN, Stage::Stdin, _) => Ok(None),
            (ABORT_REQUEST, ..) => Err(BadRecord::Content),
            _ => Err(BadRecord::Order),
        }
    }

    fn content(
        &mut self,
        record: Record,
        bytes: &[u8],
        (start, end): (usize, usize),
    ) -> Result<Option<RequestStep>, BadRecord> {
        match record.kind {
            BEGIN_REQUEST | GET_VALUES => {
                self.block.extend_from_slice(bytes);
                if self.scanner.content_left() > 0 {
                    return Ok(None);
                }
                match record.kind {
                    BEGIN_REQUEST => self.begin_request(record.id, end),
                    _ => self.read_asked(end).map(Some),
                }
            }
            PARAMS if !self.is_skipped(record.id) => {
                self.block.extend_from_slice(bytes);
                Ok(None)
            }
            STDIN if !self.is_skipped(record.id) => Ok(Some(RequestStep::Stdin { start, end })),
            _ => Ok(None),
        }
    }

    fn begin_request(&mut self, id: u16, end: usize) -> Result<Option<RequestStep>, BadRecord> {
        let [high, low, flags, ..] = *self.block else {
            return Err(BadRecord::Content);
        };
        self.block.clear();
        let unknown_role = u16::from_be_bytes([high, low]) != 1;
        if self.stage == Stage::Params {
            // Its block is gone, and no server begins two at a time.
            return Err(BadRecord::Order);
        }
        if unknown_role || self.stage != Stage::Idle {
            self.refused = Some(id);
            return Ok(Some(RequestStep::Refuse {
                consumed: end,
                id,
                unknown_role,
            }));
        }
        self.refused = None;
        self.id = id;
        self.keep = flags & 1 != 0;
        self.stage = Stage::Params;
        Ok(None)
    }

    fn read_variables(&mut self) -> Result<(), BadRecord> {
        self.variables.clear();
        read_pairs(&self.block, &self.limits, &mut self.variables)?;
        self.block.clear();
        Ok(())
    }

    fn read_asked(&mut self, consumed: usize) -> Result<RequestStep, BadRecord> {
        self.asked.clear();
        read_pairs(&self.block, &self.limits, &mut self.asked)?;
        self.block.clear();
        Ok(RequestStep::Values { consumed })
    }
}

fn read_pairs(block: &[u8], limits: &Limits, variables: &mut Variables) -> Result<(), BadRecord> {
    for pair in Pairs::new(block) {
        let (name, value) = pair?;
        if variables.len() >= limits.max_variables {
            return Err(BadRecord::TooLarge);
        }
        variables.push(name, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::record::{STDOUT, abort, begin, params, record, record_header};
    use super::*;

    const LIMITS: Limits = Limits {
        max_bytes: 200,
        max_variables: 3,
    };

    fn read(input: &[u8], piece: usize) -> Result<Vec<String>, BadRecord> {
        let mut reader = RequestReader::new(LIMITS);
        let (mut events, mut body, mut at) = (Vec::new(), Vec::new(), 0);
        while at < input.len() {
            let part = &input[at..input.len().min(at + piece)];
            at += match reader.decode(part)? {
                RequestStep::NeedMore { consumed } => {
                    assert_eq!(consumed, part.len());
                    consumed
                }
                RequestStep::Head { consumed } => {
                    let names: Vec<_> = reader.variables().iter().map(|(n, _)| n).collect();
                    let names = names.concat().escape_ascii().to_string();
                    events.push(format!(
                        "{} {names} {}",
                        reader.id(),
                        reader.keeps_connection()
                    ));
                    consumed
                }
                RequestStep::Stdin { start, end } => {
                    body.extend_from_slice(&part[start..end]);
                    end
                }
                RequestStep::StdinEnd { consumed } => {
                    let body = std::mem::take(&mut body);
                    events.push(format!("body {}", body.escape_ascii()));
                    reader.next();
                    consumed
                }
                RequestStep::Abort { consumed } => {
                    events.push("abort".to_owned());
                    consumed
                }
                RequestStep::Refuse {
                    consumed,
                    id,
                    unknown_role,
                } => {
                    events.push(format!("refuse {id} {unknown_role}"));
                    consumed
                }
                RequestStep::Values { consumed } => {
                    events.push(format!("values {}", reader.asked().len()));
                    consumed
                }
                RequestStep::Unknown { consumed, kind } => {
                    events.push(format!("unknown {kind}"));
                    consumed
                }
            };
        }
        Ok(events)
    }

    fn same(input: &[u8]) -> Result<Vec<String>, BadRecord> {
        let whole = read(input, usize::MAX / 2);
        for piece in [1, 2, 5, 8, 11] {
            assert_eq!(read(input, piece), whole, "in pieces of {piece}");
        }
        whole
    }

    fn head(id: u16, keep: bool) -> Vec<u8> {
        let mut variables = Variables::new();
        variables.push(b"A", b"1");
        variables.push(b"B", &[b'b'; 130]);
        let mut out = Vec::new();
        begin(&mut out, id, keep);
        params(&mut out, id, &variables);
        out
    }

    fn body(id: u16, content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        record(&mut out, STDIN, id, content);
        out.extend_from_slice(&record_header(STDIN, id, 0));
        out
    }

    #[test]
    fn requests_follow_each_other() {
        let input = [
            head(1, true),
            body(1, b"hello"),
            head(1, false),
            body(1, b""),
        ]
        .concat();
        let expected = ["1 AB true", "body hello", "1 AB false", "body "];
        assert_eq!(same(&input).unwrap(), expected);
    }

    #[test]
    fn only_between_records_and_requests_it_is_idle() {
        let input = [head(1, true), body(1, b"hello"), head(2, true)].concat();
        let idle: Vec<_> = (0..=input.len())
            .filter(|&count| {
                let mut reader = RequestReader::new(LIMITS);
                let mut at = 0;
                while at < count {
                    at += match reader.decode(&input[at..count]).unwrap() {
                        RequestStep::NeedMore { consumed } | RequestStep::Head { consumed } => {
                            consumed
                        }
                        RequestStep::Stdin { end, .. } => end,
                        RequestStep::StdinEnd { consumed } => {
                            reader.next();
                            consumed
                        }
                        other => panic!("{other:?}"),
                    };
                }
                reader.is_idle()
            })
            .collect();
        assert_eq!(idle, [0, input.len() - head(2, true).len()]);
    }

    #[test]
    fn what_comes_late_of_an_answered_request_is_skipped() {
        let mut reader = RequestReader::new(LIMITS);
        let request = head(1, true);
        let consumed = request.len();
        assert_eq!(reader.decode(&request), Ok(RequestStep::Head { consumed }));
        reader.next();
        let mut reader = RequestReader::after(LIMITS, reader.last());
        let late = body(1, b"abc");
        let consumed = late.len();
        assert_eq!(reader.decode(&late), Ok(RequestStep::NeedMore { consumed }));
        assert!(reader.is_idle());
        assert_eq!(reader.decode(&body(2, b"")), Err(BadRecord::Id));
    }

    #[test]
    fn a_second_one_at_a_time_is_refused_and_skipped() {
        let mut values = Vec::new();
        record(&mut values, GET_VALUES, 0, b"\x01\0A");
        let mut filter = head(3, false);
        filter[9] = 3;
        let mut aborted = Vec::new();
        abort(&mut aborted, 1);
        let input = [
            values,
            record_header(99, 0, 0).to_vec(),
            head(1, true),
            head(2, true),
            body(2, b"no"),
            aborted,
        ];
        let expected = [
            "values 1",
            "unknown 99",
            "1 AB true",
            "refuse 2 false",
            "abort",
        ];
        assert_eq!(same(&input.concat()).unwrap(), expected);
        assert_eq!(same(&filter).unwrap(), ["refuse 3 true"]);
    }

    #[test]
    fn bad_records_are_refused() {
        let begun = head(1, false)[..16].to_vec();
        let with = |more: &[u8]| [&begun[..], more].concat();
        let with_params = |content: &[u8]| {
            let mut out = begun.clone();
            record(&mut out, PARAMS, 1, content);
            out.extend_from_slice(&record_header(PARAMS, 1, 0));
            out
        };
        for (input, expected) in [
            (b"GET / HTTP/1.1".to_vec(), BadRecord::Version),
            (body(1, b"x"), BadRecord::Id),
            (with(&body(2, b"x")), BadRecord::Id),
            (with(&body(1, b"x")), BadRecord::Order),
            (with(&head(2, false)), BadRecord::Order),
            (with(&record_header(STDOUT, 1, 0)), BadRecord::Type),
            (record_header(PARAMS, 0, 0).to_vec(), BadRecord::Id),
            (
                record_header(BEGIN_REQUEST, 1, 7).to_vec(),
                BadRecord::Content,
            ),
            (with_params(b"\xff\xff\xff\xff\x01a"), BadRecord::Content),
            (with_params(&[b'a'; 201]), BadRecord::TooLarge),
            (
                with_params(b"\x01\0a\x01\0a\x01\0a\x01\0a"),
                BadRecord::TooLarge,
            ),
        ] {
            assert_eq!(same(&input), Err(expected), "{}", input.escape_ascii());
        }
    }
}
