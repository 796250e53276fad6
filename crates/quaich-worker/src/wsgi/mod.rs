//! WSGI (PEP 3333): one request in, one call of the application, one response out.
//!
//! `threads` makes one [`Seat`] for each thread that serves; tests do the same. What passes:
//! `environ` → `call` → (`start_response` → `head`) → `iterate` | `file_wrapper` → `outbound` →
//! the transport. Nothing here knows how requests come or where responses go.

mod call;
mod file_wrapper;
mod head;
mod input;
mod iterate;
mod outbound;
mod start_response;

pub(crate) use call::{Seat, Verdict};
use pyo3_ffi as ffi;

use crate::environ::Constants;
use crate::python::{PyResult, Ref};

/// The loaded application and what serving it needs, made once in a process.
pub(crate) struct App {
    /// Called with `(environ, start_response)`.
    pub(crate) callable: Ref,
    /// `boot.py`: `log_exception(exception, request)`.
    pub(crate) log_exception: Ref,
    /// `boot.py`: `file_place(wrapper)`.
    pub(crate) file_place: Ref,
    /// For every environ.
    pub(crate) constants: Constants,
}

/// Types and functions that a thread compares with or calls.
struct Tools {
    list: *mut ffi::PyTypeObject,
    tuple: *mut ffi::PyTypeObject,
    list_iterator: *mut ffi::PyTypeObject,
    file_wrapper: Ref,
    file_place: Ref,
    close: Ref,
    exchange_type: Ref,
    input_type: Ref,
}

impl Tools {
    fn new(app: &App) -> PyResult<Self> {
        let list = Ref::list()?;
        Ok(Self {
            list: list.type_pointer(),
            tuple: Ref::pair(0, 0)?.type_pointer(),
            list_iterator: list.iter()?.type_pointer(),
            file_wrapper: app.constants.file_wrapper.clone(),
            file_place: app.file_place.clone(),
            close: Ref::interned("close")?,
            exchange_type: start_response::new_type()?,
            input_type: input::new_type()?,
        })
    }
}
