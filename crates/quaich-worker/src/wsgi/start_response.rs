//! `start_response` and the `write` that it returns, as Python built-in functions.
//!
//! Both are made once per thread and used again for each request, unless an application has kept
//! one: then that one is cut off and raises, and new ones are made. They belong to the thread that
//! runs the request; from any other they raise.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::c_int;
use std::ptr;

use pyo3_ffi as ffi;

use super::outbound::{More, Outbound, Refused};
use crate::python::{Kind, Methods, PyResult, Raised, Ref, raise, raise_again};

/// What the two functions work on while a request runs.
pub(super) type Exchange = RefCell<Outbound>;

/// The `self` of both functions. Zeroed memory is a valid value: not attached.
#[repr(C)]
struct Handle {
    head: ffi::PyObject,
    exchange: Cell<*const Exchange>,
    thread: Cell<libc::pthread_t>,
    /// Borrowed: `write` refers to this handle, so the reverse must not count.
    write: Cell<*mut ffi::PyObject>,
}

static START_RESPONSE: Methods<1> = Methods([ffi::PyMethodDef {
    ml_name: c"start_response".as_ptr(),
    ml_meth: ffi::PyMethodDefPointer {
        PyCFunctionFastWithKeywords: start_response,
    },
    ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
    ml_doc: c"start_response(status, headers, exc_info=None) -> write".as_ptr(),
}]);

static WRITE: Methods<1> = Methods([ffi::PyMethodDef {
    ml_name: c"write".as_ptr(),
    ml_meth: ffi::PyMethodDefPointer { PyCFunction: write },
    ml_flags: ffi::METH_O,
    ml_doc: c"write(data): sends bytes at once.".as_ptr(),
}]);

/// The Python type of the functions' `self`.
pub(super) fn new_type() -> PyResult<Ref> {
    let mut slots = [ffi::PyType_Slot {
        slot: 0,
        pfunc: ptr::null_mut(),
    }];
    let mut spec = ffi::PyType_Spec {
        name: c"quaich_worker.Exchange".as_ptr(),
        basicsize: size_of::<Handle>() as c_int,
        itemsize: 0,
        flags: (ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION) as u32,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: the spec is complete and its slots end with a zero; Python copies what it keeps.
    unsafe { Ref::owned(ffi::PyType_FromSpec(&raw mut spec)) }
}

/// The two functions of a thread.
pub(super) struct Functions {
    // In this order: `write` must not outlive the handle's last use of it.
    start_response: Ref,
    handle: Ref,
    write: Ref,
}

impl Functions {
    /// Makes both; `kind` is from [`new_type`].
    pub(super) fn new(kind: &Ref) -> PyResult<Self> {
        // SAFETY: `kind` is our type; its allocator gives zeroed memory. The method tables are
        // static.
        unsafe {
            let handle = Ref::owned(ffi::PyType_GenericAlloc(kind.as_ptr().cast(), 0))?;
            let function = |methods: *mut ffi::PyMethodDef| {
                Ref::owned(ffi::PyCFunction_NewEx(
                    methods,
                    handle.as_ptr(),
                    ptr::null_mut(),
                ))
            };
            let start_response = function(START_RESPONSE.as_ptr())?;
            let write = function(WRITE.as_ptr())?;
            Ok(Self {
                start_response,
                handle,
                write,
            })
        }
    }

    /// The function for the application.
    pub(super) fn start_response(&self) -> &Ref {
        &self.start_response
    }

    /// Nobody has kept one of the functions.
    pub(super) fn are_free(&self) -> bool {
        self.start_response.is_only() && self.write.is_only()
    }

    /// Lets the functions work on `exchange` until [`Functions::detach`], which must come before
    /// `exchange` ends.
    pub(super) fn attach(&self, exchange: &Exchange) {
        let handle = self.fields();
        handle.exchange.set(ptr::from_ref(exchange));
        // SAFETY: always succeeds.
        handle.thread.set(unsafe { libc::pthread_self() });
        handle.write.set(self.write.as_ptr());
    }

    /// The request is over: any further call raises.
    pub(super) fn detach(&self) {
        self.fields().exchange.set(ptr::null());
    }

    fn fields(&self) -> &Handle {
        // SAFETY: the object is of our type and alive; its fields are cells under the GIL.
        unsafe { &*self.handle.as_ptr().cast::<Handle>() }
    }
}

/// Runs `work` on the response that `this` belongs to, if that is still open to this thread.
///
/// # Safety
/// `this` is a live [`Handle`]. GIL held.
unsafe fn with_response<T>(
    this: *mut ffi::PyObject,
    work: impl FnOnce(&Handle, &mut Outbound) -> PyResult<T>,
) -> PyResult<T> {
    // SAFETY: by contract. An attached exchange is alive: it is detached before it ends, on the
    // thread that is compared here.
    unsafe {
        let handle = &*this.cast::<Handle>();
        let exchange = handle.exchange.get();
        if exchange.is_null() {
            return Err(raise(Kind::Runtime, "this request is over"));
        }
        if handle.thread.get() != libc::pthread_self() {
            let message = "start_response and write belong to the thread that runs the request";
            return Err(raise(Kind::Runtime, message));
        }
        let Ok(mut response) = (*exchange).try_borrow_mut() else {
            return Err(raise(Kind::Runtime, "the response is being sent"));
        };
        work(handle, &mut response)
    }
}

unsafe extern "C" fn start_response(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: Python calls with its own arguments, `this` is what the function was made with.
    unsafe {
        let result = parse(arguments, count, keywords).and_then(|given| {
            with_response(this, |handle, response| {
                start(response, &given)?;
                Ref::borrowed(handle.write.get())
            })
        });
        result.map_or(ptr::null_mut(), Ref::into_ptr)
    }
}

/// Status, headers and exc_info.
type Given = (Ref, Ref, Option<Ref>);

/// # Safety
/// The arguments of a `METH_FASTCALL | METH_KEYWORDS` call: `count` positional ones, then one for
/// each name in the tuple `keywords`, which may be null.
unsafe fn parse(
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> PyResult<Given> {
    let usage = || {
        raise(
            Kind::Type,
            "usage: start_response(status, headers, exc_info=None)",
        )
    };
    // SAFETY: by contract.
    unsafe {
        let named = if keywords.is_null() {
            None
        } else {
            Some(Ref::borrowed(keywords)?)
        };
        let names = named.as_ref().and_then(Ref::sequence_len).unwrap_or(0);
        let only_exc_info = match named.as_ref().filter(|_| names > 0).and_then(|n| n.item(0)) {
            Some(name) => names == 1 && count == 2 && name.text()? == "exc_info",
            None => true,
        };
        if !only_exc_info || !(2..=3).contains(&count) {
            return Err(usage());
        }
        let argument = |index: usize| Ref::borrowed(*arguments.add(index));
        let third = count == 3 || names == 1;
        let exc_info = if third { Some(argument(2)?) } else { None };
        Ok((
            argument(0)?,
            argument(1)?,
            exc_info.filter(|given| !given.is_none()),
        ))
    }
}

/// PEP 3333, "The start_response() Callable".
fn start(response: &mut Outbound, (status, headers, exc_info): &Given) -> PyResult<()> {
    match exc_info {
        Some(exc_info) if response.head_sent() => return Err(raise_again(exc_info)),
        None if response.head.is_given() => {
            let message = "start_response was called a second time without exc_info";
            return Err(raise(Kind::Assertion, message));
        }
        _ => {}
    }
    response.head.fill(status, headers)
}

unsafe extern "C" fn write(
    this: *mut ffi::PyObject,
    data: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: Python calls with its own arguments, `this` is what the function was made with.
    unsafe {
        let result = Ref::borrowed(data).and_then(|data| {
            let Some(bytes) = data.as_bytes() else {
                let message = format!("write() takes bytes, not {}", data.type_name());
                return Err(raise(Kind::Type, &message));
            };
            with_response(this, |_, response| {
                response.send(bytes, More::Maybe).map_err(raise_refused)
            })
        });
        result.map_or(ptr::null_mut(), |()| Ref::none().into_ptr())
    }
}

/// The exception that tells an application why its bytes were not taken.
pub(super) fn raise_refused(refused: Refused) -> Raised {
    match refused {
        Refused::Gone => raise(Kind::Aborted, "the client has left"),
        Refused::NoHead => raise(
            Kind::Assertion,
            "the application gave a body before it called start_response",
        ),
    }
}
