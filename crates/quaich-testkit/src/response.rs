//! An HTTP/1 response as the bytes on the wire say it: head, framing, body, and how it ended.

/// How the end of a response's body was marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// No body by status or by the request's method.
    None,
    /// `Content-Length`.
    Length,
    /// Chunks and a last chunk.
    Chunked,
    /// The end of the connection.
    Close,
}

/// One response, read to its end or to where the connection broke.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Status line and fields, as received.
    pub head: String,
    /// Decoded body, as much as came.
    pub body: Vec<u8>,
    /// How the body's end was marked.
    pub framing: Framing,
    /// Whether the mark of the end was seen.
    pub complete: bool,
    /// Fields behind the last chunk, names in lower case.
    pub trailers: Vec<(String, String)>,
}

impl Response {
    /// Reads the status line and the fields of a head (without its empty line).
    ///
    /// # Panics
    /// When it is not an HTTP/1 response head: that is a failure of the test's subject.
    #[must_use]
    pub fn from_head(head: &[u8]) -> Self {
        let head = String::from_utf8_lossy(head).into_owned();
        let line = head.lines().next().unwrap_or_default();
        assert!(line.starts_with("HTTP/1."), "not a status line: {head:?}");
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status in {line:?}"));
        Self {
            status,
            head,
            body: Vec::new(),
            framing: Framing::None,
            complete: false,
            trailers: Vec::new(),
        }
    }

    /// Settles how the body's end is marked, for an answer to this method; false when there is none,
    /// and the response is complete.
    pub(crate) fn expect_body_of(&mut self, method: &str) -> bool {
        if method == "HEAD" || matches!(self.status, 101 | 204 | 304) {
            self.complete = true;
            return false;
        }
        self.framing = if self.header("transfer-encoding").is_some() {
            Framing::Chunked
        } else if self.header("content-length").is_some() {
            Framing::Length
        } else {
            Framing::Close
        };
        true
    }

    /// `Content-Length`, 0 when there is none.
    ///
    /// # Panics
    /// When it is no number.
    pub(crate) fn length(&self) -> usize {
        let length = self.header("content-length").unwrap_or("0");
        length.parse().expect("Content-Length is a number")
    }

    /// The value of a field, names compared without case; the first when there are several.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).first().copied()
    }

    /// All values of a field, in order.
    #[must_use]
    pub fn headers(&self, name: &str) -> Vec<&str> {
        fields(&self.head, name)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none; the message shows the whole response.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("not JSON ({e}): {}\n{}", self.head, self.text()))
    }

    /// Fails the test unless the status is this one; returns itself for further checks.
    ///
    /// # Panics
    /// When the status is another one; the message shows the whole response.
    #[track_caller]
    pub fn expect_status(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "\n{}\n\n{}", self.head, self.text());
        self
    }

    /// Fails the test unless the body is this text and complete.
    ///
    /// # Panics
    /// When it is not; the message shows the whole response.
    #[track_caller]
    pub fn expect_body(&self, body: &str) -> &Self {
        assert_eq!(self.text(), body, "\n{}", self.head);
        assert!(self.complete, "the body was cut short: {}", self.head);
        self
    }

    /// Fails the test unless the field has this value.
    ///
    /// # Panics
    /// When it has not; the message shows the head.
    #[track_caller]
    pub fn expect_header(&self, name: &str, value: &str) -> &Self {
        assert_eq!(self.header(name), Some(value), "{name} in\n{}", self.head);
        self
    }
}

/// The values of a field in a head, names compared without case.
pub(crate) fn fields<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let named = |line: &'a str| {
        let (field, value) = line.split_once(':')?;
        field.eq_ignore_ascii_case(name).then(|| value.trim())
    };
    head.lines().skip(1).filter_map(named).collect()
}
