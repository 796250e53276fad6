//! Servers scripted to the byte: they read a request of their protocol, and answer what they are told.

use std::collections::BTreeMap;

use quaich_testkit::{Conversation, End, Origin};

/// A request as such a server received it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received {
    /// First and last byte of a uwsgi head; flags of a FastCGI request.
    pub(super) marks: (u8, u8),
    /// In their order.
    pub(super) pairs: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Received {
    /// By name; the last of a name counts.
    pub(super) fn map(&self) -> BTreeMap<String, String> {
        self.pairs.iter().cloned().collect()
    }

    /// The value of a variable; empty when it is not there.
    pub(crate) fn get(&self, name: &str) -> String {
        self.map().remove(name).unwrap_or_default()
    }
}

/// A connection to be read from.
pub(super) struct Line<'c> {
    pub(super) conversation: &'c mut Conversation,
    unread: Vec<u8>,
}

impl<'c> Line<'c> {
    pub(super) fn new(conversation: &'c mut Conversation) -> Self {
        Self {
            conversation,
            unread: Vec::new(),
        }
    }

    /// The next bytes; `None` when they do not come.
    pub(super) fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.unread.len() < count {
            let more = self.conversation.read();
            if more.is_empty() {
                return None;
            }
            self.unread.extend(more);
        }
        Some(self.unread.drain(..count).collect())
    }

    fn netstring_length(&mut self) -> Option<usize> {
        let mut digits = String::new();
        loop {
            match self.take(1)?[0] {
                b':' => return digits.parse().ok(),
                digit => digits.push(char::from(digit)),
            }
        }
    }

    /// One FastCGI record: type, id, content.
    pub(super) fn record(&mut self) -> Option<(u8, u16, Vec<u8>)> {
        let head = self.take(8)?;
        assert_eq!(head[0], 1, "the version of FastCGI");
        let content = self.take(usize::from(u16::from_be_bytes([head[4], head[5]])))?;
        self.take(usize::from(head[6]))?;
        Some((head[1], u16::from_be_bytes([head[2], head[3]]), content))
    }

    /// Reads a whole request of this protocol.
    pub(super) fn request(&mut self, scheme: &str) -> Option<Received> {
        match scheme {
            "uwsgi" => self.uwsgi(),
            "scgi" => self.scgi(),
            _ => self.fastcgi(),
        }
    }

    fn uwsgi(&mut self) -> Option<Received> {
        let head = self.take(4)?;
        let mut rest = self.take(usize::from(u16::from_le_bytes([head[1], head[2]])))?;
        let mut received = Received {
            marks: (head[0], head[3]),
            ..Received::default()
        };
        let mut text = || {
            let length = usize::from(u16::from_le_bytes([*rest.first()?, rest[1]]));
            let text: Vec<u8> = rest.drain(..2 + length).skip(2).collect();
            Some(String::from_utf8_lossy(&text).into_owned())
        };
        while let (Some(name), Some(value)) = (text(), text()) {
            received.pairs.push((name, value));
        }
        self.body(received)
    }

    fn scgi(&mut self) -> Option<Received> {
        let length = self.netstring_length()?;
        let block = self.take(length)?;
        assert_eq!(self.take(1)?, b",", "the end of the netstring");
        let texts: Vec<String> = block
            .split(|&byte| byte == 0)
            .map(|text| String::from_utf8_lossy(text).into_owned())
            .collect();
        let pairs = texts
            .chunks_exact(2)
            .map(|pair| (pair[0].clone(), pair[1].clone()));
        self.body(Received {
            pairs: pairs.collect(),
            ..Received::default()
        })
    }

    fn body(&mut self, mut received: Received) -> Option<Received> {
        let length = received.get("CONTENT_LENGTH").parse().unwrap_or(0);
        received.body = self.take(length)?;
        Some(received)
    }

    fn fastcgi(&mut self) -> Option<Received> {
        let (mut received, mut params) = (Received::default(), Vec::new());
        loop {
            let (kind, id, content) = self.record()?;
            assert_eq!(id, 1, "the id of the request");
            match (kind, content.is_empty()) {
                (1, _) => received.marks = (content[2], 0),
                (4, false) => params.extend(content),
                (4, true) => received.pairs = fastcgi_pairs(&params),
                (5, false) => received.body.extend(content),
                (5, true) => return Some(received),
                _ => panic!("a record of type {kind}"),
            }
        }
    }
}

fn fastcgi_pairs(mut rest: &[u8]) -> Vec<(String, String)> {
    fn length(rest: &mut &[u8]) -> usize {
        let (count, size) = match rest[0] {
            short @ 0..=127 => (1, usize::from(short)),
            long => {
                let bytes = [long & 0x7f, rest[1], rest[2], rest[3]];
                (4, u32::from_be_bytes(bytes) as usize)
            }
        };
        *rest = &rest[count..];
        size
    }
    let mut pairs = Vec::new();
    while !rest.is_empty() {
        let (name, value) = (length(&mut rest), length(&mut rest));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        pairs.push((text(&rest[..name]), text(&rest[name..name + value])));
        rest = &rest[name + value..];
    }
    pairs
}

/// A server of this protocol that answers each request with what `answer` makes of it.
pub(crate) fn server(
    scheme: &'static str,
    answer: impl Fn(&Received) -> (Vec<u8>, End) + Send + Sync + 'static,
) -> Origin {
    Origin::start(move |conversation| {
        let mut line = Line::new(conversation);
        while let Some(request) = line.request(scheme) {
            let (bytes, end) = answer(&request);
            line.conversation.write(bytes);
            if end != End::Keep {
                line.conversation.end(end);
                return;
            }
        }
    })
}

/// Its URL.
pub(crate) fn url(scheme: &str, origin: &Origin) -> String {
    format!("{scheme}://{}", origin.addr())
}

/// A record of FastCGI.
pub(super) fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a record has at most 65535 bytes");
    let [high, low] = length.to_be_bytes();
    [&[1, kind, 0, 1, high, low, 0, 0], content].concat()
}

/// A whole FastCGI answer.
pub(super) fn fastcgi_answer(stdout: &[u8]) -> Vec<u8> {
    [record(6, stdout), record(6, b""), record(3, &[0; 8])].concat()
}
