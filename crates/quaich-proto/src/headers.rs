//! Header fields: one flat buffer and a list of places in it, used again for each message. Filled by
//! the codecs, read by routing and handlers; never holds a name or value that could end its line.

use crate::octets::{is_token, is_value, trim};

macro_rules! header_ids {
    ($($id:ident = $name:literal,)*) => {
        /// A field name that quaich knows.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "each is its own name")]
        pub enum HeaderId {
            /// Any other name.
            #[default]
            Other = 0,
            $($id,)*
        }

        const NAMES: &[(HeaderId, &str)] = &[$((HeaderId::$id, $name),)*];

        impl HeaderId {
            /// The name in lower case; empty for `Other`.
            pub fn as_str(self) -> &'static str {
                match self {
                    Self::Other => "",
                    $(Self::$id => $name,)*
                }
            }
        }
    };
}

header_ids! {
    Host = "host",
    Connection = "connection",
    ContentLength = "content-length",
    ContentType = "content-type",
    TransferEncoding = "transfer-encoding",
    Te = "te",
    Trailer = "trailer",
    Upgrade = "upgrade",
    Expect = "expect",
    KeepAlive = "keep-alive",
    ProxyConnection = "proxy-connection",
    Cookie = "cookie",
    SetCookie = "set-cookie",
    Date = "date",
    Server = "server",
    Location = "location",
    UserAgent = "user-agent",
    Accept = "accept",
    AcceptEncoding = "accept-encoding",
    AcceptLanguage = "accept-language",
    Referer = "referer",
    Authorization = "authorization",
    Range = "range",
    IfRange = "if-range",
    IfMatch = "if-match",
    IfNoneMatch = "if-none-match",
    IfModifiedSince = "if-modified-since",
    IfUnmodifiedSince = "if-unmodified-since",
    CacheControl = "cache-control",
    XForwardedFor = "x-forwarded-for",
    XForwardedProto = "x-forwarded-proto",
    XForwardedHost = "x-forwarded-host",
    XForwardedPort = "x-forwarded-port",
    XForwardedPrefix = "x-forwarded-prefix",
    XRealIp = "x-real-ip",
    Forwarded = "forwarded",
    XRequestId = "x-request-id",
    Origin = "origin",
    XAccelRedirect = "x-accel-redirect",
    XAccelBuffering = "x-accel-buffering",
    XAccelExpires = "x-accel-expires",
    XAccelLimitRate = "x-accel-limit-rate",
    XAccelCharset = "x-accel-charset",
    XSendfile = "x-sendfile",
    XPoweredBy = "x-powered-by",
    XAspnetVersion = "x-aspnet-version",
    XAspnetMvcVersion = "x-aspnetmvc-version",
    XRuntime = "x-runtime",
}

/// Slots of the name table; a power of two with room, so that chains are short.
const TABLE: usize = 256;

const fn hash(length: usize, first: u8, last: u8) -> usize {
    (length.wrapping_mul(31)
        ^ (first as usize | 0x20).wrapping_mul(7)
        ^ (last as usize | 0x20).wrapping_mul(13))
        % TABLE
}

/// Index into `NAMES` plus one, by hash, with linear chains.
const BY_HASH: [u8; TABLE] = {
    let mut table = [0; TABLE];
    let mut index = 0;
    while index < NAMES.len() {
        let name = NAMES[index].1.as_bytes();
        let mut slot = hash(name.len(), name[0], name[name.len() - 1]);
        while table[slot] != 0 {
            slot = (slot + 1) % TABLE;
        }
        table[slot] = index as u8 + 1;
        index += 1;
    }
    table
};

impl HeaderId {
    /// The id of `name`, whatever its case.
    pub fn from_name(name: &[u8]) -> Self {
        let (Some(first), Some(last)) = (name.first(), name.last()) else {
            return Self::Other;
        };
        let mut slot = hash(name.len(), *first, *last);
        while BY_HASH[slot] != 0 {
            let (id, known) = NAMES[usize::from(BY_HASH[slot]) - 1];
            if known.as_bytes().eq_ignore_ascii_case(name) {
                return id;
            }
            slot = (slot + 1) % TABLE;
        }
        Self::Other
    }

    /// The id with this number; `Other` for numbers of none.
    pub fn from_number(number: u8) -> Self {
        match usize::from(number)
            .checked_sub(1)
            .and_then(|index| NAMES.get(index))
        {
            Some((id, _)) => *id,
            None => Self::Other,
        }
    }
}

/// A name or value that no message may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidField;

impl std::fmt::Display for InvalidField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a header name or value holds a byte that it may not hold")
    }
}

impl std::error::Error for InvalidField {}

#[derive(Clone, Copy, Debug)]
struct Field {
    name: u32,
    value: u32,
    name_length: u16,
    id: HeaderId,
    value_length: u32,
}

/// Header fields in their order. Names and values are valid by construction (RFC 9110 section 5).
#[derive(Debug, Default)]
pub struct Headers {
    text: Vec<u8>,
    fields: Vec<Field>,
}

impl Clone for Headers {
    fn clone(&self) -> Self {
        Self {
            text: self.text.clone(),
            fields: self.fields.clone(),
        }
    }

    fn clone_from(&mut self, source: &Self) {
        self.text.clone_from(&source.text);
        self.fields.clone_from(&source.fields);
    }
}

impl Headers {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the fields, keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.fields.clear();
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Bytes of all fields as `name: value` lines on the wire, line ends included.
    pub fn wire_size(&self) -> usize {
        let size = |f: &Field| usize::from(f.name_length) + f.value_length as usize + 4;
        self.fields.iter().map(size).sum()
    }

    fn name_of(&self, field: &Field) -> &[u8] {
        let start = field.name as usize;
        self.text
            .get(start..start + usize::from(field.name_length))
            .unwrap_or_default()
    }

    fn value_of(&self, field: &Field) -> &[u8] {
        let start = field.value as usize;
        self.text
            .get(start..start + field.value_length as usize)
            .unwrap_or_default()
    }

    /// Id, name as received and value of each field, in order.
    pub fn iter(&self) -> impl Iterator<Item = (HeaderId, &[u8], &[u8])> {
        self.fields
            .iter()
            .map(|f| (f.id, self.name_of(f), self.value_of(f)))
    }

    /// The first value of a known field; `None` for `Other`, which names no field.
    pub fn get(&self, id: HeaderId) -> Option<&[u8]> {
        self.get_all(id).next()
    }

    /// All values of a known field, in order; none for `Other`.
    pub fn get_all(&self, id: HeaderId) -> impl Iterator<Item = &[u8]> {
        let wanted = self
            .fields
            .iter()
            .filter(move |f| f.id == id && id != HeaderId::Other);
        wanted.map(|f| self.value_of(f))
    }

    /// Whether a known field is there.
    pub fn contains(&self, id: HeaderId) -> bool {
        self.get_all(id).next().is_some()
    }

    /// The first value of the field `name`, whatever its case.
    pub fn by_name(&self, name: &[u8]) -> Option<&[u8]> {
        let mut named = self
            .fields
            .iter()
            .filter(|f| self.name_of(f).eq_ignore_ascii_case(name));
        named.next().map(|f| self.value_of(f))
    }

    /// Adds a field at the end. The name must be a token, the value without control bytes but the
    /// tab (RFC 9110 section 5); blanks around the value are dropped.
    pub fn push(&mut self, name: &[u8], value: &[u8]) -> Result<(), InvalidField> {
        let value = trim(value);
        if !is_token(name) || !is_value(value) {
            return Err(InvalidField);
        }
        self.push_valid(HeaderId::from_name(name), name, value)
    }

    /// Adds a known field at the end, under its name in lower case. `Other` is refused.
    pub fn push_known(&mut self, id: HeaderId, value: &[u8]) -> Result<(), InvalidField> {
        let value = trim(value);
        if id == HeaderId::Other || !is_value(value) {
            return Err(InvalidField);
        }
        self.push_valid(id, id.as_str().as_bytes(), value)
    }

    /// Adds a field whose name and value were checked. Fails only when it is too long to be held.
    pub(crate) fn push_valid(
        &mut self,
        id: HeaderId,
        name: &[u8],
        value: &[u8],
    ) -> Result<(), InvalidField> {
        let start = self.text.len();
        let field = Field {
            name: u32::try_from(start).map_err(|_| InvalidField)?,
            value: u32::try_from(start + name.len()).map_err(|_| InvalidField)?,
            name_length: u16::try_from(name.len()).map_err(|_| InvalidField)?,
            id,
            value_length: u32::try_from(value.len()).map_err(|_| InvalidField)?,
        };
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(value);
        self.fields.push(field);
        Ok(())
    }

    /// Adds the fields of a header block, lines `Name: value` with their CRLF.
    pub fn append_block(&mut self, block: &[u8]) -> Result<(), InvalidField> {
        let mut rest = block;
        while !rest.is_empty() {
            let end = rest
                .iter()
                .position(|&byte| byte == b'\r')
                .ok_or(InvalidField)?;
            let (line, after) = rest.split_at(end);
            let colon = line
                .iter()
                .position(|&byte| byte == b':')
                .ok_or(InvalidField)?;
            self.push(&line[..colon], &line[colon + 1..])?;
            rest = after.strip_prefix(b"\r\n").ok_or(InvalidField)?;
        }
        Ok(())
    }

    /// Replaces all fields `name` by one at the end; on an error nothing changes. The bytes of the
    /// replaced ones are given back by [`Headers::clear`] only.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), InvalidField> {
        self.push(name, value)?;
        if let Some(replacement) = self.fields.pop() {
            self.remove_name(name);
            self.fields.push(replacement);
        }
        Ok(())
    }

    /// Removes a known field, however often it is there. `Other` names none.
    pub fn remove(&mut self, id: HeaderId) {
        self.fields.retain(|f| f.id != id || id == HeaderId::Other);
    }

    /// Removes a field by name, whatever its case.
    pub fn remove_name(&mut self, name: &[u8]) {
        self.retain(|_, known, _| !known.eq_ignore_ascii_case(name));
    }

    /// Asks `change` for the value of each field, in order; `None` leaves it as it is, and so does a
    /// value that no message may hold. Tells whether any has changed.
    pub fn change(
        &mut self,
        mut change: impl FnMut(HeaderId, &[u8], &[u8]) -> Option<Vec<u8>>,
    ) -> bool {
        let mut changed = false;
        for index in 0..self.fields.len() {
            let Some(field) = self.fields.get(index).copied() else {
                continue;
            };
            let Some(value) = change(field.id, self.name_of(&field), self.value_of(&field)) else {
                continue;
            };
            let place = u32::try_from(self.text.len());
            let length = u32::try_from(value.len());
            let (Ok(place), Ok(length), true) = (place, length, is_value(&value)) else {
                continue;
            };
            self.text.extend_from_slice(&value);
            if let Some(field) = self.fields.get_mut(index) {
                (field.value, field.value_length) = (place, length);
                changed = true;
            }
        }
        changed
    }

    /// Keeps the fields for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(HeaderId, &[u8], &[u8]) -> bool) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.retain(|f| keep(f.id, self.name_of(f), self.value_of(f)));
        self.fields = fields;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Headers {
        let mut headers = Headers::new();
        headers.push(b"Host", b"a.test").unwrap();
        headers.push(b"X-One", b" 1\t").unwrap();
        headers.push(b"set-cookie", b"a=1").unwrap();
        headers.push_known(HeaderId::SetCookie, b"b=2").unwrap();
        headers
    }

    #[test]
    fn every_known_name_finds_its_id_in_any_case() {
        for (id, name) in NAMES {
            assert_eq!(HeaderId::from_name(name.as_bytes()), *id);
            assert_eq!(HeaderId::from_name(name.to_uppercase().as_bytes()), *id);
            assert_eq!(HeaderId::from_number(*id as u8), *id);
            assert_eq!(id.as_str(), *name);
        }
        for name in [
            &b""[..],
            b"x",
            b"hosts",
            b"hos",
            b"content_length",
            b"x-forwarded-fox",
        ] {
            assert_eq!(HeaderId::from_name(name), HeaderId::Other);
        }
    }

    #[test]
    fn fields_keep_their_order_case_and_repetition() {
        let headers = sample();
        let names: Vec<&[u8]> = headers.iter().map(|(_, name, _)| name).collect();
        assert_eq!(
            names,
            [&b"Host"[..], b"X-One", b"set-cookie", b"set-cookie"]
        );
        let cookies: Vec<&[u8]> = headers.get_all(HeaderId::SetCookie).collect();
        assert_eq!(cookies, [b"a=1", b"b=2"]);
        assert_eq!(headers.by_name(b"x-ONE"), Some(&b"1"[..]));
        assert_eq!(
            headers.wire_size(),
            "Host: a.testX-One: 1".len() + 2 * 15 + 4 * 2
        );
    }

    #[test]
    fn a_name_or_value_that_could_end_the_line_is_refused_and_changes_nothing() {
        let mut headers = sample();
        for (name, value) in [
            (&b"X-One"[..], &b"a\r\nb: c"[..]),
            (b"X-One", b"a\nb"),
            (b"X-One", b"a\0b"),
            (b"X-One", b"a\x7fb"),
            (b"X-One", b"a\x0c"),
            (b"X y", b"a"),
            (b"X:", b"a"),
            (b"", b"a"),
        ] {
            assert_eq!(headers.push(name, value), Err(InvalidField));
            assert_eq!(headers.set(name, value), Err(InvalidField));
        }
        assert_eq!(headers.push_known(HeaderId::Other, b"a"), Err(InvalidField));
        assert_eq!(headers.append_block(b"X: a\x0c\r\n"), Err(InvalidField));
        assert_eq!(headers.by_name(b"X-One"), Some(&b"1"[..]));
        assert_eq!(headers.len(), 4);
        headers.push(b"X", b"caf\xe9\t\xff").unwrap();
    }

    #[test]
    fn values_change_in_their_place_and_never_to_what_could_end_the_line() {
        let mut headers = sample();
        assert!(!headers.change(|_, _, _| None));
        assert!(!headers.change(|_, _, _| Some(b"a\r\nb: c".to_vec())));
        assert!(headers.change(|id, _, value| {
            (id == HeaderId::SetCookie).then(|| [value, b"; Path=/"].concat())
        }));
        let all: Vec<(&[u8], &[u8])> = headers.iter().map(|(_, n, v)| (n, v)).collect();
        assert_eq!(
            all,
            [
                (&b"Host"[..], &b"a.test"[..]),
                (b"X-One", b"1"),
                (b"set-cookie", b"a=1; Path=/"),
                (b"set-cookie", b"b=2; Path=/"),
            ]
        );
    }

    #[test]
    fn set_replaces_all_and_remove_removes_all() {
        let mut headers = sample();
        headers.set(b"Set-Cookie", b"c=3").unwrap();
        headers.set(b"x-one", b"2").unwrap();
        assert_eq!(headers.get_all(HeaderId::SetCookie).count(), 1);
        assert_eq!(headers.by_name(b"X-One"), Some(&b"2"[..]));
        headers.remove(HeaderId::SetCookie);
        headers.remove_name(b"X-ONE");
        assert!(!headers.contains(HeaderId::SetCookie));
        assert_eq!(headers.len(), 1);
        headers.retain(|id, _, _| id != HeaderId::Host);
        assert!(headers.is_empty() && !headers.contains(HeaderId::Host));
    }

    #[test]
    fn the_unknown_id_names_no_field() {
        let mut headers = sample();
        assert_eq!(headers.get(HeaderId::Other), None);
        assert!(!headers.contains(HeaderId::Other));
        headers.remove(HeaderId::Other);
        assert_eq!(headers.len(), 4);
    }

    #[test]
    fn a_cleared_section_holds_the_same_fields_in_the_same_memory() {
        let mut headers = sample();
        let room = (headers.text.capacity(), headers.fields.capacity());
        headers.clear();
        assert!(headers.is_empty() && headers.get(HeaderId::Host).is_none());
        headers.clone_from(&sample());
        assert_eq!((headers.text.capacity(), headers.fields.capacity()), room);
    }
}
