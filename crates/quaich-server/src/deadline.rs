//! Coarse deadlines: one slot per connection, looked at by a sweep of the thread, no timer each.
//!
//! A connection sets its deadline before it waits and guards the wait with [`Deadline::guard`].
//! The sweep wakes the tasks whose deadline has passed; a deadline is therefore late by at most one
//! sweep ([`SWEEP`]). Setting and clearing cost one store.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::{Clock, Millis};

/// The longest time by which a deadline can be late.
pub const SWEEP: Duration = Duration::from_millis(100);

const NEVER: Millis = Millis::MAX;

struct Entry {
    due: Cell<Millis>,
    waker: RefCell<Option<Waker>>,
}

/// All deadlines of one thread.
pub struct Deadlines {
    clock: Rc<Clock>,
    entries: RefCell<Vec<Option<Rc<Entry>>>>,
    free: RefCell<Vec<usize>>,
    occupied: Notify,
}

impl Deadlines {
    /// An empty table that reads `clock`.
    pub fn new(clock: Rc<Clock>) -> Rc<Self> {
        Rc::new(Self {
            clock,
            entries: RefCell::default(),
            free: RefCell::default(),
            occupied: Notify::new(),
        })
    }

    /// A new deadline, not set.
    pub fn register(self: &Rc<Self>) -> Deadline {
        let entry = Rc::new(Entry {
            due: Cell::new(NEVER),
            waker: RefCell::default(),
        });
        let mut entries = self.entries.borrow_mut();
        let slot = match self.free.borrow_mut().pop() {
            Some(slot) => slot,
            None => {
                entries.push(None);
                entries.len() - 1
            }
        };
        entries[slot] = Some(entry.clone());
        drop(entries);
        self.occupied.notify_one();
        Deadline {
            table: self.clone(),
            entry,
            slot,
        }
    }

    /// The coarse time of the thread.
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    fn is_empty(&self) -> bool {
        self.entries.borrow().len() == self.free.borrow().len()
    }

    /// Wakes every task whose deadline has passed.
    fn sweep(&self) {
        let now = self.clock.now();
        for entry in self.entries.borrow().iter().flatten() {
            if entry.due.get() <= now
                && let Some(waker) = entry.waker.borrow_mut().take()
            {
                waker.wake();
            }
        }
    }

    /// Sweeps for ever; sleeps while there is nothing to watch. `each` runs after every sweep and
    /// is told whether a long sleep follows.
    pub async fn run(self: Rc<Self>, mut each: impl FnMut(bool)) {
        loop {
            if self.is_empty() {
                each(true);
                self.occupied.notified().await;
            }
            tokio::time::sleep(SWEEP).await;
            self.clock.update();
            self.sweep();
            each(false);
        }
    }
}

/// The deadline of one connection. Setting it replaces what was set before.
pub struct Deadline {
    table: Rc<Deadlines>,
    entry: Rc<Entry>,
    slot: usize,
}

/// The deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired;

impl Deadline {
    /// Due `after` from now.
    pub fn set(&self, after: Duration) {
        let after = Millis::try_from(after.as_millis()).unwrap_or(NEVER);
        self.entry
            .due
            .set(self.table.clock.now().saturating_add(after));
    }

    /// The coarse time of the thread.
    pub fn now(&self) -> Millis {
        self.table.now()
    }

    /// Whether it was set and not cleared.
    pub fn is_set(&self) -> bool {
        self.entry.due.get() != NEVER
    }

    /// Never due.
    pub fn clear(&self) {
        self.entry.due.set(NEVER);
    }

    /// Never due, and nobody to wake: the task that waited may end.
    pub fn rest(&self) {
        self.clear();
        self.entry.waker.borrow_mut().take();
    }

    /// Whether it has passed.
    pub fn expired(&self) -> bool {
        self.entry.due.get() <= self.table.clock.now()
    }

    /// To be called by a future that returns `Pending`: fails if the deadline has passed, else
    /// arranges that the task is woken when it does.
    pub fn check(&self, cx: &mut Context<'_>) -> Result<(), Expired> {
        if self.expired() {
            return Err(Expired);
        }
        let mut waker = self.entry.waker.borrow_mut();
        match &*waker {
            Some(known) if known.will_wake(cx.waker()) => {}
            _ => *waker = Some(cx.waker().clone()),
        }
        Ok(())
    }

    /// Runs `future` until it is ready or the deadline has passed.
    pub async fn guard<T>(&self, future: impl Future<Output = T>) -> Result<T, Expired> {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending => match self.check(cx) {
                Ok(()) => Poll::Pending,
                Err(expired) => Poll::Ready(Err(expired)),
            },
        })
        .await
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.table.entries.borrow_mut()[self.slot] = None;
        self.table.free.borrow_mut().push(self.slot);
    }
}
/// What `future` comes to within `patience`; with none, it is not even begun. For short waits, which a
/// sweep would stretch.
pub async fn within<T>(patience: Duration, future: impl Future<Output = T>) -> Option<T> {
    if patience.is_zero() {
        return None;
    }
    tokio::time::timeout(patience, future).await.ok()
}
