//! A programmable upstream server: a thread per connection, scripted to the byte.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Instant;

use crate::PATIENCE;
use crate::client::find;
use crate::response::fields;

/// A server on a port of its own that records every byte it receives.
#[derive(Debug)]
pub struct Origin {
    place: Place,
    seen: Arc<Seen>,
    stopping: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// What has arrived so far, over all connections.
#[derive(Debug, Default)]
struct Seen {
    connections: AtomicUsize,
    log: Mutex<Log>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Log {
    raw: Vec<u8>,
    requests: Vec<OriginRequest>,
    /// Connections that the other side has ended.
    ended: usize,
}

/// One request as the origin received it.
#[derive(Clone, Debug)]
pub struct OriginRequest {
    /// Request line and fields, as received.
    pub head: String,
    /// Decoded body.
    pub body: Vec<u8>,
    /// Which connection it came on, from 0.
    pub connection: usize,
    /// Whether the body came to its end.
    pub complete: bool,
}

impl OriginRequest {
    /// The first word of the request line.
    #[must_use]
    pub fn method(&self) -> &str {
        self.head.split(' ').next().unwrap_or_default()
    }

    /// The second word of the request line.
    #[must_use]
    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
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
}

/// How the origin ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Keep it for the next request.
    Keep,
    /// In order.
    Fin,
    /// By a reset.
    Reset,
}

impl Origin {
    /// Serves each connection with `serve`, which ends it by returning.
    ///
    /// # Panics
    /// When no port is free.
    pub fn start(serve: impl Fn(&mut Conversation) + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0", serve)
    }

    /// The same at an address that the test has chosen.
    ///
    /// # Panics
    /// When it is taken.
    pub fn start_at(addr: &str, serve: impl Fn(&mut Conversation) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(addr).expect("the address is free");
        let place = Place::Tcp(
            listener
                .local_addr()
                .expect("a bound socket has an address"),
        );
        let accept = move || {
            listener
                .accept()
                .map(|(stream, _)| Stream::Tcp(stream))
                .ok()
        };
        Self::accepting(place, accept, serve)
    }

    /// The same on a unix socket.
    ///
    /// # Panics
    /// When the socket cannot be made.
    pub fn start_unix(
        path: &Path,
        serve: impl Fn(&mut Conversation) + Send + Sync + 'static,
    ) -> Self {
        let listener = UnixListener::bind(path).expect("a unix socket can be made");
        let accept = move || {
            listener
                .accept()
                .map(|(stream, _)| Stream::Unix(stream))
                .ok()
        };
        Self::accepting(Place::Unix(path.to_path_buf()), accept, serve)
    }

    /// Answers every request with the bytes that `answer` makes, on kept connections.
    pub fn answering(answer: impl Fn(&OriginRequest) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(move |conversation| {
            while let Some(request) = conversation.request() {
                if !conversation.write(answer(&request)) {
                    break;
                }
            }
        })
    }

    /// Answers every request with `200` and the body `ok`.
    #[must_use]
    pub fn ok() -> Self {
        Self::answering(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec())
    }

    /// Answers every request with these bytes and ends the connection so.
    #[must_use]
    pub fn scripted(answer: Vec<u8>, end: End) -> Self {
        Self::start(move |conversation| {
            while conversation.request().is_some() {
                conversation.write(&answer);
                if end != End::Keep {
                    conversation.end(end);
                    break;
                }
            }
        })
    }

    fn accepting(
        place: Place,
        accept: impl Fn() -> Option<Stream> + Send + 'static,
        serve: impl Fn(&mut Conversation) + Send + Sync + 'static,
    ) -> Self {
        let seen = Arc::new(Seen::default());
        let stopping = Arc::new(AtomicBool::new(false));
        let (log, stop, serve) = (seen.clone(), stopping.clone(), Arc::new(serve));
        thread::spawn(move || {
            while let Some(stream) = accept() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let number = log.connections.fetch_add(1, Ordering::SeqCst);
                let (seen, serve) = (log.clone(), serve.clone());
                thread::spawn(move || {
                    serve(&mut Conversation {
                        stream,
                        seen,
                        number,
                        unread: Vec::new(),
                    });
                });
            }
        });
        Self {
            place,
            seen,
            stopping,
        }
    }

    /// The TCP address.
    ///
    /// # Panics
    /// When it listens on a unix socket.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        match &self.place {
            Place::Tcp(addr) => *addr,
            Place::Unix(path) => panic!("{} has no TCP address", path.display()),
        }
    }

    /// As a server's URL in a configuration.
    #[must_use]
    pub fn url(&self) -> String {
        match &self.place {
            Place::Tcp(addr) => format!("http://{addr}"),
            Place::Unix(path) => format!("http+unix:{}", path.display()),
        }
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Every byte received so far.
    #[must_use]
    pub fn raw(&self) -> Vec<u8> {
        self.seen
            .log
            .lock()
            .expect("no origin thread panics")
            .raw
            .clone()
    }

    /// Every request read so far.
    #[must_use]
    pub fn requests(&self) -> Vec<OriginRequest> {
        self.seen
            .log
            .lock()
            .expect("no origin thread panics")
            .requests
            .clone()
    }

    /// Waits until `count` requests have been read; returns the last of them.
    ///
    /// # Panics
    /// When they do not come.
    #[track_caller]
    pub fn wait_for_requests(&self, count: usize) -> OriginRequest {
        self.wait("requests", |log| {
            if count > 0 {
                log.requests.get(count - 1).cloned()
            } else {
                None
            }
        })
    }

    /// Waits until the other side has ended `count` connections.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn wait_for_ends(&self, count: usize) {
        self.wait("ended connections", |log| {
            (log.ended >= count).then_some(())
        });
    }

    #[track_caller]
    fn wait<T>(&self, what: &str, ready: impl Fn(&Log) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut log = self.seen.log.lock().expect("no origin thread panics");
        loop {
            if let Some(value) = ready(&log) {
                return value;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "waited in vain for {what} at the origin: {log:?}"
            );
            let woken = self.seen.changed.wait_timeout(log, left);
            log = woken.expect("no origin thread panics").0;
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        // The accepting thread sees the flag when it is woken by a connection.
        let _ = match &self.place {
            Place::Tcp(addr) => TcpStream::connect(addr).map(|_| ()),
            Place::Unix(path) => UnixStream::connect(path).map(|_| ()),
        };
    }
}

/// One connection, as the origin's script sees it.
#[derive(Debug)]
pub struct Conversation {
    stream: Stream,
    seen: Arc<Seen>,
    unread: Vec<u8>,
    /// Which connection of the origin this is, from 0.
    pub number: usize,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Conversation {
    /// Reads a whole request and records it; `None` when the connection ends before one begins.
    pub fn request(&mut self) -> Option<OriginRequest> {
        let mut request = self.head()?;
        self.read_body(&mut request);
        self.record(&request);
        Some(request)
    }

    /// Reads a request's head and records it with an empty body.
    pub fn request_head(&mut self) -> Option<OriginRequest> {
        let request = self.head()?;
        self.record(&request);
        Some(request)
    }

    /// Reads the body of a request of which only the head was read. What was recorded of the request
    /// stays as it is.
    pub fn request_body(&mut self, request: &mut OriginRequest) {
        self.read_body(request);
    }

    /// Sends bytes; false when the other side is gone.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let sent = match &mut self.stream {
            Stream::Tcp(s) => s.write_all(bytes.as_ref()),
            Stream::Unix(s) => s.write_all(bytes.as_ref()),
        };
        sent.is_ok()
    }

    /// Reads whatever comes next; empty at the end of the connection.
    pub fn read(&mut self) -> Vec<u8> {
        if self.unread.is_empty() && !self.fill() {
            return Vec::new();
        }
        std::mem::take(&mut self.unread)
    }

    /// Ends the connection.
    pub fn end(&mut self, how: End) {
        match (&self.stream, how) {
            (_, End::Keep) => {}
            (Stream::Tcp(s), End::Reset) => {
                let at_once = Some(std::time::Duration::ZERO);
                rustix::net::sockopt::set_socket_linger(s, at_once).expect("SO_LINGER can be set");
            }
            (Stream::Tcp(s), End::Fin) => {
                let _ = s.shutdown(Shutdown::Write);
            }
            (Stream::Unix(s), _) => {
                let _ = s.shutdown(Shutdown::Both);
            }
        }
    }

    fn head(&mut self) -> Option<OriginRequest> {
        let end = loop {
            if let Some(at) = find(&self.unread, b"\r\n\r\n") {
                break at;
            }
            if !self.fill() {
                return None;
            }
        };
        let head: Vec<u8> = self.unread.drain(..end + 4).collect();
        let head = String::from_utf8_lossy(&head[..end]).into_owned();
        Some(OriginRequest {
            head,
            body: Vec::new(),
            connection: self.number,
            complete: true,
        })
    }

    fn read_body(&mut self, request: &mut OriginRequest) {
        if request.header("transfer-encoding").is_some() {
            request.complete = self.read_chunks(&mut request.body);
        } else if let Some(length) = request.header("content-length") {
            let length: usize = length.parse().expect("Content-Length is a number");
            while self.unread.len() < length && self.fill() {}
            let got = length.min(self.unread.len());
            request.body.extend(self.unread.drain(..got));
            request.complete = got == length;
        }
    }

    fn read_chunks(&mut self, body: &mut Vec<u8>) -> bool {
        while let Some(chunk) = self.chunk() {
            if chunk.is_empty() {
                return true;
            }
            body.extend(chunk);
        }
        false
    }

    /// Reads the next chunk of a request's body; empty for the last one, `None` when the connection
    /// ends before it has come.
    ///
    /// # Panics
    /// When it is none, or has an extension, or trailers follow.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let line_end = loop {
            match find(&self.unread, b"\r\n") {
                Some(at) => break at,
                None if !self.fill() => return None,
                None => {}
            }
        };
        let line: Vec<u8> = self.unread.drain(..line_end + 2).collect();
        let digits = String::from_utf8_lossy(&line[..line_end]).into_owned();
        let size = usize::from_str_radix(&digits, 16).expect("a chunk size and no extension");
        while self.unread.len() < size + 2 {
            if !self.fill() {
                return None;
            }
        }
        let chunk = self.unread.drain(..size).collect();
        let end: Vec<u8> = self.unread.drain(..2).collect();
        assert_eq!(end, b"\r\n", "the end of a chunk");
        Some(chunk)
    }

    fn record(&self, request: &OriginRequest) {
        let mut log = self.seen.log.lock().expect("no origin thread panics");
        log.requests.push(request.clone());
        self.seen.changed.notify_all();
    }

    fn fill(&mut self) -> bool {
        let mut buffer = [0; 64 * 1024];
        let read = match &mut self.stream {
            Stream::Tcp(s) => s.read(&mut buffer),
            Stream::Unix(s) => s.read(&mut buffer),
        };
        let count = read.unwrap_or(0);
        let mut log = self.seen.log.lock().expect("no origin thread panics");
        log.raw.extend_from_slice(&buffer[..count]);
        log.ended += usize::from(count == 0);
        self.seen.changed.notify_all();
        self.unread.extend_from_slice(&buffer[..count]);
        count > 0
    }
}
