//! An answer without what only its version of HTTP says.

use crate::h2::{Ended, H2Response};
use crate::response::Response;

/// An answer in the terms that all versions share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Status code; 0 when there was no final head before the end.
    pub status: u16,
    /// Fields in their order, names in lower case, without those that frame the message.
    pub fields: Vec<(String, String)>,
    /// Body, as much as came.
    pub body: Vec<u8>,
    /// Fields behind the body.
    pub trailers: Vec<(String, String)>,
    /// Interim responses that came before, by status.
    pub interim: Vec<u16>,
    /// Whether the mark of the end was seen: nothing is missing.
    pub complete: bool,
}

/// Fields that say how a message of HTTP/1.1 is framed.
const FRAMING: [&str; 3] = ["connection", "keep-alive", "transfer-encoding"];

impl Answer {
    /// The value of a field; the first when there are several.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).first().copied()
    }

    /// All values of a field, in order.
    #[must_use]
    pub fn headers(&self, name: &str) -> Vec<&str> {
        let named = self.fields.iter().filter(|(field, _)| field == name);
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none; the message shows the whole answer.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("not JSON ({e}): {:?} {}", self.fields, self.text()))
    }

    /// Fails the test unless the status is this one.
    ///
    /// # Panics
    /// When it is another one; the message shows the whole answer.
    #[track_caller]
    pub fn expect_status(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{:?} {}", self.fields, self.text());
        self
    }

    /// Fails the test unless the body is this text and complete.
    ///
    /// # Panics
    /// When it is not; the message shows the fields.
    #[track_caller]
    pub fn expect_body(&self, body: &str) -> &Self {
        assert_eq!(self.text(), body, "{:?}", self.fields);
        assert!(self.complete, "the body was cut short: {:?}", self.fields);
        self
    }

    /// Fails the test unless the field has this value.
    ///
    /// # Panics
    /// When it has not; the message shows the fields.
    #[track_caller]
    pub fn expect_header(&self, name: &str, value: &str) -> &Self {
        assert_eq!(self.header(name), Some(value), "{name}: {:?}", self.fields);
        self
    }

    pub(super) fn of_http1(response: Response, interim: Vec<u16>) -> Self {
        let lines = response.head.lines().skip(1);
        let fields = lines.filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_string()))
        });
        Self {
            status: response.status,
            fields: fields
                .filter(|(name, _)| !FRAMING.contains(&name.as_str()))
                .collect(),
            body: response.body,
            trailers: response.trailers,
            interim,
            complete: response.complete,
        }
    }

    pub(super) fn of_http2(response: H2Response) -> Self {
        Self {
            status: response.status,
            fields: response.fields,
            body: response.body,
            trailers: response.trailers,
            interim: response.interim,
            complete: response.ended == Ended::Whole,
        }
    }
}
