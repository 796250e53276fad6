//! Header blocks in HPACK (RFC 7541), written representation by representation.
//!
//! It writes what it is told, so that blocks can be wrong in every way. Nothing is Huffman-coded
//! unless a test brings the coded bytes itself.

/// A header block under construction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block(Vec<u8>);

/// The first byte of a literal that is neither indexed nor forbidden to be (RFC 7541 section 6.2.2).
const WITHOUT_INDEXING: (u8, u8) = (0x00, 4);
/// The first byte of a literal that enters the dynamic table (section 6.2.1).
const INCREMENTAL: (u8, u8) = (0x40, 6);
/// The first byte of a literal that must never be indexed (section 6.2.3).
const NEVER_INDEXED: (u8, u8) = (0x10, 4);

impl Block {
    /// An empty block.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The pseudo-fields of a request to `http://test`.
    #[must_use]
    pub fn request(method: &str, path: &str) -> Self {
        Self::new()
            .field(":method", method)
            .field(":scheme", "http")
            .field(":path", path)
            .field(":authority", "test")
    }

    /// `GET /`
    #[must_use]
    pub fn get() -> Self {
        Self::request("GET", "/")
    }

    /// `POST /`
    #[must_use]
    pub fn post() -> Self {
        Self::request("POST", "/")
    }

    /// A field as a literal without indexing.
    #[must_use]
    pub fn field(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.literal(WITHOUT_INDEXING, name.as_ref(), value.as_ref())
    }

    /// A field that enters the dynamic table.
    #[must_use]
    pub fn indexed_field(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.literal(INCREMENTAL, name.as_ref(), value.as_ref())
    }

    /// A field that must never be indexed.
    #[must_use]
    pub fn secret_field(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.literal(NEVER_INDEXED, name.as_ref(), value.as_ref())
    }

    /// A literal without indexing whose name is that of an entry of the tables.
    #[must_use]
    pub fn named_by_index(mut self, index: usize, value: impl AsRef<[u8]>) -> Self {
        self.integer(WITHOUT_INDEXING, index);
        self.string(value.as_ref());
        self
    }

    /// A whole field of the tables (section 6.1).
    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        self.integer((0x80, 7), index);
        self
    }

    /// A change of the dynamic table's size (section 6.3).
    #[must_use]
    pub fn table_size(mut self, size: usize) -> Self {
        self.integer((0x20, 5), size);
        self
    }

    /// Any bytes.
    #[must_use]
    pub fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    /// The bytes so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn literal(mut self, form: (u8, u8), name: &[u8], value: &[u8]) -> Self {
        self.integer(form, 0);
        self.string(name);
        self.string(value);
        self
    }

    fn string(&mut self, bytes: &[u8]) {
        self.integer((0, 7), bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// An integer behind a pattern, in a prefix of so many bits (section 5.1).
    fn integer(&mut self, (pattern, bits): (u8, u8), mut value: usize) {
        let most = (1_usize << bits) - 1;
        if value < most {
            self.0.push(pattern | value as u8);
            return;
        }
        self.0.push(pattern | most as u8);
        value -= most;
        while value >= 128 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

impl From<Block> for Vec<u8> {
    fn from(block: Block) -> Self {
        block.0
    }
}

impl AsRef<[u8]> for Block {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(block: &Block) -> Vec<(String, String)> {
        let fields = loona_hpack::Decoder::new().decode(block.bytes());
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        let fields = fields.expect("a right block");
        fields
            .into_iter()
            .map(|(n, v)| (text(n), text(v)))
            .collect()
    }

    #[test]
    fn integers_are_those_of_the_rfc() {
        let mut block = Block::new();
        block.integer((0, 5), 10);
        block.integer((0, 5), 1337);
        block.integer((0, 8), 42);
        assert_eq!(block.bytes(), [10, 31, 154, 10, 42]);
    }

    #[test]
    fn every_representation_can_be_read_back() {
        let long = "v".repeat(300);
        let block = Block::new()
            .table_size(1000)
            .index(2)
            .named_by_index(4, "/here")
            .indexed_field("x-one", &long)
            .index(62)
            .secret_field("x-two", "2");
        let x_one = ("x-one".to_string(), long);
        let expected = [
            (":method".to_string(), "GET".to_string()),
            (":path".to_string(), "/here".to_string()),
            x_one.clone(),
            x_one,
            ("x-two".to_string(), "2".to_string()),
        ];
        assert_eq!(decoded(&block), expected);
    }
}
