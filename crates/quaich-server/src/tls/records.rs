//! One TLS connection as bytes: records in, records out, no socket.
//!
//! It drives rustls' unbuffered connection. Buffers are lent by the thread only while there is
//! something in them, so that a connection at rest has none.

use std::io::{self, IoSlice};

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{AlertDescription, CommonState, Error};

use crate::buffer::Buffer;

/// Plaintext of one record at most (RFC 8446 section 5.1).
const RECORD: usize = 16 * 1024;

/// Plaintext that is encrypted, and sent, in one go.
pub(super) const BATCH: usize = 4 * RECORD;

/// Either side of a connection.
pub(super) enum Conn {
    /// Towards a client.
    Server(UnbufferedServerConnection),
    /// Towards a server.
    Client(UnbufferedClientConnection),
}

impl Conn {
    pub(super) fn common(&self) -> &CommonState {
        match self {
            Self::Server(conn) => conn,
            Self::Client(conn) => conn,
        }
    }
}

/// What a turn of the protocol brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Plaintext was handed out.
    Data,
    /// The peer has said that it sends nothing more.
    Closed,
    /// Nothing more without further bytes of the peer.
    Blocked,
}

/// A connection and what waits on both of its sides.
pub(super) struct Records {
    conn: Conn,
    /// Records as they came.
    incoming: Option<Buffer>,
    /// Decrypted bytes that nobody has read yet.
    plain: Option<Buffer>,
    /// Records to be sent.
    outgoing: Option<Buffer>,
    /// The peer has said that it sends nothing more.
    closed: bool,
    failed: bool,
}

impl Records {
    pub(super) fn new(conn: Conn) -> Self {
        Self {
            conn,
            incoming: None,
            plain: None,
            outgoing: None,
            closed: false,
            failed: false,
        }
    }

    /// The same, with records that have come already.
    pub(super) fn with_incoming(conn: Conn, incoming: Buffer) -> Self {
        Self {
            incoming: Some(incoming),
            ..Self::new(conn)
        }
    }

    pub(super) fn common(&self) -> &CommonState {
        self.conn.common()
    }

    /// Whether the peer has said that it sends nothing more.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether decrypted bytes wait.
    pub(super) fn has_plain(&self) -> bool {
        self.plain.is_some()
    }

    /// Whether records that have come, or parts of one, wait to be looked at.
    pub(super) fn has_incoming(&self) -> bool {
        self.incoming.is_some()
    }

    /// Records to be sent.
    pub(super) fn outgoing(&self) -> &[u8] {
        self.outgoing.as_ref().map_or(&[], Buffer::filled)
    }

    /// Counts `count` bytes of [`outgoing`](Self::outgoing) as sent.
    pub(super) fn sent(&mut self, count: usize) {
        consume(&mut self.outgoing, count);
    }

    /// Room for records of the peer; [`arrived`](Self::arrived) must follow.
    pub(super) fn room(&mut self) -> &mut [u8] {
        self.incoming.get_or_insert_with(Buffer::lend).room()
    }

    /// So many bytes were written to [`room`](Self::room); 0 gives the room back.
    pub(super) fn arrived(&mut self, count: usize) {
        if let Some(incoming) = &mut self.incoming {
            incoming.advance(count);
        }
        consume(&mut self.incoming, 0);
    }

    /// Hands out decrypted bytes that wait.
    pub(super) fn take_plain(&mut self, buf: &mut [u8]) -> usize {
        let Some(plain) = &self.plain else {
            return 0;
        };
        let count = plain.filled().len().min(buf.len());
        buf[..count].copy_from_slice(&plain.filled()[..count]);
        consume(&mut self.plain, count);
        count
    }

    /// Looks at what has come until there is plaintext or nothing more to look at. Plaintext goes
    /// to `buf`, what does not fit waits. What is to be sent in answer waits in
    /// [`outgoing`](Self::outgoing), also when this fails: the alert that tells the peer why.
    pub(super) fn turn(&mut self, buf: &mut [u8]) -> Result<(Turn, usize), Error> {
        let mut taken = 0;
        loop {
            let step = self.step(None, &mut |payload, plain| {
                let count = payload.len().min(buf.len() - taken);
                buf[taken..taken + count].copy_from_slice(&payload[..count]);
                taken += count;
                hold(plain, &payload[count..]);
            });
            match step.inspect_err(|_| self.fail())? {
                Step::Again => {}
                // A record may be empty.
                Step::Data if taken == 0 && self.plain.is_none() => {}
                Step::Data => return Ok((Turn::Data, taken)),
                Step::Ready | Step::Blocked if self.closed => return Ok((Turn::Closed, 0)),
                Step::Ready | Step::Blocked => return Ok((Turn::Blocked, 0)),
            }
        }
    }

    /// Encrypts from the front of `parts` into [`outgoing`](Self::outgoing): how many bytes.
    pub(super) fn encrypt(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let total = parts.iter().map(|part| part.len()).sum::<usize>();
        let first = parts.iter().find(|part| !part.is_empty());
        match first {
            None => Ok(0),
            Some(first) if first.len() == total || first.len() >= BATCH => {
                self.encrypt_one(&first[..first.len().min(BATCH)])
            }
            // One record out of several parts needs them in one place.
            Some(_) => {
                let mut joined = Buffer::lend_for(total.min(BATCH));
                for part in parts {
                    let room = joined.room();
                    let count = part.len().min(room.len());
                    room[..count].copy_from_slice(&part[..count]);
                    joined.advance(count);
                }
                let length = joined.filled().len().min(BATCH);
                self.encrypt_one(&joined.filled()[..length])
            }
        }
    }

    /// Encrypts `plaintext`, at most [`BATCH`] bytes.
    pub(super) fn encrypt_one(&mut self, plaintext: &[u8]) -> io::Result<usize> {
        self.write(Write::Data(plaintext))?;
        Ok(plaintext.len())
    }

    /// Says that nothing more will be sent.
    pub(super) fn close(&mut self) -> io::Result<()> {
        self.write(Write::Close)
    }

    /// Records of the peer that wait are looked at first: rustls wants it so. There are few.
    fn write(&mut self, write: Write<'_>) -> io::Result<()> {
        loop {
            let step = self.step(Some(write), &mut |payload, plain| hold(plain, payload));
            match step.inspect_err(|_| self.fail()).map_err(refused)? {
                Step::Ready => return Ok(()),
                Step::Again | Step::Data => {}
                Step::Blocked => return Err(io::ErrorKind::NotConnected.into()),
            }
        }
    }

    /// One step of the protocol. Plaintext goes to `sink`, with the buffer for what it leaves.
    /// `write` is done when the step is `Ready`.
    fn step(&mut self, write: Option<Write<'_>>, sink: &mut Sink<'_>) -> Result<Step, Error> {
        if self.failed {
            return Err(Error::General("the connection has failed".to_owned()));
        }
        let mut nothing = [];
        let bytes = match &mut self.incoming {
            Some(incoming) => incoming.filled_mut(),
            None => &mut nothing[..],
        };
        let mut ends = Ends {
            outgoing: &mut self.outgoing,
            plain: &mut self.plain,
            closed: &mut self.closed,
            sink,
        };
        let (discard, outcome) = match &mut self.conn {
            Conn::Server(conn) => ends.digest(conn.process_tls_records(bytes), write),
            Conn::Client(conn) => ends.digest(conn.process_tls_records(bytes), write),
        };
        consume(&mut self.incoming, discard);
        outcome
    }

    /// Puts another word into an alert that waits to be sent in the clear, at the end of all else.
    pub(super) fn change_alert(&mut self, other: AlertDescription) {
        let waiting = self.outgoing.as_mut().map(Buffer::filled_mut);
        if let Some([.., ALERT, _, _, 0, 2, _, word]) = waiting {
            *word = other.into();
        }
    }

    /// After a failure only the alert is of interest, behind what was to be sent before it. Not a
    /// step more: rustls would look at the same bytes again.
    fn fail(&mut self) {
        let mut said = false;
        while !said {
            let before = self.outgoing().len();
            match self.step(None, &mut |_, _| {}) {
                Ok(Step::Again) => {
                    let record = self.outgoing().get(before..).unwrap_or_default();
                    said = record.first() == Some(&ALERT) || record.len() == SEALED_ALERT;
                }
                _ => break,
            }
        }
        self.failed = true;
        self.incoming = None;
        self.plain = None;
    }
}

/// Length of an alert in a record of TLS 1.3: head, two bytes, kind, tag.
const SEALED_ALERT: usize = 5 + 2 + 1 + 16;

/// Takes plaintext, and a buffer for what it leaves of it.
type Sink<'s> = dyn FnMut(&[u8], &mut Option<Buffer>) + 's;

/// What is to be written once the connection is ready for it.
#[derive(Clone, Copy)]
enum Write<'w> {
    Data(&'w [u8]),
    Close,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Again,
    Data,
    /// Nothing to look at, and plaintext may be sent; what was to be written is.
    Ready,
    /// Nothing to look at, and no plaintext may be sent yet.
    Blocked,
}

/// Where the results of a step go.
struct Ends<'e, 's> {
    outgoing: &'e mut Option<Buffer>,
    plain: &'e mut Option<Buffer>,
    closed: &'e mut bool,
    sink: &'e mut Sink<'s>,
}

impl Ends<'_, '_> {
    /// Obeys one status: how many bytes to discard, and what it came to.
    fn digest<D>(
        &mut self,
        status: UnbufferedStatus<'_, '_, D>,
        write: Option<Write<'_>>,
    ) -> (usize, Result<Step, Error>) {
        let mut discard = status.discard;
        let state = match status.state {
            Ok(state) => state,
            Err(error) => return (discard, Err(error)),
        };
        let outcome = match state {
            ConnectionState::ReadTraffic(mut traffic) => loop {
                match traffic.next_record() {
                    Some(Ok(record)) => {
                        discard += record.discard;
                        (self.sink)(record.payload, self.plain);
                    }
                    Some(Err(error)) => break Err(error),
                    None => break Ok(Step::Data),
                }
            },
            ConnectionState::EncodeTlsData(mut data) => {
                let encoded = self.append(0, |room| match data.encode(room) {
                    Ok(count) => Ok(count),
                    Err(EncodeError::InsufficientSize(size)) => Err(Some(size.required_size)),
                    Err(EncodeError::AlreadyEncoded) => Err(None),
                });
                encoded.map(|()| Step::Again)
            }
            ConnectionState::TransmitTlsData(data) => {
                // The bytes stand in `outgoing`, in order with all that follows.
                data.done();
                Ok(Step::Again)
            }
            ConnectionState::PeerClosed => {
                *self.closed = true;
                Ok(Step::Again)
            }
            ConnectionState::WriteTraffic(mut traffic) => match write {
                None => Ok(Step::Ready),
                Some(Write::Data(bytes)) => {
                    let records = bytes.len() / RECORD + 1;
                    let room = bytes.len() + records * OVERHEAD;
                    let written =
                        self.append(room, |room| traffic.encrypt(bytes, room).map_err(required));
                    written.map(|()| Step::Ready)
                }
                Some(Write::Close) => {
                    let written = self.append(OVERHEAD, |room| {
                        traffic.queue_close_notify(room).map_err(required)
                    });
                    written.map(|()| Step::Ready)
                }
            },
            ConnectionState::BlockedHandshake => Ok(Step::Blocked),
            // Both sides have closed; nothing can be written any more.
            ConnectionState::Closed => Ok(Step::Blocked),
            _ => Err(Error::General("early data was not asked for".to_owned())),
        };
        (discard, outcome)
    }

    /// Lets `produce` write into free room of at least `least` bytes, or of as many as it asks for.
    fn append(
        &mut self,
        least: usize,
        mut produce: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>,
    ) -> Result<(), Error> {
        let outgoing = self.outgoing.get_or_insert_with(|| Buffer::lend_for(least));
        outgoing.reserve(least);
        loop {
            match produce(outgoing.room()) {
                Ok(count) => {
                    outgoing.advance(count);
                    return Ok(());
                }
                Err(Some(size)) if size > outgoing.room().len() => outgoing.reserve(size),
                Err(_) => return Err(Error::EncryptError),
            }
        }
    }
}

/// First byte of an alert record.
const ALERT: u8 = 21;

/// Bytes that a record adds to its plaintext, at most.
const OVERHEAD: usize = 64;

fn required(error: EncryptError) -> Option<usize> {
    match error {
        EncryptError::InsufficientSize(size) => Some(size.required_size),
        EncryptError::EncryptExhausted => None,
    }
}

/// Keeps what has no place elsewhere.
fn hold(plain: &mut Option<Buffer>, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let plain = plain.get_or_insert_with(Buffer::lend);
    plain.reserve(bytes.len());
    plain.room()[..bytes.len()].copy_from_slice(bytes);
    plain.advance(bytes.len());
}

/// Takes `count` bytes off, and gives the buffer back when it is empty.
fn consume(buffer: &mut Option<Buffer>, count: usize) {
    if let Some(held) = buffer {
        held.consume(count);
        if held.is_empty() {
            *buffer = None;
        }
    }
}

/// A failure of the protocol as a failure of the connection.
pub(super) fn refused(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
