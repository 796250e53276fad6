//! Header fields: one flat buffer and a list of places in it, used again for each message.

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
}

/// Slots of the name table; a power of two with room, so that chains are short.
const TABLE: usize = 256;

const fn hash(length: usize, first: u8, last: u8) -> usize {
    (length.wrapping_mul(31) ^ (first as usize | 0x20).wrapping_mul(7)
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
        match usize::from(number).checked_sub(1).and_then(|index| NAMES.get(index)) {
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
        Self { text: self.text.clone(), fields: self.fields.clone() }
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

    /// Bytes of all fields on the wire, line ends included.
    pub fn wire_size(&self) -> usize {
        let size = |f: &Field| usize::from(f.name_length) + f.value_length as usize + 4;
        self.fields.iter().map(size).sum()
    }

    fn name_of(&self, field: &Field) -> &[u8] {
        let start = field.name as usize;
        self.text.get(start..start + usize::from(field.name_length)).unwrap_or_default()
    }

    fn value_of(&self, field: &Field) -> &[u8] {
        let start = field.value as usize;
        self.text.get(start..start + field.value_length as usize).unwrap_or_default()
    }

    /// Id, name as received and value of each field, in order.
    pub fn iter(&self) -> impl Iterator<Item = (HeaderId, &[u8], &[u8])> {
        self.fields.iter().map(|f| (f.id, self.name_of(f), self.value_of(f)))
    }

    /// The first value of a known field.
    pub fn get(&self, id: HeaderId) -> Option<&[u8]> {
        self.fields.iter().find(|f| f.id == id).map(|f| self.value_of(f))
    }

    /// All values of a known field, in order.
    pub fn get_all(&self, id: HeaderId) -> impl Iterator<Item = &[u8]> {
        self.fields.iter().filter(move |f| f.id == id).map(|f| self.value_of(f))
    }

    /// Whether a known field is there.
    pub fn contains(&self, id: HeaderId) -> bool {
        self.fields.iter().any(|f| f.id == id)
    }

    /// The first value of the field `name`, whatever its case.
    pub fn by_name(&self, name: &[u8]) -> Option<&[u8]> {
        let mut named = self.fields.iter().filter(|f| self.name_of(f).eq_ignore_ascii_case(name));
        named.next().map(|f| self.value_of(f))
    }

    /// Adds a field at the end.
    pub fn push(&mut self, name: &[u8], value: &[u8]) -> Result<(), InvalidField> {
        if name.is_empty() || !name.iter().all(|&byte| is_token(byte)) || !is_value(value) {
            return Err(InvalidField);
        }
        self.push_valid(HeaderId::from_name(name), name, value)
    }

    /// Adds a known field at the end.
    pub fn push_known(&mut self, id: HeaderId, value: &[u8]) -> Result<(), InvalidField> {
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
            let end = rest.iter().position(|&byte| byte == b'\r').ok_or(InvalidField)?;
            let (line, after) = rest.split_at(end);
            let colon = line.iter().position(|&byte| byte == b':').ok_or(InvalidField)?;
            self.push(&line[..colon], line[colon + 1..].trim_ascii())?;
            rest = after.strip_prefix(b"\r\n").ok_or(InvalidField)?;
        }
        Ok(())
    }

    /// Replaces all fields `name` by one.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), InvalidField> {
        self.remove_name(name);
        self.push(name, value)
    }

    /// Removes a known field.
    pub fn remove(&mut self, id: HeaderId) {
        self.fields.retain(|f| f.id != id);
    }

    /// Removes a field by name, whatever its case.
    pub fn remove_name(&mut self, name: &[u8]) {
        self.retain(|_, known, _| !known.eq_ignore_ascii_case(name));
    }

    /// Keeps the fields for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(HeaderId, &[u8], &[u8]) -> bool) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.retain(|f| keep(f.id, self.name_of(f), self.value_of(f)));
        self.fields = fields;
    }
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"!#$%&'*+-.^_`|~";
    let mut index = 0;
    while index < others.len() {
        table[others[index] as usize] = true;
        index += 1;
    }
    table
};

/// Whether a byte may stand in a token (RFC 9110 section 5.6.2).
pub fn is_token(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

/// Whether bytes may be a field value: no control byte but the tab (RFC 9110 section 5.5).
pub fn is_value(value: &[u8]) -> bool {
    value.iter().all(|&byte| byte >= 0x20 && byte != 0x7f || byte == b'\t')
}
