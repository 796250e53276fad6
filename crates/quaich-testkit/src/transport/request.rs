//! A request that can be written in every version of HTTP.

use crate::h2::Block;

/// A request in the terms that all versions share.
#[derive(Clone, Debug)]
pub struct Request {
    pub(super) method: String,
    target: String,
    host: String,
    fields: Vec<(String, String)>,
    pub(super) body: Body,
    pub(super) trailers: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    None,
    /// All of it, with its length said before.
    Sized(Vec<u8>),
    /// All of it, its length unknown before.
    Unsized(Vec<u8>),
    /// It comes by `Caller::send`; the length that is said before, if one is.
    Later(Option<usize>),
}

impl Request {
    /// A request to `test` without a body.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_string(),
            target: target.to_string(),
            host: "test".to_string(),
            fields: Vec::new(),
            body: Body::None,
            trailers: Vec::new(),
        }
    }

    /// A GET.
    #[must_use]
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A POST whose length is said before.
    #[must_use]
    pub fn post(target: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: Body::Sized(body.into()),
            ..Self::new("POST", target)
        }
    }

    /// A POST whose length is not known before.
    #[must_use]
    pub fn post_unsized(target: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: Body::Unsized(body.into()),
            ..Self::new("POST", target)
        }
    }

    /// A POST whose body comes later, by `Caller::send`; with its length, if that is to be said.
    #[must_use]
    pub fn post_later(target: &str, length: Option<usize>) -> Self {
        Self {
            body: Body::Later(length),
            ..Self::new("POST", target)
        }
    }

    /// Another method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = method.to_string();
        self
    }

    /// Another host.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        self.host = host.to_string();
        self
    }

    /// One more field, its name in lower case.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Into<String>) -> Self {
        self.fields.push((name.to_string(), value.into()));
        self
    }

    /// A field behind the body, which must be one of unknown length.
    #[must_use]
    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.to_string(), value.to_string()));
        self
    }

    /// The length that is said before, if one is.
    pub(super) fn length(&self) -> Option<usize> {
        match &self.body {
            Body::None | Body::Unsized(_) => None,
            Body::Sized(bytes) => Some(bytes.len()),
            Body::Later(length) => *length,
        }
    }

    /// The head as HTTP/1.1 writes it.
    pub(super) fn http1_head(&self) -> String {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: {}\r\n",
            self.method, self.target, self.host
        );
        for (name, value) in &self.fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match (self.length(), &self.body) {
            (Some(length), _) => head.push_str(&format!("content-length: {length}\r\n")),
            (None, Body::None) => {}
            (None, _) => head.push_str("transfer-encoding: chunked\r\n"),
        }
        head + "\r\n"
    }

    /// The head as HTTP/2 writes it.
    pub(super) fn http2_block(&self, scheme: &str) -> Block {
        let mut block = Block::new()
            .field(":method", &self.method)
            .field(":scheme", scheme)
            .field(":authority", &self.host)
            .field(":path", &self.target);
        for (name, value) in &self.fields {
            block = block.field(name, value);
        }
        match self.length() {
            Some(length) => block.field("content-length", length.to_string()),
            None => block,
        }
    }
}
