//! A client that sends exactly the bytes it is told and reads what comes, with deadlines.

use std::io::{ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use rustls::ClientConnection;

use crate::PATIENCE;
use crate::response::{Framing, Response};
use crate::stream::Stream;
use crate::tls::{Handshake, TlsClient};

/// One connection. Bytes that were read past a response stay for the next one.
#[derive(Debug)]
pub struct RawClient {
    stream: Stream,
    unread: Vec<u8>,
    ended: Option<Ending>,
    /// Why it ended otherwise than in order.
    failure: Option<String>,
    /// What has been sent, for the message of a failure.
    sent: Vec<u8>,
}

/// How the other side ended the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Fin,
    Reset,
}

/// How much of what was sent is kept for the message of a failure.
const REMEMBERED: usize = 64 * 1024;

impl RawClient {
    /// Connects over TCP.
    ///
    /// # Panics
    /// When nobody listens there.
    #[must_use]
    #[track_caller]
    pub fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&addr, PATIENCE);
        let stream = stream.unwrap_or_else(|e| panic!("cannot connect to {addr}: {e}"));
        stream.set_nodelay(true).expect("TCP_NODELAY can be set");
        Self::over(Stream::Tcp(stream))
    }

    /// Over a connection that a client of ours has made.
    ///
    /// # Panics
    /// When its options cannot be set.
    #[must_use]
    pub fn accepted(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("TCP_NODELAY can be set");
        Self::over(Stream::Tcp(stream))
    }

    /// Connects to a unix socket.
    ///
    /// # Panics
    /// When nobody listens there.
    #[must_use]
    #[track_caller]
    pub fn connect_unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path);
        Self::over(Stream::Unix(
            stream.unwrap_or_else(|e| panic!("{}: {e}", path.display())),
        ))
    }

    /// Connects over TLS.
    ///
    /// # Panics
    /// When nobody listens there, or the handshake fails.
    #[must_use]
    #[track_caller]
    pub fn connect_tls(addr: SocketAddr, client: &TlsClient) -> Self {
        let connected = Self::try_tls(addr, client);
        connected.unwrap_or_else(|e| panic!("no TLS with {addr}: {e}"))
    }

    /// Connects over TLS.
    ///
    /// # Errors
    /// When the handshake fails, with the reason. A TLS 1.3 client is through with its handshake
    /// before the server has looked at its certificate: that refusal shows up at the first read.
    ///
    /// # Panics
    /// When nobody listens there.
    #[track_caller]
    pub fn try_tls(addr: SocketAddr, client: &TlsClient) -> Result<Self, String> {
        let stream = client.connect(addr)?;
        Ok(Self::over(Stream::Tls(Box::new(stream))))
    }

    /// What the handshake came to.
    ///
    /// # Panics
    /// When this connection has none.
    #[must_use]
    #[track_caller]
    pub fn handshake(&self) -> Handshake {
        Handshake::of(self.tls().expect("a connection with TLS"))
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.tls().is_some()
    }

    fn tls(&self) -> Option<&ClientConnection> {
        match &self.stream {
            Stream::Tls(s) => Some(&s.conn),
            Stream::Tcp(_) | Stream::Unix(_) => None,
        }
    }

    fn over(stream: Stream) -> Self {
        let mut client = Self {
            stream,
            unread: Vec::new(),
            ended: None,
            failure: None,
            sent: Vec::new(),
        };
        client.patience(PATIENCE);
        let set = match &client.stream {
            Stream::Tcp(s) => s.set_write_timeout(Some(PATIENCE)),
            Stream::Unix(s) => s.set_write_timeout(Some(PATIENCE)),
            Stream::Tls(s) => s.sock.set_write_timeout(Some(PATIENCE)),
        };
        set.expect("a write timeout can be set");
        client
    }

    /// Our end of it.
    ///
    /// # Panics
    /// When it is no TCP connection.
    #[must_use]
    #[track_caller]
    pub fn local_addr(&self) -> SocketAddr {
        self.stream.local_addr()
    }

    /// How long a read waits before the test fails.
    pub fn patience(&mut self, patience: Duration) -> &mut Self {
        let set = match &self.stream {
            Stream::Tcp(s) => s.set_read_timeout(Some(patience)),
            Stream::Unix(s) => s.set_read_timeout(Some(patience)),
            Stream::Tls(s) => s.sock.set_read_timeout(Some(patience)),
        };
        set.expect("a read timeout can be set");
        self
    }

    /// Sends bytes; an error of the connection shows up at the next read.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.sent.extend_from_slice(bytes.as_ref());
        if self.sent.len() > 2 * REMEMBERED {
            self.sent.drain(..self.sent.len() - REMEMBERED);
        }
        // The peer may have refused already: what it answered is still to be read.
        let _ = self.stream.as_write().write_all(bytes.as_ref());
        self
    }

    /// Sends bytes; false when the connection does not take them any more.
    #[must_use]
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.as_write().write_all(bytes.as_ref()).is_ok()
    }

    /// Sends one byte per packet.
    pub fn send_bytewise(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        for byte in bytes.as_ref() {
            self.send([*byte]);
        }
        self
    }

    /// Says that nothing more will be sent, and keeps reading.
    pub fn half_close(&mut self) -> &mut Self {
        let _ = match &mut self.stream {
            Stream::Tcp(s) => s.shutdown(Shutdown::Write),
            Stream::Unix(s) => s.shutdown(Shutdown::Write),
            Stream::Tls(s) => {
                s.conn.send_close_notify();
                s.flush().and_then(|()| s.sock.shutdown(Shutdown::Write))
            }
        };
        self
    }

    /// Ends the connection by a reset, and forgets it.
    pub fn reset(self) {
        let at_once = Some(Duration::ZERO);
        // A socket that is gone already needs no reset.
        let _ = match &self.stream {
            Stream::Tcp(s) => rustix::net::sockopt::set_socket_linger(s, at_once),
            Stream::Tls(s) => rustix::net::sockopt::set_socket_linger(&s.sock, at_once),
            Stream::Unix(_) => Ok(()),
        };
    }

    /// Sends a GET on this connection and reads its response.
    #[track_caller]
    pub fn get(&mut self, target: &str) -> Response {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        self.response()
    }

    /// Reads one final response, skipping interim ones.
    ///
    /// # Panics
    /// When the connection ends or the deadline passes before a head has come.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.response_to("GET")
    }

    /// Reads the response to a request of this method (`HEAD` has no body).
    ///
    /// # Panics
    /// When the connection ends or the deadline passes before a head has come.
    #[track_caller]
    pub fn response_to(&mut self, method: &str) -> Response {
        loop {
            let mut response = self.head();
            let switched = response.status == 101;
            if (100..200).contains(&response.status) && !switched {
                continue;
            }
            self.read_body(&mut response, method);
            return response;
        }
    }

    /// Reads one final response to a GET; `None` when the connection ends without any of it.
    #[track_caller]
    pub fn response_or_end(&mut self) -> Option<Response> {
        let ended = self.unread.is_empty() && !self.fill();
        (!ended).then(|| self.response())
    }

    /// Reads one head, interim or final, and nothing of the body.
    ///
    /// # Panics
    /// When the connection ends or the deadline passes before it has come.
    #[track_caller]
    pub fn head(&mut self) -> Response {
        let end = loop {
            if let Some(at) = find(&self.unread, b"\r\n\r\n") {
                break at;
            }
            assert!(
                self.fill(),
                "no response head came. {}",
                self.conversation()
            );
        };
        let head: Vec<u8> = self.unread.drain(..end + 4).collect();
        Response::from_head(&head[..end])
    }

    /// Reads exactly this many bytes of whatever comes.
    ///
    /// # Panics
    /// When the connection ends before.
    #[track_caller]
    pub fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count {
            assert!(self.fill(), "{count} bytes wanted. {}", self.conversation());
        }
        self.unread.drain(..count).collect()
    }

    /// Reads until the bytes contain `mark`; returns everything up to and with it.
    ///
    /// # Panics
    /// When the connection ends before.
    #[track_caller]
    pub fn until(&mut self, mark: &str) -> Vec<u8> {
        // What was searched once is not searched again: a body may be large.
        let mut searched = 0;
        loop {
            if let Some(at) = find(&self.unread[searched..], mark.as_bytes()) {
                return self.unread.drain(..searched + at + mark.len()).collect();
            }
            searched = (self.unread.len() + 1).saturating_sub(mark.len());
            assert!(self.fill(), "{mark:?} wanted. {}", self.conversation());
        }
    }

    /// Reads to the end of the connection and returns what was still unread.
    ///
    /// # Panics
    /// When the peer keeps the connection open.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.unread)
    }

    /// Fails unless the peer ends the connection without sending more.
    ///
    /// # Panics
    /// When more comes, or the peer keeps the connection open.
    #[track_caller]
    pub fn expect_closed(&mut self) -> &mut Self {
        let more = self.rest();
        let shown = String::from_utf8_lossy(&more);
        assert!(
            more.is_empty(),
            "more came before the end: {shown:?}. {}",
            self.conversation()
        );
        self
    }

    /// Whether something has come, or the connection has ended, within this time.
    pub fn answered_within(&mut self, patience: Duration) -> bool {
        if self.unread.is_empty() {
            self.patience(patience);
            let came = self.try_fill().is_some();
            self.patience(PATIENCE);
            return came;
        }
        true
    }

    /// Whether the connection ended by a reset, so that no client can take it for a clean end.
    #[must_use]
    pub fn was_reset(&self) -> bool {
        self.ended == Some(Ending::Reset)
    }

    /// Why the connection ended otherwise than in order: an alert, a cut, a reset.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    #[track_caller]
    fn read_body(&mut self, response: &mut Response, method: &str) {
        if response.expect_body_of(method) {
            while self.advance(response) {}
        }
    }

    /// Reads the next part of a body that has one; false when it has come to its end, or the
    /// connection has.
    #[track_caller]
    pub(crate) fn advance(&mut self, response: &mut Response) -> bool {
        let left = match response.framing {
            Framing::Chunked => return self.read_chunk(response),
            Framing::None => return false,
            Framing::Length => response.length().saturating_sub(response.body.len()),
            Framing::Close => usize::MAX,
        };
        if left > 0 && self.unread.is_empty() && !self.fill() {
            response.complete =
                response.framing == Framing::Close && self.ended == Some(Ending::Fin);
            return false;
        }
        let got = left.min(self.unread.len());
        response.body.extend(self.unread.drain(..got));
        response.complete = response.framing == Framing::Length && got == left;
        !response.complete
    }

    /// Reads one chunk; false when it was the last one, or the connection ended.
    #[track_caller]
    fn read_chunk(&mut self, response: &mut Response) -> bool {
        let Some(line) = self.line() else {
            return false;
        };
        let size = line.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size, 16)
            .unwrap_or_else(|_| panic!("not a chunk size: {line:?}"));
        if size == 0 {
            response.complete = self.read_trailers(&mut response.trailers);
            return false;
        }
        while self.unread.len() < size + 2 && self.fill() {}
        let got = size.min(self.unread.len());
        response.body.extend(self.unread.drain(..got));
        if self.unread.len() < 2 {
            return false;
        }
        let end: Vec<u8> = self.unread.drain(..2).collect();
        assert_eq!(end, b"\r\n", "a chunk's data must end with CRLF");
        true
    }

    #[track_caller]
    fn read_trailers(&mut self, trailers: &mut Vec<(String, String)>) -> bool {
        while let Some(line) = self.line() {
            let Some((name, value)) = line.split_once(':') else {
                assert_eq!(line, "", "neither a trailer nor the end of them");
                return true;
            };
            trailers.push((name.to_ascii_lowercase(), value.trim().to_string()));
        }
        false
    }

    #[track_caller]
    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = find(&self.unread, b"\r\n") {
                let line: Vec<u8> = self.unread.drain(..at + 2).take(at).collect();
                return Some(String::from_utf8_lossy(&line).into_owned());
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// The next `count` bytes, or `None` when the connection ends before they have come.
    #[track_caller]
    pub(crate) fn exactly_or_end(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.unread.len() < count {
            if !self.fill() {
                return None;
            }
        }
        Some(self.unread.drain(..count).collect())
    }

    /// Reads once; false at the end of the connection.
    #[track_caller]
    fn fill(&mut self) -> bool {
        let in_time = self.try_fill();
        in_time.unwrap_or_else(|| panic!("nothing came in time. {}", self.conversation()))
    }

    /// The same; `None` when the deadline passes.
    fn try_fill(&mut self) -> Option<bool> {
        if self.ended.is_some() {
            return Some(false);
        }
        let mut buffer = [0; 64 * 1024];
        loop {
            match self.stream.as_read().read(&mut buffer) {
                Ok(0) => self.ended = Some(Ending::Fin),
                Ok(count) => self.unread.extend_from_slice(&buffer[..count]),
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return None;
                }
                Err(e) => {
                    self.ended = Some(Ending::Reset);
                    self.failure = Some(e.to_string());
                }
            }
            return Some(self.ended.is_none());
        }
    }

    fn conversation(&self) -> String {
        let tail = &self.sent[self.sent.len().saturating_sub(400)..];
        let unread = &self.unread[..self.unread.len().min(400)];
        format!(
            "Sent (end of it): {:?}; unread: {:?}; ended: {:?}",
            String::from_utf8_lossy(tail),
            String::from_utf8_lossy(unread),
            self.ended
        )
    }
}

/// Where `needle` begins.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
