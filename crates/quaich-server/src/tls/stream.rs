//! TLS on a socket: what `stream` does over a bare socket, through records.
//!
//! Methods take `&self`, as those of `Socket` do: one task reads while another writes.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use rustls::{AlertDescription, CommonState};

use super::records::{BATCH, Records, Turn, refused};
use super::session::Session;
use crate::buffer::Buffer;
use crate::socket::Socket;

/// A connection over TLS.
pub struct TlsStream {
    socket: Socket,
    records: RefCell<Records>,
    /// Plaintext of the records that are being sent: taken once all of them are.
    accepted: Cell<usize>,
    /// The end was said.
    closing: Cell<bool>,
    session: OnceCell<Rc<Session>>,
}

impl TlsStream {
    /// TLS on `socket`; the handshake is still to come.
    pub(super) fn new(socket: Socket, records: Records) -> Self {
        Self {
            socket,
            records: RefCell::new(records),
            accepted: Cell::new(0),
            closing: Cell::new(false),
            session: OnceCell::new(),
        }
    }

    /// The socket below.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Who is on the other side; `None` on connections to servers.
    pub fn session(&self) -> Option<&Rc<Session>> {
        self.session.get()
    }

    /// The protocol that was agreed on.
    pub fn alpn(&self) -> Option<Vec<u8>> {
        let records = self.records.borrow();
        records.common().alpn_protocol().map(<[u8]>::to_vec)
    }

    /// Reads into `buf`; 0 means that the peer has said that it sends nothing more. An end without
    /// that is an error: bytes may be missing.
    pub fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut records = self.records.borrow_mut();
        if records.has_plain() {
            return Poll::Ready(Ok(records.take_plain(buf)));
        }
        self.poll_turn(&mut records, cx, buf)
    }

    /// Waits until there is plaintext, or the end.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut records = self.records.borrow_mut();
        if records.has_plain() || records.is_closed() {
            return Poll::Ready(Ok(()));
        }
        self.poll_turn(&mut records, cx, &mut []).map_ok(drop)
    }

    /// Turns until there is plaintext, or the end.
    fn poll_turn(
        &self,
        records: &mut Records,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            match records.turn(buf) {
                Ok((Turn::Data, count)) => return Poll::Ready(Ok(count)),
                Ok((Turn::Closed, _)) => return Poll::Ready(Ok(0)),
                Ok((Turn::Blocked, _)) => {}
                Err(error) => {
                    self.send_quietly(records);
                    return Poll::Ready(Err(refused(error)));
                }
            }
            if self.accepted.get() == 0 && !records.outgoing().is_empty() {
                // Nobody else waits for this to be sent. If it cannot be, there may still be
                // something to read.
                let _ = self.poll_send(records, cx);
            }
            if ready!(self.poll_fill(records, cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Reads from the socket; 0 = its end.
    fn poll_fill(&self, records: &mut Records, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let filled = self.socket.poll_read(cx, records.room());
        records.arrived(match &filled {
            Poll::Ready(Ok(count)) => *count,
            _ => 0,
        });
        filled
    }

    /// Sends what waits in `records`.
    fn poll_send(&self, records: &mut Records, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !records.outgoing().is_empty() {
            let parts = [IoSlice::new(records.outgoing())];
            let count = ready!(self.socket.poll_write(cx, &parts))?;
            records.sent(count);
        }
        Poll::Ready(Ok(()))
    }

    /// Sends what the kernel takes at once: nobody can wait.
    fn send_quietly(&self, records: &mut Records) {
        let _ = self.poll_send(records, &mut Context::from_waker(Waker::noop()));
    }

    /// Encrypts from the front of `parts` and sends it: how many bytes of them have left.
    ///
    /// When it is not ready, these bytes are on their way: the next call must offer the same again,
    /// and may offer more behind them.
    pub fn poll_write(
        &self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut records = self.records.borrow_mut();
        if self.accepted.get() == 0 {
            self.accepted.set(records.encrypt(parts)?);
        }
        ready!(self.poll_send(&mut records, cx))?;
        Poll::Ready(Ok(self.accepted.take()))
    }

    /// As [`poll_write`](Self::poll_write), of up to `count` bytes of a regular file. 0 means end
    /// of file.
    pub fn poll_sendfile(
        &self,
        cx: &mut Context<'_>,
        file: BorrowedFd<'_>,
        offset: &mut u64,
        count: usize,
    ) -> Poll<io::Result<usize>> {
        let mut records = self.records.borrow_mut();
        if self.accepted.get() == 0 {
            let count = count.min(BATCH);
            let mut piece = Buffer::lend_for(count);
            let room = &mut piece.room()[..count];
            let read = loop {
                match rustix::io::pread(file, &mut *room, *offset) {
                    Err(rustix::io::Errno::INTR) => {}
                    read => break read?,
                }
            };
            self.accepted.set(records.encrypt_one(&room[..read])?);
        }
        ready!(self.poll_send(&mut records, cx))?;
        let sent = self.accepted.take();
        *offset += sent as u64;
        Poll::Ready(Ok(sent))
    }

    /// Whether bytes that were offered to [`poll_write`](Self::poll_write) are on their way and
    /// not yet taken.
    pub fn is_writing(&self) -> bool {
        self.accepted.get() > 0
    }

    /// Whether the peer has closed or sent plaintext unasked. What else it may send, such as
    /// tickets and new keys, is taken.
    pub fn is_disturbed(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let mut records = self.records.borrow_mut();
        if records.has_plain() || records.is_closed() {
            return true;
        }
        self.socket.is_disturbed() && self.poll_turn(&mut records, &mut cx, &mut []).is_ready()
    }

    /// Tells the peer that nothing more will be sent, then ends our half of the connection.
    pub fn shutdown_write(&self) {
        self.close();
        self.socket.shutdown_write();
    }

    /// Tells the peer, as far as the kernel takes it at once, that nothing more will be sent. Not
    /// while a write is on its way: what was cut must look so.
    pub fn close(&self) {
        let mut records = self.records.borrow_mut();
        if self.accepted.get() == 0 && self.say_end(&mut records).is_ok() {
            self.send_quietly(&mut records);
        }
    }

    /// As [`close`](Self::close), but waits until the kernel has taken it.
    pub fn poll_close(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut records = self.records.borrow_mut();
        if self.accepted.get() == 0 {
            self.say_end(&mut records)?;
        }
        self.poll_send(&mut records, cx)
    }

    fn say_end(&self, records: &mut Records) -> io::Result<()> {
        match self.closing.replace(true) {
            true => Ok(()),
            false => records.close(),
        }
    }

    /// A record of its own, sent with what follows if the kernel does not take it now. Left out while
    /// a write is on its way.
    pub fn write_aside(&self, bytes: &[u8]) {
        let mut records = self.records.borrow_mut();
        if self.accepted.get() == 0 && records.encrypt_one(bytes).is_ok() {
            self.send_quietly(&mut records);
        }
    }

    /// Shakes hands. Our last message may wait to be sent with what follows; see
    /// [`flush`](Self::flush).
    pub(super) async fn handshake(&self) -> io::Result<()> {
        let outcome = poll_fn(|cx| self.poll_handshake(cx)).await;
        outcome.inspect_err(|_| self.send_alert(None))
    }

    /// After a failure: tells the peer why, in `other` words than rustls found.
    pub(super) fn send_alert(&self, other: Option<AlertDescription>) {
        let mut records = self.records.borrow_mut();
        if let Some(other) = other {
            records.change_alert(other);
        }
        self.send_quietly(&mut records);
    }

    /// One turn of the handshake. The alert of one that failed is still to be sent.
    pub(super) fn poll_handshake(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut records = self.records.borrow_mut();
        loop {
            if let Err(error) = records.turn(&mut []) {
                return Poll::Ready(Err(refused(error)));
            }
            if !records.common().is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if records.is_closed() {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            ready!(self.poll_send(&mut records, cx))?;
            if ready!(self.poll_fill(&mut records, cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// After a handshake with a client. What is left to be sent, such as tickets, goes with the
    /// first answer when a request is here already.
    pub(super) async fn finish_handshake(&self, session: Rc<Session>) -> io::Result<()> {
        let _ = self.session.set(session);
        let (incoming, plain) = {
            let records = self.records.borrow();
            (records.has_incoming(), records.has_plain())
        };
        match incoming || plain {
            true => Ok(()),
            false => self.flush().await,
        }
    }

    /// Lets `look` look at the state of the connection.
    pub(super) fn with_state<T>(&self, look: impl FnOnce(&CommonState) -> T) -> T {
        look(self.records.borrow().common())
    }

    /// Sends what waits.
    pub(super) async fn flush(&self) -> io::Result<()> {
        poll_fn(|cx| self.poll_send(&mut self.records.borrow_mut(), cx)).await
    }
}

impl fmt::Debug for TlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("TlsStream");
        shown.field("socket", &self.socket).finish_non_exhaustive()
    }
}
