//! What a front thread remembers of a slot in use. Private memory: no worker reaches it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::Waker;

use quaich_proto::worker::state::Generation;

use super::call::Failure;

/// Most descriptors a worker may send ahead of their frames, for one request.
const MAX_FILES: usize = 64;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Use {
    /// Not by this thread.
    #[default]
    Idle,
    /// A call waits for its answer.
    Called(Generation),
    /// The call is gone, the worker may still write.
    Left(Generation),
}

#[derive(Default)]
pub(super) struct Desk {
    usage: Cell<Use>,
    waker: Cell<Option<Waker>>,
    failure: Cell<Option<Failure>>,
    body: RefCell<Option<Rc<OwnedFd>>>,
    files: RefCell<VecDeque<OwnedFd>>,
    /// Free only once the worker is done, though the call may be gone before.
    places: RefCell<Vec<Rc<dyn Any>>>,
    /// Tick at which the present phase has lasted too long.
    pub(super) deadline: Cell<u64>,
    /// Tick at which it was first seen running; 0 = not yet.
    pub(super) running_since: Cell<u64>,
    pub(super) run_ticks: Cell<u64>,
    pub(super) reported: Cell<bool>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk")
            .field("usage", &self.usage)
            .finish_non_exhaustive()
    }
}

impl Desk {
    pub(super) fn open(
        &self,
        generation: Generation,
        body: Option<Rc<OwnedFd>>,
        deadline: u64,
        run_ticks: u64,
    ) {
        self.usage.set(Use::Called(generation));
        if body.is_some() {
            *self.body.borrow_mut() = body;
        }
        self.deadline.set(deadline);
        self.running_since.set(0);
        self.run_ticks.set(run_ticks);
        self.reported.set(false);
    }

    pub(super) fn leave(&self) {
        if let Use::Called(generation) = self.usage.get() {
            self.usage.set(Use::Left(generation));
        }
        self.forget();
    }

    pub(super) fn close(&self) {
        self.usage.set(Use::Idle);
        self.forget();
        self.places.borrow_mut().clear();
    }

    pub(super) fn keep(&self, places: &[Rc<dyn Any>]) {
        self.places.borrow_mut().extend_from_slice(places);
    }

    fn forget(&self) {
        drop(self.waker.take());
        self.failure.set(None);
        // Dropping a descriptor is a system call: only when there is one.
        drop(self.body.borrow_mut().take());
        self.files.borrow_mut().clear();
    }

    pub(super) fn usage(&self) -> Use {
        self.usage.get()
    }

    /// Wakes the call's task; whether there was one.
    pub(super) fn wake(&self) -> bool {
        self.waker.take().inspect(Waker::wake_by_ref).is_some()
    }

    pub(super) fn wait(&self, waker: &Waker) {
        let old = self.waker.take();
        let same = old.filter(|old| old.will_wake(waker));
        self.waker.set(Some(same.unwrap_or_else(|| waker.clone())));
    }

    pub(super) fn fail(&self, failure: Failure) {
        self.failure.set(Some(failure));
        self.wake();
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        self.failure
            .take()
            .inspect(|failure| self.failure.set(Some(failure.clone())))
    }

    pub(super) fn worker_died(&self) -> bool {
        self.failure() == Some(Failure::WorkerDied)
    }

    pub(super) fn body(&self) -> Option<Rc<OwnedFd>> {
        self.body.borrow().clone()
    }

    /// False = too many.
    pub(super) fn put_file(&self, fd: OwnedFd) -> bool {
        let mut files = self.files.borrow_mut();
        if files.len() >= MAX_FILES {
            return false;
        }
        files.push_back(fd);
        true
    }

    pub(super) fn take_file(&self) -> Option<OwnedFd> {
        self.files.borrow_mut().pop_front()
    }
}
