//! One response of HTTP/2, gathered from its events.

/// How a stream came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// In order, by `END_STREAM`.
    Whole,
    /// By `RST_STREAM` with this code.
    Reset(u32),
    /// With the connection.
    Cut,
}

/// One response, read to its end or to where it broke.
#[derive(Clone, Debug)]
pub struct H2Response {
    /// Status code; 0 when the stream ended before a final head.
    pub status: u16,
    /// Fields of the head, without `:status`.
    pub fields: Vec<(String, String)>,
    /// Body, as much as came.
    pub body: Vec<u8>,
    /// Fields behind the body.
    pub trailers: Vec<(String, String)>,
    /// Interim responses that came before, by status.
    pub interim: Vec<u16>,
    /// How it ended.
    pub ended: Ended,
}

impl H2Response {
    pub(crate) fn new() -> Self {
        Self {
            status: 0,
            fields: Vec::new(),
            body: Vec::new(),
            trailers: Vec::new(),
            interim: Vec::new(),
            ended: Ended::Cut,
        }
    }

    /// The value of a field; the first when there are several.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Takes a head (interim or final) or trailers; whether the response ends with it.
    pub(super) fn take_fields(&mut self, mut fields: Vec<(String, String)>, end: bool) -> bool {
        let status = fields.iter().position(|(name, _)| name == ":status");
        match status {
            None => self.trailers = fields,
            Some(at) => {
                let (_, value) = fields.remove(at);
                let status = value.parse().expect("a status is a number");
                if (100..200).contains(&status) {
                    self.interim.push(status);
                } else {
                    self.status = status;
                    self.fields = fields;
                }
            }
        }
        if end {
            self.ended = Ended::Whole;
        }
        end
    }
}
