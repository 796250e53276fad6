//! A server of HTTP/2 (with prior knowledge) that says what a test tells it to, right or wrong.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::{Block, Event, Frame, H2Client, PREFACE};
use crate::client::RawClient;

/// A listening server. Its connections end with what serves them.
#[derive(Debug)]
pub struct H2Origin {
    addr: SocketAddr,
    connections: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
}

/// One connection, its settings exchanged.
#[derive(Debug)]
pub struct H2Peer {
    /// The connection; it does not know which end it is.
    pub line: H2Client,
    /// Which connection of the server it is, from 0.
    pub number: usize,
}

/// The head of a request.
#[derive(Clone, Debug)]
pub struct H2Request {
    /// On this stream.
    pub stream: u32,
    /// Pseudo-fields included.
    pub fields: Vec<(String, String)>,
    /// Whether it has no body.
    pub end: bool,
}

impl H2Request {
    /// The first value of a field.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl H2Origin {
    /// Serves each connection with `serve`, which ends it by returning. `settings` are announced.
    ///
    /// # Panics
    /// When no port is free.
    pub fn start(
        settings: &[(u16, u32)],
        serve: impl Fn(&mut H2Peer) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let addr = listener.local_addr().expect("it is bound");
        let connections = Arc::new(AtomicUsize::new(0));
        let stopping = Arc::new(AtomicBool::new(false));
        let (count, stop) = (connections.clone(), stopping.clone());
        let (serve, settings) = (Arc::new(serve), settings.to_vec());
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let number = count.fetch_add(1, Ordering::SeqCst);
                let (serve, settings) = (serve.clone(), settings.clone());
                thread::spawn(move || {
                    if let Some(mut peer) = H2Peer::meet(stream, &settings, number) {
                        serve(&mut peer);
                    }
                });
            }
        });
        Self {
            addr,
            connections,
            stopping,
        }
    }

    /// Answers each request, in the order in which they come, with what `answer` does.
    pub fn answering(answer: impl Fn(&mut H2Peer, &H2Request) + Send + Sync + 'static) -> Self {
        Self::start(&[], move |peer| {
            while let Some(request) = peer.request() {
                answer(peer, &request);
            }
        })
    }

    /// Its URL for `proxy` and `servers`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("h2c://{}", self.addr)
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for H2Origin {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.addr);
    }
}

impl H2Peer {
    fn meet(stream: TcpStream, settings: &[(u16, u32)], number: usize) -> Option<Self> {
        let mut raw = RawClient::accepted(stream);
        if raw.exactly_or_end(PREFACE.len())? != PREFACE {
            return None;
        }
        let mut line = H2Client::silent(raw);
        line.frame(&Frame::settings(settings));
        Some(Self { line, number })
    }

    /// The head of the next request; `None` when the connection ends.
    pub fn request(&mut self) -> Option<H2Request> {
        loop {
            match self.line.event() {
                Event::Headers {
                    stream,
                    fields,
                    end,
                } => {
                    return Some(H2Request {
                        stream,
                        fields,
                        end,
                    });
                }
                Event::Closed => return None,
                _ => {}
            }
        }
    }

    /// Sends a whole response with this body.
    pub fn answer(&mut self, stream: u32, body: &str) {
        self.head(stream, body.is_empty());
        if !body.is_empty() {
            self.line.data(stream, body.as_bytes(), true);
        }
    }

    /// Sends the head of a `200`.
    pub fn head(&mut self, stream: u32, end: bool) {
        let block = Block::new().field(":status", "200");
        self.line.send_block(stream, &block, end);
    }
}
