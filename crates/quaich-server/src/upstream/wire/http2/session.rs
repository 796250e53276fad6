//! One connection, its task, and who uses it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use h2::{Ping, PingPong};
use tokio::sync::Notify;

use super::io::Io;
use crate::deadline::{Deadline, Deadlines};
use crate::error::{Error, Kind};
use crate::stream::Stream;

/// Streams that we open on one connection, if the server allows as many.
const MAX_STREAMS: usize = 100;

/// What a server may send of one response before we have taken it.
const STREAM_WINDOW: u32 = 256 * 1024;

/// And of all together: as much as all may have, so that clients that take nothing hold back only
/// their own responses.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MAX_STREAMS as u32;

/// What waits in our memory of one request.
const SEND_BUFFER: usize = 64 * 1024;

/// What `h2` may spend on keeping small DATA frames beside their bytes. Beyond it the connection ends
/// with all its streams, so a stream of small messages that nobody reads must fit.
const SMALL_FRAMES: usize = 16 * 1024 * 1024;

/// Streams that were reset by us and whose late frames are expected: each client that leaves resets
/// one.
const RESET_STREAMS: usize = 1000;

/// Bytes that the fields of a response may have.
const MAX_HEADER: u32 = 64 * 1024;

/// After so long a silence a server with open streams is asked whether it is there. Servers of gRPC
/// count a question more often than every five minutes as an attack.
const QUIET: Duration = Duration::from_secs(310);

/// How long a server may take to answer that.
const PONG: Duration = Duration::from_secs(10);

/// What the task of a connection and its users tell each other.
pub(super) struct State {
    deadline: Deadline,
    heard: Cell<Instant>,
    active: Cell<usize>,
    idle_since: Cell<Instant>,
    closed: Cell<bool>,
    /// Somebody waits for a sign of life, or for the server's settings.
    questioned: Cell<bool>,
    /// A stream got no answer in time: no new ones till the server has shown that it lives.
    suspect: Cell<bool>,
    /// An answer to a PING has come, hence the settings before it.
    settled: Cell<bool>,
    driver: RefCell<Option<Waker>>,
    changed: Notify,
}

impl State {
    /// Something was read.
    pub(super) fn heard(&self) {
        self.heard.set(Instant::now());
        self.deadline.set(QUIET);
    }

    /// A stream got no answer in time: has the server, or only the application?
    pub(super) fn suspect(&self) {
        if self.heard.get().elapsed() > PONG {
            self.suspect.set(true);
            self.question();
        }
    }

    fn question(&self) {
        self.questioned.set(true);
        if let Some(driver) = self.driver.borrow_mut().take() {
            driver.wake();
        }
    }
}

/// An open connection.
pub struct Session {
    send: SendRequest<Bytes>,
    state: Rc<State>,
    is_secure: bool,
}

/// Begins HTTP/2 on `stream`. The task of the connection ends when the session and all its leases
/// are gone, or the server is.
pub async fn open(stream: Stream, deadlines: &Rc<Deadlines>) -> Result<Session, Error> {
    let state = Rc::new(State {
        deadline: deadlines.register(),
        heard: Cell::new(Instant::now()),
        active: Cell::new(0),
        idle_since: Cell::new(Instant::now()),
        closed: Cell::new(false),
        questioned: Cell::new(false),
        suspect: Cell::new(false),
        settled: Cell::new(false),
        driver: RefCell::default(),
        changed: Notify::new(),
    });
    let is_secure = !stream.is_plain();
    let io = Io {
        stream,
        state: state.clone(),
    };
    let (send, mut connection) = Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEADER)
        .max_send_buffer_size(SEND_BUFFER)
        .initial_max_send_streams(MAX_STREAMS)
        .data_frame_budget(SMALL_FRAMES)
        .max_concurrent_reset_streams(RESET_STREAMS)
        // A server only gets to err as often as it is asked.
        .max_local_error_reset_streams(None)
        .enable_push(false)
        .handshake(io)
        .await
        .map_err(|_| Error::upstream(Kind::UpstreamClosed))?;
    let pings = connection.ping_pong();
    tokio::task::spawn_local(drive(connection, pings, state.clone()));
    Ok(Session {
        send,
        state,
        is_secure,
    })
}

/// Moves frames until the connection ends.
async fn drive(
    mut connection: Connection<Io, Bytes>,
    mut pings: Option<PingPong>,
    state: Rc<State>,
) {
    let mut asked = false;
    state.deadline.set(QUIET);
    poll_fn(|cx| {
        keep_waker(&state, cx);
        // What it failed of, its streams are told.
        if std::pin::Pin::new(&mut connection).poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match &mut pings {
            Some(pings) => poll_life(&state, pings, &mut asked, cx),
            None => Poll::Pending,
        }
    })
    .await;
    state.closed.set(true);
    state.deadline.rest();
    state.changed.notify_waiters();
}

fn keep_waker(state: &State, cx: &Context<'_>) {
    let mut driver = state.driver.borrow_mut();
    match &*driver {
        Some(known) if known.will_wake(cx.waker()) => {}
        _ => *driver = Some(cx.waker().clone()),
    }
}

/// Asks a server that is silent, or that somebody doubts. Ready when it is gone.
fn poll_life(
    state: &State,
    pings: &mut PingPong,
    asked: &mut bool,
    cx: &mut Context<'_>,
) -> Poll<()> {
    if *asked {
        match pings.poll_pong(cx) {
            Poll::Ready(Ok(_)) => {
                *asked = false;
                state.suspect.set(false);
                state.settled.set(true);
                state.changed.notify_waiters();
                state.deadline.set(QUIET);
            }
            Poll::Ready(Err(_)) => return Poll::Ready(()),
            Poll::Pending => {}
        }
    }
    let quiet = state.deadline.check(cx).is_err();
    if quiet && *asked {
        return Poll::Ready(());
    }
    let doubt = state.questioned.take() || (quiet && state.active.get() > 0);
    if doubt && !*asked && pings.send_ping(Ping::opaque()).is_ok() {
        *asked = true;
        state.deadline.set(PONG);
        // So that the question is sent, and this is looked at again.
        cx.waker().wake_by_ref();
    } else if quiet {
        state.deadline.set(QUIET);
        cx.waker().wake_by_ref();
    }
    Poll::Pending
}

impl Session {
    /// A stream, if the connection has one to give. `deadline` is to bound its waits.
    pub fn lease(&self, deadlines: &Rc<Deadlines>) -> Option<Lease> {
        let most = self.send.current_max_send_streams().min(MAX_STREAMS);
        if self.state.active.get() >= most || self.state.suspect.get() {
            return None;
        }
        self.first_lease(deadlines)
    }

    /// As [`lease`](Self::lease), on a new connection of which nothing is known yet.
    pub fn first_lease(&self, deadlines: &Rc<Deadlines>) -> Option<Lease> {
        let mut send = self.send.clone();
        let mut cx = Context::from_waker(Waker::noop());
        if self.is_closed() || !matches!(send.poll_ready(&mut cx), Poll::Ready(Ok(()))) {
            return None;
        }
        self.state.active.set(self.state.active.get() + 1);
        Some(Lease {
            send,
            state: self.state.clone(),
            is_secure: self.is_secure,
            deadline: deadlines.register(),
        })
    }

    /// Whether no stream can be opened any more: the connection has ended, or the server has said
    /// that it will (GOAWAY).
    pub fn is_closed(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.state.closed.get()
            || matches!(self.send.clone().poll_ready(&mut cx), Poll::Ready(Err(_)))
    }

    /// How long nobody has used it; `None` while somebody does.
    pub fn idle(&self) -> Option<Duration> {
        (self.state.active.get() == 0).then(|| self.state.idle_since.get().elapsed())
    }
}

/// The right to one stream of a connection, given back on drop.
pub struct Lease {
    pub(super) send: SendRequest<Bytes>,
    pub(super) state: Rc<State>,
    pub(super) is_secure: bool,
    pub(super) deadline: Deadline,
}

impl Lease {
    /// Nothing is awaited of the server any more.
    pub fn rest(&self) {
        self.deadline.rest();
    }

    /// Whether the server lets a stream carry another protocol (RFC 8441). Waits for its settings.
    pub(super) async fn can_tunnel(&self) -> Result<bool, Error> {
        while !self.state.settled.get() && !self.state.closed.get() {
            let changed = self.state.changed.notified();
            self.state.question();
            let waited = self.deadline.guard(changed).await;
            waited.map_err(|_| Error::upstream(Kind::ResponseTimeout))?;
        }
        Ok(self.send.is_extended_connect_protocol_enabled())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let left = self.state.active.get().saturating_sub(1);
        self.state.active.set(left);
        if left == 0 {
            self.state.idle_since.set(Instant::now());
        }
    }
}
