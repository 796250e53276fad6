#![allow(unsafe_code)]
//! Knows whether this process is a fork of the worker. Apps fork inside requests; a child that
//! comes back into the channel must not answer for its parent.

use std::io;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

static FORKED: AtomicBool = AtomicBool::new(false);
static WATCH: Once = Once::new();

extern "C" fn in_child() {
    FORKED.store(true, Ordering::Relaxed);
}

/// Begins to watch; once per process.
pub(super) fn watch() -> io::Result<()> {
    let mut code = 0;
    WATCH.call_once(|| {
        // SAFETY: the handler only stores to an atomic, which is safe between fork and exec, and
        // the library is never unloaded.
        code = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
    if code == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(code))
    }
}

/// Whether this is a child.
pub(super) fn forked() -> bool {
    FORKED.load(Ordering::Relaxed)
}
