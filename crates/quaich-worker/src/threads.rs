//! The threads that run requests: they attach to the front of the day, claim, serve, and stop.
//!
//! `control` owns the one [`Crew`] of the process and tells it what the supervisor says. The
//! threads hold the GIL except where they wait, here and in the channel.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use pyo3_ffi as ffi;
use quaich_proto::worker::boot::FromWorker;

use crate::boot::Boot;
use crate::channel::{Call, Channel, ThreadEnd};
use crate::control;
use crate::log;
use crate::python::{Methods, PyResult, Ref, released, released_here};
use crate::wsgi::{App, Seat, Verdict};

static CREW: OnceLock<Crew> = OnceLock::new();

static RUN: Methods<1> = Methods([ffi::PyMethodDef {
    ml_name: c"run".as_ptr(),
    ml_meth: ffi::PyMethodDefPointer { PyCFunction: run },
    ml_flags: ffi::METH_NOARGS,
    ml_doc: std::ptr::null(),
}]);

/// All request threads of the process.
pub(crate) struct Crew {
    app: Shared,
    max_requests: u64,
    served: AtomicU64,
    post: Mutex<Post>,
    changed: Condvar,
}

/// What the threads are told.
#[derive(Default)]
struct Post {
    channel: Option<Arc<Channel>>,
    /// Counts attachments, so that a thread attaches once to each.
    attached: u64,
    stopping: bool,
    running: u32,
    /// Why the worker leaves by itself.
    reason: String,
}

/// The application, for all threads.
struct Shared(App);

// SAFETY: the references inside are used and counted only with the GIL held, which every thread
// of the crew takes before it looks at them; they are never dropped.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Crew {
    /// Starts `threads` threads. Only the first call in a process has a crew to start.
    pub(crate) fn start(
        boot: &Boot,
        app: App,
        threads: u32,
        max_requests: u64,
    ) -> PyResult<&'static Self> {
        let crew = CREW.get_or_init(|| Self {
            app: Shared(app),
            max_requests,
            served: AtomicU64::new(0),
            post: Mutex::new(Post {
                running: threads,
                ..Post::default()
            }),
            changed: Condvar::new(),
        });
        let start = boot.name("start_thread")?;
        for index in 0..threads {
            let number = Ref::int(index.into())?;
            // SAFETY: the table is static; the function keeps `number` alive.
            let run = unsafe {
                let methods = RUN.as_ptr();
                Ref::owned(ffi::PyCFunction_NewEx(
                    methods,
                    number.as_ptr(),
                    std::ptr::null_mut(),
                ))?
            };
            start.call2(&number, &run)?;
        }
        Ok(crew)
    }

    /// A front to take requests from; the former one, if any, is left.
    pub(crate) fn attach(&self, channel: Arc<Channel>) {
        let mut post = self.post();
        if let Some(former) = post.channel.replace(channel) {
            former.close();
        }
        post.attached += 1;
        self.changed.notify_all();
    }

    /// Lets running requests end and takes no more.
    pub(crate) fn stop(&self) {
        let mut post = self.post();
        post.stopping = true;
        if let Some(channel) = &post.channel {
            channel.stop_taking();
        }
        self.changed.notify_all();
    }

    /// Waits until no thread runs any more. Blocks: call it without the GIL.
    pub(crate) fn join(&self) {
        let mut post = self.post();
        while post.running > 0 {
            post = self
                .changed
                .wait(post)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A thread has decided that the worker leaves.
    pub(crate) fn is_leaving(&self) -> bool {
        !self.post().reason.is_empty()
    }

    /// The last words to the supervisor.
    pub(crate) fn bye(&self) -> FromWorker {
        let requests = self.served.load(Ordering::Relaxed);
        FromWorker::Bye {
            requests,
            reason: self.post().reason.clone(),
        }
    }

    /// The next front after the one with number `last`, and its number; none = stop. Blocks.
    fn next_channel(&self, last: u64) -> Option<(Arc<Channel>, u64)> {
        let mut post = self.post();
        loop {
            if post.stopping {
                return None;
            }
            if post.attached != last
                && let Some(channel) = &post.channel
            {
                return Some((Arc::clone(channel), post.attached));
            }
            post = self
                .changed
                .wait(post)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn post(&self) -> MutexGuard<'_, Post> {
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of one thread.
    fn work(&self, index: usize) -> PyResult<()> {
        let mut seat = Seat::new(&self.app.0)?;
        let mut last = 0;
        while let Some((channel, number)) = released(|| self.next_channel(last)) {
            last = number;
            match channel.thread(index) {
                Ok(end) => self.serve(&mut seat, end),
                Err(error) => self.leave(&format!("a thread cannot attach: {error}")),
            }
        }
        Ok(())
    }

    fn serve(&self, seat: &mut Seat, mut end: ThreadEnd) {
        while let Some(call) = claim(&mut end) {
            let verdict = seat.serve(call);
            let served = self.served.fetch_add(1, Ordering::Relaxed) + 1;
            if served == self.max_requests {
                released(|| control::tell(&FromWorker::Retiring { requests: served }));
            }
            if verdict == Verdict::Leave {
                self.leave("the application asked the process to exit");
            }
        }
    }

    /// The worker has to go by itself: the main thread is told.
    fn leave(&self, reason: &str) {
        log::line(reason);
        self.post().reason = reason.to_owned();
        self.stop();
        control::hang_up();
    }

    fn end(&self) {
        self.post().running -= 1;
        self.changed.notify_all();
    }
}

/// The next request. Keeps the GIL when one is waiting: the interpreter's own switch interval sees
/// to other threads, and the front wakes a second thread only for applications that are slow.
fn claim(end: &mut ThreadEnd) -> Option<Call> {
    if let Some(call) = end.try_claim() {
        return Some(call);
    }
    // SAFETY: the channel knows nothing of Python.
    unsafe { released_here(|| end.claim()) }
}

/// The target of each `threading.Thread`; `this` is the thread's index.
unsafe extern "C" fn run(this: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: `this` is the int that the function was made with. GIL held.
    let index = unsafe { Ref::borrowed(this) }.and_then(|index| index.integer());
    let Some(crew) = CREW.get() else {
        return Ref::none().into_ptr();
    };
    let worked = index.and_then(|index| crew.work(usize::try_from(index).unwrap_or(usize::MAX)));
    if worked.is_err() {
        crew.leave("a request thread could not start");
    }
    crew.end();
    match worked {
        Ok(()) => Ref::none().into_ptr(),
        // Python prints the exception as that of a thread.
        Err(_) => std::ptr::null_mut(),
    }
}
