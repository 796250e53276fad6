//! Gives memory back that lies free between what is still in use.

#![allow(unsafe_code)]

/// Returns whole free pages to the system. Takes about a millisecond for twenty megabytes, so it is
/// called now and then, after many connections have given up their memory.
pub(crate) fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the allocator may be asked for this at any time, by any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
