//! One HTTP/2 connection: takes requests from the crate and gives each its task, sends at the end of
//! each turn what they had to say, and knows when the connection has to end.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use h2::Reason;
use h2::server::{Builder, Connection as H2Connection};

use super::floods::{Breach, Flood};
use super::piece::{Budget, Piece};
use super::stream;
use super::wire::{Io, Wire};
use crate::deadline::Deadline;
use crate::downstream::connection::{Connection, End, linger};
use crate::downstream::output::Output;
use crate::forwarded::Client;
use crate::observe::log;
use crate::thread::Thread;
use crate::tls::session::Session;

/// Streams at once.
const MAX_STREAMS: u32 = 100;

/// Bytes of one request body that nobody has taken yet.
const STREAM_WINDOW: u32 = 256 * 1024;

/// And of all together: as much as all may have, so that a body that nobody takes holds back only
/// itself. Few ever have more than a piece: apps are given bodies that were spooled.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MAX_STREAMS;

/// What keeping small DATA frames may cost beside their bytes; the crate would take half the window.
const SMALL_FRAMES: usize = 512 * 1024;

/// Bytes of one response that may wait for the socket.
const STREAM_BUFFER: usize = 256 * 1024;

/// Streams that the client resets before they are begun, and those that we reset for its errors.
const MAX_PENDING_RESETS: usize = 20;
const MAX_ERROR_RESETS: usize = 100;

/// What the crate adds to each field when it judges the size of a header list (RFC 9113 section
/// 6.5.2), and what pseudo-fields need beside the target.
const FIELD_OVERHEAD: usize = 32;
const PSEUDO_FIELDS: usize = 1024;

/// After so long without a request a connection is at rest, and its memory worth a look.
const WARM: Duration = Duration::from_millis(500);

/// How long a client that was told of the end may take to acknowledge it.
const FAREWELL: Duration = Duration::from_secs(1);

/// What the requests of a connection share.
pub(super) struct Shared {
    pub(super) thread: Rc<Thread>,
    pub(super) end: End,
    pub(super) peer: Client,
    pub(super) session: Option<Rc<Session>>,
    pub(super) number: u64,
    pub(super) requests: Cell<u64>,
    pub(super) budget: Rc<Budget>,
    active: Cell<usize>,
    waker: RefCell<Option<Waker>>,
}

impl Shared {
    /// Counts a request while it is served.
    pub(super) fn begin(self: &Rc<Self>) -> Active {
        self.active.set(self.active.get() + 1);
        Active(self.clone())
    }
}

/// A request that is served.
pub(super) struct Active(Rc<Shared>);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.active.set(self.0.active.get().saturating_sub(1));
        if self.0.active.get() == 0
            && let Some(waker) = self.0.waker.borrow_mut().take()
        {
            waker.wake();
        }
    }
}

impl<H> Connection<H> {
    /// Serves HTTP/2 to the end of the connection.
    pub(in crate::downstream) async fn serve_h2(self) {
        let thread = self.thread.clone();
        let (deadline, writing) = (thread.deadlines.register(), thread.deadlines.register());
        let early = self.early.map(|early| *early);
        let wire = Wire::new(self.socket, early, thread.clock.clone());
        let output = Output::new(wire.stream(), &writing, thread.settings.write_timeout);
        deadline.set(thread.settings.header_timeout);
        // In boxes, what is needed for a moment only: this future lives as long as the connection.
        let handshake = Box::pin(shake_hands(&thread, &wire, &output, &deadline));
        let Some(connection) = handshake.await else {
            return;
        };
        let shared = Rc::new(Shared {
            thread: thread.clone(),
            end: self.end,
            peer: self.peer,
            session: wire.stream().session().cloned(),
            number: self.number,
            requests: Cell::new(0),
            budget: Rc::default(),
            active: Cell::new(0),
            waker: RefCell::default(),
        });
        let mut driver = Driver {
            connection,
            wire: &wire,
            output: &output,
            deadline: &deadline,
            shared,
            phase: Phase::Open,
            was_active: false,
            is_warm: false,
        };
        let mut drain = pin!(thread.drain_started());
        let mut draining = false;
        let ended = poll_fn(|cx| {
            if !draining && drain.as_mut().poll(cx).is_ready() {
                draining = true;
                driver.say_farewell();
            }
            driver.poll(cx)
        })
        .await;
        drop(driver);
        if ended == Ended::Orderly {
            Box::pin(linger(wire.stream(), &deadline)).await;
        }
    }
}

fn builder(thread: &Thread) -> Builder {
    let limits = &thread.limits;
    let list = limits.max_header + limits.max_headers * FIELD_OVERHEAD;
    let list = list + limits.max_uri + PSEUDO_FIELDS;
    let mut builder = Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(list).unwrap_or(u32::MAX))
        .data_frame_budget(SMALL_FRAMES)
        .max_send_buffer_size(STREAM_BUFFER)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(Some(MAX_ERROR_RESETS))
        .enable_connect_protocol();
    builder
}

/// Sends our settings and waits for the client's preface.
async fn shake_hands(
    thread: &Thread,
    wire: &Rc<Wire>,
    output: &Output<'_>,
    deadline: &Deadline,
) -> Option<Box<H2Connection<Io, Piece>>> {
    let handshake = builder(thread).handshake::<_, Piece>(Io(wire.clone()));
    let mut handshake = pin!(handshake);
    let mut breach = None;
    let shaken = deadline.guard(poll_fn(|cx| {
        let made = handshake.as_mut().poll(cx);
        let mut connection = made.map(|made| made.ok().map(Box::new));
        if connection.is_pending() {
            breach = wire.take_breach();
        }
        // The crate, which would say it, has not got that far.
        if let Some(breach) = breach {
            wire.say_goaway(breach.reason());
            connection = Poll::Ready(None);
        }
        match wire.poll_send(cx, output) {
            Poll::Ready(Err(_)) => Poll::Ready(None),
            _ => connection,
        }
    }));
    let connection = shaken.await.ok().flatten();
    if breach.is_some() {
        linger(wire.stream(), deadline).await;
    }
    connection
}

/// How far the connection is towards its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Requests come.
    Open,
    /// The client was told that no further ones are served.
    Leaving,
    /// No requests are served any more; what we have to say is sent.
    Closing,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// With a `GOAWAY` that the client should be able to read.
    Orderly,
    /// The client has gone, or takes nothing.
    Gone,
}

struct Driver<'c> {
    connection: Box<H2Connection<Io, Piece>>,
    wire: &'c Wire,
    output: &'c Output<'c>,
    deadline: &'c Deadline,
    shared: Rc<Shared>,
    phase: Phase,
    was_active: bool,
    /// Idle since a moment ago: the next request may be near.
    is_warm: bool,
}

impl Driver<'_> {
    /// One turn: what came, what is to be sent, what is due.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        loop {
            let over = self.poll_requests(cx);
            if let Some(breach) = self.wire.take_breach() {
                self.stop(breach);
                continue;
            }
            match self.wire.poll_send(cx, self.output) {
                Poll::Ready(Err(_)) => return Poll::Ready(Ended::Gone),
                Poll::Ready(Ok(())) if over => return Poll::Ready(Ended::Orderly),
                Poll::Ready(Ok(())) if self.wire.take_full() => continue,
                _ => {}
            }
            if self.poll_due(cx, over) {
                return Poll::Ready(Ended::Gone);
            }
            return Poll::Pending;
        }
    }

    /// Starts every request that has come; `true` when the connection is over.
    fn poll_requests(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            match self.connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    self.count_request();
                    let task = stream::serve(self.shared.clone(), request, respond);
                    start(cx, Box::pin(task));
                }
                Poll::Ready(Some(Err(error))) => {
                    if error.is_library() && error.reason() == Some(Reason::ENHANCE_YOUR_CALM) {
                        self.report("resets");
                    }
                    return true;
                }
                Poll::Ready(None) => return true,
                Poll::Pending => return false,
            }
        }
    }

    fn count_request(&mut self) {
        let requests = self.shared.requests.get() + 1;
        self.shared.requests.set(requests);
        if requests == self.shared.thread.settings.keepalive_requests {
            self.say_farewell();
        }
    }

    /// No further requests; those that are served end in peace.
    fn say_farewell(&mut self) {
        if self.phase == Phase::Open {
            self.phase = Phase::Leaving;
            self.connection.graceful_shutdown();
            self.deadline.clear();
        }
    }

    fn stop(&mut self, breach: Breach) {
        if let Breach::Flood(flood) = breach {
            self.report(flood);
        }
        self.phase = Phase::Closing;
        self.connection.abrupt_shutdown(breach.reason());
    }

    fn report(&self, flood: Flood) {
        let thread = &self.shared.thread;
        thread.counters.h2_floods.add();
        match self.shared.peer.addr {
            Some(addr) => {
                log::warn_limited!("an HTTP/2 client floods, its connection is closed"; client = addr, frames = flood);
            }
            None => {
                log::warn_limited!("an HTTP/2 client floods, its connection is closed"; frames = flood);
            }
        }
    }

    /// Sees to the deadline of a connection without requests; `true` when it must end at once.
    fn poll_due(&mut self, cx: &mut Context<'_>, over: bool) -> bool {
        let active = self.shared.active.get() > 0;
        if active && !over {
            self.was_active = true;
            self.deadline.clear();
            *self.shared.waker.borrow_mut() = Some(cx.waker().clone());
            return false;
        }
        if std::mem::take(&mut self.was_active) || !self.deadline.is_set() {
            self.is_warm = self.phase == Phase::Open;
            self.deadline
                .set(if self.is_warm { WARM } else { FAREWELL });
        }
        while self.deadline.check(cx).is_err() {
            match self.phase {
                Phase::Open if std::mem::take(&mut self.is_warm) => {
                    let thread = &self.shared.thread;
                    thread.rested.set(thread.rested.get() + 1);
                    let rest = thread.settings.keepalive.saturating_sub(WARM);
                    self.deadline.set(rest);
                    continue;
                }
                Phase::Open => self.say_farewell(),
                Phase::Leaving if !over => {
                    self.phase = Phase::Closing;
                    self.connection.abrupt_shutdown(Reason::NO_ERROR);
                }
                _ => return true,
            }
            self.deadline.set(FAREWELL);
            // What was said is sent in the next turn.
            cx.waker().wake_by_ref();
        }
        false
    }
}

/// Runs `task` as far as it goes at once, and by itself from there on.
fn start(cx: &mut Context<'_>, mut task: Pin<Box<impl Future<Output = ()> + 'static>>) {
    if task.as_mut().poll(cx).is_pending() {
        tokio::task::spawn_local(task);
    }
}
