//! The request as it travels to a worker: everything WSGI's environ needs, already parsed.
//!
//! Encoded by the front, decoded without copies by the worker. Pure, little-endian.

pub use super::frame::TooBig;

/// Bytes of the fixed part: lengths and flags.
const FIXED: usize = 56;
const TEXTS: usize = 9;
/// Longest field name in bytes.
pub const MAX_NAME: usize = 255;

const HTTPS: u8 = 1;
const CHUNKED: u8 = 2;
const HAS_LENGTH: u8 = 4;
const INLINE: u8 = 8;
const FILE: u8 = 16;

/// What a request says besides its header fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RequestMeta<'a> {
    /// `REQUEST_METHOD`.
    pub method: &'a [u8],
    /// `SCRIPT_NAME`, decoded; empty at the root.
    pub script_name: &'a [u8],
    /// `PATH_INFO`, decoded.
    pub path_info: &'a [u8],
    /// `QUERY_STRING`, as received.
    pub query: &'a [u8],
    /// The target as received, `REQUEST_URI`.
    pub raw_target: &'a [u8],
    /// 10 or 11.
    pub version: u8,
    /// `wsgi.url_scheme` is https.
    pub scheme_https: bool,
    /// `SERVER_NAME`.
    pub server_name: &'a [u8],
    /// `SERVER_PORT`.
    pub server_port: u16,
    /// `REMOTE_ADDR` as text; empty for a unix socket.
    pub remote_addr: &'a [u8],
    /// `REMOTE_PORT`.
    pub remote_port: u16,
    /// `REMOTE_USER`; empty = none.
    pub remote_user: &'a [u8],
    /// The request's id; empty = none.
    pub request_id: &'a [u8],
    /// `CONTENT_LENGTH`.
    pub content_length: Option<u64>,
    /// The body was chunked: its length was not announced (`wsgi.input_terminated`).
    pub chunked: bool,
    /// The body.
    pub body: Body<'a>,
}

/// Where a request's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Body<'a> {
    /// There is none.
    #[default]
    None,
    /// Here.
    Inline(&'a [u8]),
    /// In a file whose descriptor the worker asks for over the link.
    File {
        /// Bytes from the file's start.
        len: u64,
    },
}

/// One header field: an opaque name id of the sender (0 = other), its name (may be empty when the
/// id is not 0), its value.
pub type Field<'a> = (u8, &'a [u8], &'a [u8]);

/// The bytes are no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("malformed request message")
    }
}

impl std::error::Error for Malformed {}

fn texts<'a>(meta: &RequestMeta<'a>) -> [&'a [u8]; TEXTS] {
    [
        meta.method,
        meta.script_name,
        meta.path_info,
        meta.query,
        meta.raw_target,
        meta.server_name,
        meta.remote_addr,
        meta.remote_user,
        meta.request_id,
    ]
}

/// Appends the message without the bytes of an inline body, which must follow it directly.
/// Lines up with nothing: `out` should be empty before. Returns the bytes appended.
pub fn encode_head<'h>(
    out: &mut Vec<u8>,
    meta: &RequestMeta<'_>,
    fields: impl IntoIterator<Item = Field<'h>>,
) -> Result<usize, TooBig> {
    let start = out.len();
    out.extend_from_slice(&[0; FIXED]);
    let mut lengths = [[0; 2]; TEXTS];
    for (length, text) in lengths.iter_mut().zip(texts(meta)) {
        *length = u16::try_from(text.len()).map_err(|_| TooBig)?.to_le_bytes();
        out.extend_from_slice(text);
    }
    let mut count = 0u16;
    for (id, name, value) in fields {
        let name = if id == 0 { name } else { &[] };
        let name_len = u8::try_from(name.len()).map_err(|_| TooBig)?;
        let [low, high] = u16::try_from(value.len())
            .map_err(|_| TooBig)?
            .to_le_bytes();
        out.extend_from_slice(&[id, name_len, low, high]);
        out.extend_from_slice(name);
        out.extend_from_slice(value);
        count = count.checked_add(1).ok_or(TooBig)?;
    }
    let head_len = u32::try_from(out.len() - start).map_err(|_| TooBig)?;
    let (body_flag, body_len) = match meta.body {
        Body::None => (0, 0),
        Body::Inline(bytes) => (INLINE, bytes.len() as u64),
        Body::File { len } => (FILE, len),
    };
    let flags = body_flag
        | if meta.scheme_https { HTTPS } else { 0 }
        | if meta.chunked { CHUNKED } else { 0 }
        | if meta.content_length.is_some() {
            HAS_LENGTH
        } else {
            0
        };
    let fixed = &mut out[start..start + FIXED];
    fixed[..4].copy_from_slice(&head_len.to_le_bytes());
    fixed[4..6].copy_from_slice(&[meta.version, flags]);
    fixed[6..8].copy_from_slice(&meta.server_port.to_le_bytes());
    fixed[8..10].copy_from_slice(&meta.remote_port.to_le_bytes());
    fixed[10..12].copy_from_slice(&count.to_le_bytes());
    fixed[12..30].copy_from_slice(lengths.as_flattened());
    fixed[32..40].copy_from_slice(&meta.content_length.unwrap_or(0).to_le_bytes());
    fixed[40..48].copy_from_slice(&body_len.to_le_bytes());
    Ok(head_len as usize)
}

/// Appends the whole message, an inline body included. Returns the bytes appended.
pub fn encode_request<'h>(
    out: &mut Vec<u8>,
    meta: &RequestMeta<'_>,
    fields: impl IntoIterator<Item = Field<'h>>,
) -> Result<usize, TooBig> {
    let head = encode_head(out, meta, fields)?;
    match meta.body {
        Body::Inline(bytes) => {
            out.extend_from_slice(bytes);
            Ok(head + bytes.len())
        }
        _ => Ok(head),
    }
}

/// A decoded request; borrows the message.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    /// Everything but the fields.
    pub meta: RequestMeta<'a>,
    fields: &'a [u8],
    count: u16,
}

impl<'a> RequestView<'a> {
    /// The header fields in order.
    pub fn fields(&self) -> Fields<'a> {
        Fields {
            rest: self.fields,
            left: self.count,
        }
    }

    /// How many there are.
    pub fn field_count(&self) -> usize {
        usize::from(self.count)
    }
}

/// Decodes a message; walks the fields once to know that all of them are whole.
pub fn decode_request(bytes: &[u8]) -> Result<RequestView<'_>, Malformed> {
    let (fixed, _) = bytes.split_first_chunk::<FIXED>().ok_or(Malformed)?;
    let two = |at: usize| u16::from_le_bytes([fixed[at], fixed[at + 1]]);
    let eight = |at: usize| {
        let mut out = [0; 8];
        out.copy_from_slice(&fixed[at..at + 8]);
        u64::from_le_bytes(out)
    };
    let head_len = u32::from_le_bytes([fixed[0], fixed[1], fixed[2], fixed[3]]) as usize;
    let (head, body) = bytes.split_at_checked(head_len).ok_or(Malformed)?;
    let mut rest = head.get(FIXED..).ok_or(Malformed)?;
    let mut texts: [&[u8]; TEXTS] = [&[]; TEXTS];
    for (index, text) in texts.iter_mut().enumerate() {
        (*text, rest) = rest
            .split_at_checked(two(12 + 2 * index).into())
            .ok_or(Malformed)?;
    }
    let [
        method,
        script_name,
        path_info,
        query,
        raw_target,
        server_name,
        remote_addr,
        user,
        id,
    ] = texts;
    let (flags, body_len) = (fixed[5], eight(40));
    let inline = usize::try_from(body_len)
        .ok()
        .and_then(|len| body.get(..len));
    let meta = RequestMeta {
        method,
        script_name,
        path_info,
        query,
        raw_target,
        version: fixed[4],
        scheme_https: flags & HTTPS != 0,
        server_name,
        server_port: two(6),
        remote_addr,
        remote_port: two(8),
        remote_user: user,
        request_id: id,
        content_length: (flags & HAS_LENGTH != 0).then(|| eight(32)),
        chunked: flags & CHUNKED != 0,
        body: match flags & (INLINE | FILE) {
            0 => Body::None,
            INLINE => Body::Inline(inline.ok_or(Malformed)?),
            FILE => Body::File { len: body_len },
            _ => return Err(Malformed),
        },
    };
    let view = RequestView {
        meta,
        fields: rest,
        count: two(10),
    };
    if view.fields().count() == view.field_count() {
        Ok(view)
    } else {
        Err(Malformed)
    }
}

/// Iterator over a request's fields.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
    left: u16,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (&[id, name_len, low, high], rest) = self.rest.split_first_chunk()?;
        let (name, rest) = rest.split_at_checked(name_len.into())?;
        let (value, rest) = rest.split_at_checked(u16::from_le_bytes([low, high]).into())?;
        self.rest = rest;
        Some((id, name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(max: usize) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), 0..max)
    }

    proptest! {
        #[test]
        fn requests_come_back_as_they_went(
            texts in prop::collection::vec(bytes(50), TEXTS),
            fields in prop::collection::vec((any::<u8>(), bytes(40), bytes(90)), 0..9),
            body in prop::option::of(bytes(100)),
            numbers: (u16, u16, Option<u64>, bool, bool),
        ) {
            let meta = RequestMeta {
                method: &texts[0], script_name: &texts[1], path_info: &texts[2],
                query: &texts[3], raw_target: &texts[4], server_name: &texts[5],
                remote_addr: &texts[6], remote_user: &texts[7], request_id: &texts[8],
                version: 11, server_port: numbers.0, remote_port: numbers.1,
                content_length: numbers.2, chunked: numbers.3, scheme_https: numbers.4,
                body: body.as_deref().map_or(Body::File { len: 7 }, Body::Inline),
            };
            let mut message = Vec::new();
            let borrowed = fields.iter().map(|(id, name, value)| (*id, &name[..], &value[..]));
            let len = encode_request(&mut message, &meta, borrowed).expect("fits");
            prop_assert_eq!(len, message.len());
            let view = decode_request(&message).expect("valid");
            prop_assert_eq!(view.meta, meta);
            for ((id, name, value), (id2, name2, value2)) in view.fields().zip(&fields) {
                prop_assert_eq!((id, value), (*id2, &value2[..]));
                let expected: &[u8] = if id == 0 { name2 } else { &[] };
                prop_assert_eq!(name, expected);
            }
            prop_assert_eq!(view.field_count(), fields.len());
            for cut in 0..message.len() {
                prop_assert!(decode_request(&message[..cut]).is_err());
            }
        }

        #[test]
        fn any_bytes_decode_without_panic(head in bytes(300), len in 0u32..400) {
            let mut message = len.to_le_bytes().to_vec();
            message.extend(head);
            if let Ok(view) = decode_request(&message) {
                prop_assert_eq!(view.fields().count(), view.field_count());
            }
        }
    }

    #[test]
    fn what_does_not_fit_the_format_is_refused() {
        let long = vec![b'a'; 70_000];
        let meta = RequestMeta {
            query: &long,
            ..RequestMeta::default()
        };
        assert_eq!(encode_request(&mut Vec::new(), &meta, []), Err(TooBig));
        let meta = RequestMeta::default();
        assert_eq!(
            encode_request(&mut Vec::new(), &meta, [(0, &long[..300], &b""[..])]),
            Err(TooBig)
        );
    }
}
