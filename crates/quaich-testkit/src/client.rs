//! A client that sends exactly the bytes it is told and reads what comes, with deadlines.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::PATIENCE;
use crate::response::{Framing, Response};

/// One connection. Bytes that were read past a response stay for the next one.
#[derive(Debug)]
pub struct RawClient {
    stream: Stream,
    unread: Vec<u8>,
    ended: Option<Ending>,
    /// What has been sent, for the message of a failure.
    sent: Vec<u8>,
}

/// How the other side ended the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Fin,
    Reset,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

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

    fn over(stream: Stream) -> Self {
        let mut client = Self {
            stream,
            unread: Vec::new(),
            ended: None,
            sent: Vec::new(),
        };
        client.patience(PATIENCE);
        client
    }

    /// How long a read waits before the test fails.
    pub fn patience(&mut self, patience: Duration) -> &mut Self {
        let set = match &self.stream {
            Stream::Tcp(s) => s.set_read_timeout(Some(patience)),
            Stream::Unix(s) => s.set_read_timeout(Some(patience)),
        };
        set.expect("a read timeout can be set");
        self
    }

    /// Sends bytes; an error of the connection shows up at the next read.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.sent.extend_from_slice(bytes.as_ref());
        // The peer may have refused already: what it answered is still to be read.
        let _ = self.stream.as_write().write_all(bytes.as_ref());
        self
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
        let _ = match &self.stream {
            Stream::Tcp(s) => s.shutdown(Shutdown::Write),
            Stream::Unix(s) => s.shutdown(Shutdown::Write),
        };
        self
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

    #[track_caller]
    fn read_body(&mut self, response: &mut Response, method: &str) {
        let status = response.status;
        if method == "HEAD" || status == 204 || status == 304 || status == 101 {
            response.complete = true;
        } else if response.header("transfer-encoding").is_some() {
            response.framing = Framing::Chunked;
            response.complete = self.read_chunks(&mut response.body);
        } else if let Some(length) = response.header("content-length") {
            let length: usize = length.parse().expect("Content-Length is a number");
            response.framing = Framing::Length;
            while self.unread.len() < length && self.fill() {}
            let got = length.min(self.unread.len());
            response.body.extend(self.unread.drain(..got));
            response.complete = got == length;
        } else {
            response.framing = Framing::Close;
            response.body = self.rest();
            response.complete = self.ended == Some(Ending::Fin);
        }
    }

    /// Decodes chunks to the last one; false when the connection ended before it.
    #[track_caller]
    fn read_chunks(&mut self, body: &mut Vec<u8>) -> bool {
        loop {
            let Some(line) = self.line() else {
                return false;
            };
            let size = line.split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16)
                .unwrap_or_else(|_| panic!("not a chunk size: {line:?}"));
            if size == 0 {
                return self.trailer_end();
            }
            while self.unread.len() < size + 2 && self.fill() {}
            let got = size.min(self.unread.len());
            body.extend(self.unread.drain(..got));
            if self.unread.len() < 2 {
                return false;
            }
            let end: Vec<u8> = self.unread.drain(..2).collect();
            assert_eq!(end, b"\r\n", "a chunk's data must end with CRLF");
        }
    }

    #[track_caller]
    fn trailer_end(&mut self) -> bool {
        while let Some(line) = self.line() {
            if line.is_empty() {
                return true;
            }
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
                Err(_) => self.ended = Some(Ending::Reset),
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

impl Stream {
    fn as_read(&mut self) -> &mut dyn Read {
        match self {
            Self::Tcp(s) => s,
            Self::Unix(s) => s,
        }
    }

    fn as_write(&mut self) -> &mut dyn Write {
        match self {
            Self::Tcp(s) => s,
            Self::Unix(s) => s,
        }
    }
}

/// Where `needle` begins.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}
