//! Records: their header, the short ones, and how content that comes in pieces is found in them.

use super::pairs::encode_pair;
use crate::cgi::Variables;

/// Begins a request.
pub const BEGIN_REQUEST: u8 = 1;
/// The front server does not want the answer any more.
pub const ABORT_REQUEST: u8 = 2;
/// The last one of a request.
pub const END_REQUEST: u8 = 3;
/// Variables; an empty one ends them.
pub const PARAMS: u8 = 4;
/// The body of the request; an empty one ends it.
pub const STDIN: u8 = 5;
/// Head and body of the response.
pub const STDOUT: u8 = 6;
/// What the app has to say to its operator.
pub const STDERR: u8 = 7;
/// Asks for what the application server can do; belongs to no request.
pub const GET_VALUES: u8 = 9;
/// Answers [`GET_VALUES`].
pub const GET_VALUES_RESULT: u8 = 10;
/// Answers what is not known.
pub const UNKNOWN_TYPE: u8 = 11;

/// Bytes of the header of a record.
pub const HEADER: usize = 8;

/// Bytes that one record can hold.
pub const MAX_CONTENT: usize = 65_535;

const VERSION: u8 = 1;
const RESPONDER: u8 = 1;
const KEEP_CONN: u8 = 1;

/// How a request ended, as [`END_REQUEST`] says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolStatus {
    /// It was run.
    Complete,
    /// It was not: there is another on this connection.
    CannotMultiplex,
    /// It was not: the server has too much to do.
    Overloaded,
    /// It was not: the server does not do that.
    UnknownRole,
}

impl ProtocolStatus {
    pub(super) fn from_number(number: u8) -> Result<Self, BadRecord> {
        match number {
            0 => Ok(Self::Complete),
            1 => Ok(Self::CannotMultiplex),
            2 => Ok(Self::Overloaded),
            3 => Ok(Self::UnknownRole),
            _ => Err(BadRecord::Content),
        }
    }
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRecord {
    /// Another version of the protocol, or no FastCGI at all.
    Version,
    /// Of a type that may not come here.
    Type,
    /// Of a request that was never begun.
    Id,
    /// Of content that the type cannot have.
    Content,
    /// After the end of what it belongs to.
    Order,
    /// The variables are more than the limits allow.
    TooLarge,
}

impl BadRecord {
    /// A stable word in snake_case.
    pub fn label(self) -> &'static str {
        match self {
            Self::Version => "fastcgi_version",
            Self::Type => "fastcgi_type",
            Self::Id => "fastcgi_id",
            Self::Content => "fastcgi_content",
            Self::Order => "fastcgi_order",
            Self::TooLarge => "fastcgi_too_large",
        }
    }
}

/// The header of a record of `length` bytes without padding, at most [`MAX_CONTENT`].
pub fn record_header(kind: u8, id: u16, length: u16) -> [u8; HEADER] {
    let [id_high, id_low] = id.to_be_bytes();
    let [high, low] = length.to_be_bytes();
    [VERSION, kind, id_high, id_low, high, low, 0, 0]
}

/// Appends `content` in as many records as it takes, none for none: an empty record ends a stream.
pub fn record(out: &mut Vec<u8>, kind: u8, id: u16, content: &[u8]) {
    for piece in content.chunks(MAX_CONTENT) {
        out.extend_from_slice(&record_header(kind, id, piece.len() as u16));
        out.extend_from_slice(piece);
    }
}

/// Appends the record that begins a request; with `keep` the connection is to stay open after it.
pub fn begin(out: &mut Vec<u8>, id: u16, keep: bool) {
    let flags = if keep { KEEP_CONN } else { 0 };
    record(
        out,
        BEGIN_REQUEST,
        id,
        &[0, RESPONDER, flags, 0, 0, 0, 0, 0],
    );
}

/// Appends all variables and their end.
pub fn params(out: &mut Vec<u8>, id: u16, variables: &Variables) {
    let mut block = Vec::with_capacity(variables.size() + variables.len() * 2);
    for (name, value) in variables.iter() {
        encode_pair(&mut block, name, value);
    }
    record(out, PARAMS, id, &block);
    out.extend_from_slice(&record_header(PARAMS, id, 0));
}

/// Appends the record that gives a request up.
pub fn abort(out: &mut Vec<u8>, id: u16) {
    out.extend_from_slice(&record_header(ABORT_REQUEST, id, 0));
}

/// Appends the last record of a request.
pub fn end(out: &mut Vec<u8>, id: u16, app_status: u32, status: ProtocolStatus) {
    let mut content = [0; 8];
    content[..4].copy_from_slice(&app_status.to_be_bytes());
    content[4] = status as u8;
    record(out, END_REQUEST, id, &content);
}

/// Appends the answer to a record of a type that is not known.
pub fn unknown_type(out: &mut Vec<u8>, kind: u8) {
    record(out, UNKNOWN_TYPE, 0, &[kind, 0, 0, 0, 0, 0, 0, 0]);
}

/// Appends the answer to [`GET_VALUES`].
pub fn values_result(out: &mut Vec<u8>, values: &Variables) {
    let mut block = Vec::new();
    for (name, value) in values.iter() {
        encode_pair(&mut block, name, value);
    }
    match block.is_empty() {
        true => out.extend_from_slice(&record_header(GET_VALUES_RESULT, 0, 0)),
        false => record(out, GET_VALUES_RESULT, 0, &block),
    }
}

/// What a record is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub kind: u8,
    pub id: u16,
    pub length: u16,
    padding: u8,
}

impl Record {
    fn parse(header: [u8; HEADER]) -> Result<Self, BadRecord> {
        let [version, kind, id_high, id_low, high, low, padding, _] = header;
        if version != VERSION {
            return Err(BadRecord::Version);
        }
        Ok(Self {
            kind,
            id: u16::from_be_bytes([id_high, id_low]),
            length: u16::from_be_bytes([high, low]),
            padding,
        })
    }
}

/// What [`Scanner::scan`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scanned {
    /// Nothing more in these bytes.
    More,
    /// A record begins. It is followed by its content, unless it has none.
    Begin(Record),
    /// Content of the record: that many of the next bytes.
    Content(Record, usize),
}

/// Finds records in bytes that come in pieces. Holds no content.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    header: [u8; HEADER],
    have: usize,
    record: Record,
    content: usize,
    padding: usize,
}

impl Scanner {
    /// Whether the next byte is the first of a record.
    pub fn is_between(&self) -> bool {
        self.have == 0 && self.content == 0 && self.padding == 0
    }

    /// Bytes of content of the current record that have not been found yet.
    pub fn content_left(&self) -> usize {
        self.content
    }

    /// Takes what there is of the padding in the next `available` bytes; how much that is.
    pub fn skip_padding(&mut self, available: usize) -> usize {
        let count = match self.content {
            0 => self.padding.min(available),
            _ => 0,
        };
        self.padding -= count;
        count
    }

    /// The next thing in `input`, and the bytes that it took, content included.
    pub fn scan(&mut self, input: &[u8]) -> Result<(Scanned, usize), BadRecord> {
        if self.content > 0 {
            let count = self.content.min(input.len());
            self.content -= count;
            return Ok(match count {
                0 => (Scanned::More, 0),
                _ => (Scanned::Content(self.record, count), count),
            });
        }
        let skipped = self.padding.min(input.len());
        self.padding -= skipped;
        let rest = input.get(skipped..).unwrap_or_default();
        let room = self.header.get_mut(self.have..).unwrap_or_default();
        let count = room.len().min(rest.len());
        let (Some(room), Some(bytes)) = (room.get_mut(..count), rest.get(..count)) else {
            return Ok((Scanned::More, skipped));
        };
        room.copy_from_slice(bytes);
        self.have += count;
        // Seen early: what speaks another protocol may never send eight bytes.
        if self.have > 0 && self.header[0] != VERSION {
            return Err(BadRecord::Version);
        }
        if self.have < HEADER {
            return Ok((Scanned::More, skipped + count));
        }
        self.have = 0;
        self.record = Record::parse(self.header)?;
        self.content = usize::from(self.record.length);
        self.padding = usize::from(self.record.padding);
        Ok((Scanned::Begin(self.record), skipped + count))
    }
}
