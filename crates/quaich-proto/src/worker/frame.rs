//! The frames of an answer: eight bytes of head (length, kind), then the payload, padded to eight.
//!
//! Written by the worker, read by the front. Pure; a decoder meets any bytes.

/// Bytes of a frame's head.
pub const FRAME_HEAD: usize = 8;
/// Longest payload of a `Head` frame.
pub const MAX_HEAD: usize = 48 * 1024;
/// Longest text of an `Error` frame; more is cut.
pub const MAX_TEXT: usize = 4 * 1024;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Status and header fields; once, first.
    Head = 1,
    /// Body bytes.
    Data = 2,
    /// A range of a file; its descriptor was sent over the link before.
    File = 3,
    /// The answer is complete.
    End = 4,
    /// The answer cannot be completed.
    Error = 5,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Head,
            2 => Self::Data,
            3 => Self::File,
            4 => Self::End,
            5 => Self::Error,
            _ => return None,
        })
    }
}

/// Why an app could not complete its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ErrorKind {
    /// It raised; the traceback is in the log.
    Exception = 1,
    /// It broke the rules of WSGI.
    Protocol = 2,
    /// Its body is shorter than its Content-Length.
    ShortBody = 3,
    /// The worker is at fault, not the app.
    Worker = 4,
}

/// The bytes are no valid frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadFrame(pub &'static str);

/// A frame's head as the ring's first word.
pub fn pack_head(kind: Kind, len: usize) -> [u8; FRAME_HEAD] {
    ((kind as u64) << 32 | len as u64 & 0xFFFF_FFFF).to_le_bytes()
}

/// Reads a frame's head: kind and payload length.
pub fn unpack_head(word: u64) -> Result<(Kind, usize), BadFrame> {
    let kind = Kind::from_byte((word >> 32) as u8).filter(|_| word >> 40 == 0);
    let kind = kind.ok_or(BadFrame("frame of unknown kind"))?;
    Ok((kind, word as u32 as usize))
}

/// Payload length with its padding.
pub fn padded(len: usize) -> usize {
    len.saturating_add(7) & !7
}

/// A field name or value, or a head, too long for the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooBig;

/// Begins the payload of a `Head` frame. The reason is cut at 255 bytes.
pub fn begin_head(out: &mut Vec<u8>, status: u16, reason: &[u8]) {
    let reason = reason.get(..255).unwrap_or(reason);
    out.extend_from_slice(&status.to_le_bytes());
    out.extend_from_slice(&[reason.len() as u8, 0]);
    out.extend_from_slice(reason);
}

/// Appends one header field to a `Head` payload. Neither part is checked here: the worker checks
/// for the sake of its app, the front for its own.
pub fn push_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) -> Result<(), TooBig> {
    let name_len = u16::try_from(name.len()).map_err(|_| TooBig)?;
    let value_len = u16::try_from(value.len()).map_err(|_| TooBig)?;
    out.extend_from_slice(&name_len.to_le_bytes());
    out.extend_from_slice(&value_len.to_le_bytes());
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    Ok(())
}

/// A decoded `Head` payload.
#[derive(Clone, Copy, Debug)]
pub struct HeadView<'a> {
    /// Status code, 100 to 999.
    pub status: u16,
    /// Reason phrase as the app gave it.
    pub reason: &'a [u8],
    fields: &'a [u8],
}

impl<'a> HeadView<'a> {
    /// Decodes; the fields are checked while they are walked.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, BadFrame> {
        let (&[low, high, len, _], rest) = bytes
            .split_first_chunk()
            .ok_or(BadFrame("short head frame"))?;
        let status = u16::from_le_bytes([low, high]);
        let (reason, fields) = rest
            .split_at_checked(len.into())
            .ok_or(BadFrame("short head frame"))?;
        if !(100..1000).contains(&status) {
            return Err(BadFrame("status code out of range"));
        }
        Ok(Self {
            status,
            reason,
            fields,
        })
    }

    /// Name and value of each field, in order.
    pub fn fields(&self) -> Fields<'a> {
        Fields { rest: self.fields }
    }
}

/// Iterator over the fields of a head; an error ends it.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), BadFrame>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = take_field(self.rest);
        self.rest = field.map_or(&[], |(_, _, rest)| rest);
        Some(
            field
                .map(|(name, value, _)| (name, value))
                .ok_or(BadFrame("short header field")),
        )
    }
}

fn take_field(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (&[n0, n1, v0, v1], rest) = bytes.split_first_chunk()?;
    let (name, rest) = rest.split_at_checked(u16::from_le_bytes([n0, n1]).into())?;
    let (value, rest) = rest.split_at_checked(u16::from_le_bytes([v0, v1]).into())?;
    Some((name, value, rest))
}

/// The payload of a `File` frame.
pub fn pack_file(offset: u64, len: u64) -> [u8; 16] {
    (u128::from(len) << 64 | u128::from(offset)).to_le_bytes()
}

/// Offset and length of a `File` payload.
pub fn unpack_file(payload: &[u8]) -> Result<(u64, u64), BadFrame> {
    let payload: [u8; 16] = payload
        .try_into()
        .map_err(|_| BadFrame("file frame of odd size"))?;
    let both = u128::from_le_bytes(payload);
    Ok((both as u64, (both >> 64) as u64))
}

/// Kind of an `Error` payload, and its text.
pub fn unpack_error(payload: &[u8]) -> Result<(ErrorKind, &[u8]), BadFrame> {
    let (kind, text) = payload.split_first().ok_or(BadFrame("short error frame"))?;
    let kind = match kind {
        1 => ErrorKind::Exception,
        2 => ErrorKind::Protocol,
        3 => ErrorKind::ShortBody,
        4 => ErrorKind::Worker,
        _ => return Err(BadFrame("error of unknown kind")),
    };
    Ok((kind, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn heads_come_back_as_they_went(
            status in 100u16..1000,
            reason in prop::collection::vec(any::<u8>(), 0..100),
            fields in prop::collection::vec(
                (prop::collection::vec(any::<u8>(), 0..40), prop::collection::vec(any::<u8>(), 0..99)),
                0..9,
            ),
        ) {
            let mut bytes = Vec::new();
            begin_head(&mut bytes, status, &reason);
            for (name, value) in &fields {
                push_field(&mut bytes, name, value).expect("fits");
            }
            let view = HeadView::decode(&bytes).expect("valid");
            prop_assert_eq!((view.status, view.reason), (status, &reason[..]));
            let back: Result<Vec<_>, _> =
                view.fields().map(|f| f.map(|(n, v)| (n.to_vec(), v.to_vec()))).collect();
            prop_assert_eq!(back, Ok(fields));
        }

        #[test]
        fn any_bytes_decode_without_panic(bytes: Vec<u8>, word: u64) {
            if let Ok(view) = HeadView::decode(&bytes) {
                prop_assert!(view.fields().count() <= bytes.len());
            }
            let _ = (unpack_head(word), unpack_file(&bytes), unpack_error(&bytes));
        }
    }

    #[test]
    fn a_file_range_comes_back() {
        assert_eq!(unpack_file(&pack_file(7, u64::MAX)), Ok((7, u64::MAX)));
    }
}
