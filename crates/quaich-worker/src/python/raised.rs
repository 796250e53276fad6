//! Exceptions: setting one, taking the one that is set, telling kinds apart.
//!
//! Used wherever Python code may raise or must be told of a fault. The GIL is held throughout.
#![allow(unsafe_code)]

use std::ptr;

use pyo3_ffi as ffi;

use super::{Raised, Ref};

/// A built-in exception type.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// `AssertionError`
    Assertion,
    /// `TypeError`
    Type,
    /// `ValueError`
    Value,
    /// `RuntimeError`
    Runtime,
    /// `ConnectionAbortedError`
    Aborted,
}

/// Sets an exception.
pub(crate) fn raise(kind: Kind, message: &str) -> Raised {
    if let Ok(text) = Ref::str(message) {
        // SAFETY: the exception types live as long as the interpreter. GIL held.
        unsafe {
            let kind = match kind {
                Kind::Assertion => ffi::PyExc_AssertionError,
                Kind::Type => ffi::PyExc_TypeError,
                Kind::Value => ffi::PyExc_ValueError,
                Kind::Runtime => ffi::PyExc_RuntimeError,
                Kind::Aborted => ffi::PyExc_ConnectionAbortedError,
            };
            ffi::PyErr_SetObject(kind, text.as_ptr());
        }
    }
    Raised
}

/// Raises `exc_info` anew, with its own traceback.
pub(crate) fn raise_again(exc_info: &Ref) -> Raised {
    let [kind, value, trace] = [exc_info.item(0), exc_info.item(1), exc_info.item(2)];
    let (Some(kind), Some(value), Some(trace)) = (kind, value, trace) else {
        return raise(
            Kind::Type,
            "exc_info must be a tuple (type, value, traceback)",
        );
    };
    let trace = if trace.is_none() {
        ptr::null_mut()
    } else {
        trace.into_ptr()
    };
    // SAFETY: takes the three references over.
    unsafe { ffi::PyErr_Restore(kind.into_ptr(), value.into_ptr(), trace) };
    Raised
}

/// Takes the exception that is set, as an object that carries its traceback.
pub(crate) fn take_raised() -> Option<Ref> {
    let (mut kind, mut value, mut trace) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: the three are owned or null after the fetch; normalizing keeps that.
    unsafe {
        ffi::PyErr_Fetch(&raw mut kind, &raw mut value, &raw mut trace);
        ffi::PyErr_NormalizeException(&raw mut kind, &raw mut value, &raw mut trace);
        let _kind = Ref::owned(kind);
        let value = Ref::owned(value).ok();
        if let (Some(value), Ok(trace)) = (&value, Ref::owned(trace)) {
            ffi::PyException_SetTraceback(value.as_ptr(), trace.as_ptr());
        }
        value
    }
}

/// Forgets the exception that is set, if any.
pub(crate) fn clear_raised() {
    // SAFETY: GIL held.
    unsafe { ffi::PyErr_Clear() }
}

/// The exception asks the process to end. Others outside `Exception` (cancellation, time-outs of
/// cooperative schedulers) concern one request only.
pub(crate) fn asks_to_exit(exception: &Ref) -> bool {
    // SAFETY: live objects.
    unsafe {
        [ffi::PyExc_SystemExit, ffi::PyExc_KeyboardInterrupt]
            .into_iter()
            .any(|kind| ffi::PyObject_IsInstance(exception.as_ptr(), kind) == 1)
    }
}

/// The exception is a [`Kind::Aborted`].
pub(crate) fn is_aborted(exception: &Ref) -> bool {
    // SAFETY: live objects.
    unsafe { ffi::PyObject_IsInstance(exception.as_ptr(), ffi::PyExc_ConnectionAbortedError) == 1 }
}
