//! `wsgi.input`: the body of one request as a Python object with `read`, `readline`, `readlines`
//! and iteration (PEP 3333, "Input and Error Streams").
//!
//! The whole body is there before the application runs, in the request's slot or in a file that
//! is mapped, so reading never blocks, never ends early and never goes past the end. The object
//! is used again for the next request if nobody has kept it.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

use pyo3_ffi as ffi;

use crate::python::{Kind, Methods, PyResult, Raised, Ref, raise};

/// The object's memory, as Python allocates it: zeroed.
#[repr(C)]
struct InputObject {
    head: ffi::PyObject,
    start: Cell<*const u8>,
    length: Cell<usize>,
    position: Cell<usize>,
    live: Cell<bool>,
}

static METHODS: Methods<4> = Methods([
    method(
        c"read",
        read,
        c"read(size=-1): at most size bytes, all that is left without a size.",
    ),
    method(
        c"readline",
        readline,
        c"readline(size=-1): one line with its end.",
    ),
    method(
        c"readlines",
        readlines,
        c"readlines(hint=-1): the lines that are left.",
    ),
    ffi::PyMethodDef::zeroed(),
]);

const fn method(
    name: &'static std::ffi::CStr,
    function: ffi::PyCFunctionFast,
    doc: &'static std::ffi::CStr,
) -> ffi::PyMethodDef {
    ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer {
            PyCFunctionFast: function,
        },
        ml_flags: ffi::METH_FASTCALL,
        ml_doc: doc.as_ptr(),
    }
}

/// The Python type.
pub(super) fn new_type() -> PyResult<Ref> {
    let slot = |slot: c_int, pfunc: *mut c_void| ffi::PyType_Slot { slot, pfunc };
    let mut slots = [
        slot(ffi::Py_tp_methods, METHODS.as_ptr().cast()),
        slot(ffi::Py_tp_iter, ffi::PyObject_SelfIter as *mut c_void),
        slot(ffi::Py_tp_iternext, next_line as *mut c_void),
        slot(0, ptr::null_mut()),
    ];
    let mut spec = ffi::PyType_Spec {
        name: c"quaich_worker.Input".as_ptr(),
        basicsize: size_of::<InputObject>() as c_int,
        itemsize: 0,
        flags: (ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION) as u32,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: the spec is complete and its slots end with a zero; Python copies what it keeps.
    unsafe { Ref::owned(ffi::PyType_FromSpec(&raw mut spec)) }
}

/// The body of one request, as long as the request runs.
pub(super) enum Source<'b> {
    /// It lies in memory; empty if there is none.
    Inline(&'b [u8]),
    /// It lies in a file.
    File(Mapping),
}

/// A file in memory, until dropped.
pub(super) struct Mapping {
    start: *const u8,
    length: usize,
}

impl Source<'_> {
    fn span(&self) -> (*const u8, usize) {
        match self {
            Self::Inline(bytes) => (bytes.as_ptr(), bytes.len()),
            Self::File(mapping) => (mapping.start, mapping.length),
        }
    }
}

impl Mapping {
    /// The first `length` bytes, more than 0, of a file that must not become shorter. Its pages
    /// are read when they are used.
    pub(super) fn new(file: &OwnedFd, length: u64) -> io::Result<Self> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        // SAFETY: all-zero is a valid stat, and the call fills it.
        let size = unsafe {
            let mut stat: libc::stat = std::mem::zeroed();
            if libc::fstat(file.as_raw_fd(), &raw mut stat) != 0 {
                return Err(io::Error::last_os_error());
            }
            stat.st_size
        };
        if u64::try_from(size).map_err(io::Error::other)? < length as u64 {
            return Err(io::Error::other(
                "the file of the request body is too short",
            ));
        }
        // SAFETY: a new mapping, which nothing else knows; its length is checked above.
        let start = unsafe {
            let (read, private) = (libc::PROT_READ, libc::MAP_PRIVATE);
            libc::mmap(ptr::null_mut(), length, read, private, file.as_raw_fd(), 0)
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the mapping made above; a refused advice changes nothing.
        unsafe { libc::madvise(start, length, libc::MADV_SEQUENTIAL) };
        Ok(Self {
            start: start.cast(),
            length,
        })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and every `Input` on it has been detached.
        unsafe { libc::munmap(self.start.cast_mut().cast(), self.length) };
    }
}

/// A `wsgi.input` object of a thread.
pub(super) struct Input(Ref);

impl Input {
    /// A new object of `kind`, which [`new_type`] made.
    pub(super) fn new(kind: &Ref) -> PyResult<Self> {
        // SAFETY: `kind` is a type; the allocator gives a zeroed object, which reads as ended.
        unsafe { Ref::owned(ffi::PyType_GenericAlloc(kind.as_ptr().cast(), 0)).map(Self) }
    }

    /// The object to put into the environ.
    pub(super) fn object(&self) -> &Ref {
        &self.0
    }

    /// Nobody has kept the object, it can serve again.
    pub(super) fn is_free(&self) -> bool {
        self.0.is_only()
    }

    /// Starts to read from `source`; [`Input::detach`] must come before `source` is dropped.
    pub(super) fn attach(&self, source: &Source<'_>) {
        let fields = self.fields();
        let (start, length) = source.span();
        fields.start.set(start);
        fields.length.set(length);
        fields.position.set(0);
        fields.live.set(true);
    }

    /// The request is over: any further use raises.
    pub(super) fn detach(&self) {
        self.fields().live.set(false);
    }

    fn fields(&self) -> &InputObject {
        // SAFETY: the object is of our type and alive; its fields are cells under the GIL.
        unsafe { &*self.0.as_ptr().cast::<InputObject>() }
    }
}

impl InputObject {
    /// The bytes not yet read.
    fn rest(&self) -> PyResult<&[u8]> {
        if !self.live.get() {
            let message = "wsgi.input was used after its request had ended";
            return Err(raise(Kind::Value, message));
        }
        // SAFETY: a live object has a source of this length, and no position is past its end.
        unsafe {
            let position = self.position.get();
            let start = self.start.get().add(position);
            Ok(std::slice::from_raw_parts(
                start,
                self.length.get() - position,
            ))
        }
    }

    fn read(&self, size: Option<usize>) -> PyResult<Ref> {
        let rest = self.rest()?;
        let part = size.and_then(|size| rest.get(..size)).unwrap_or(rest);
        let bytes = Ref::bytes(part)?;
        self.position.set(self.position.get() + part.len());
        Ok(bytes)
    }

    fn readline(&self, size: Option<usize>) -> PyResult<Ref> {
        let rest = self.rest()?;
        let part = size.and_then(|size| rest.get(..size)).unwrap_or(rest);
        let line = line_length(part);
        self.read(Some(line))
    }

    fn readlines(&self, hint: Option<usize>) -> PyResult<Ref> {
        let lines = Ref::list()?;
        let first = self.position.get();
        while !self.rest()?.is_empty() {
            lines.push(&self.readline(None)?)?;
            if hint.is_some_and(|hint| hint > 0 && self.position.get() - first >= hint) {
                break;
            }
        }
        Ok(lines)
    }
}

/// Bytes up to and with the first line feed, or all.
fn line_length(bytes: &[u8]) -> usize {
    if bytes.is_empty() {
        return 0;
    }
    // SAFETY: pointer and length are of one slice; the result is null or points into it.
    unsafe {
        let start: *const c_void = bytes.as_ptr().cast();
        let found = libc::memchr(start, c_int::from(b'\n'), bytes.len());
        if found.is_null() {
            bytes.len()
        } else {
            found.offset_from(start) as usize + 1
        }
    }
}

/// The one optional argument: none, `None` and negative numbers mean "no limit".
///
/// # Safety
/// `arguments` are `count` live objects. GIL held.
unsafe fn limit(
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> PyResult<Option<usize>> {
    if count > 1 {
        return Err(raise(
            Kind::Type,
            &format!("expected at most 1 argument, got {count}"),
        ));
    }
    if count < 1 {
        return Ok(None);
    }
    // SAFETY: by contract there is one.
    let argument = unsafe { Ref::borrowed(*arguments)? };
    if argument.is_none() {
        Ok(None)
    } else {
        Ok(usize::try_from(argument.integer()?).ok())
    }
}

/// # Safety
/// `this` is an [`InputObject`], which Python has checked. GIL held, as for all below.
unsafe fn call(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    method: fn(&InputObject, Option<usize>) -> PyResult<Ref>,
) -> *mut ffi::PyObject {
    // SAFETY: the object is alive while Python runs its method.
    unsafe {
        let result =
            limit(arguments, count).and_then(|limit| method(&*this.cast::<InputObject>(), limit));
        result.map_or(ptr::null_mut(), Ref::into_ptr)
    }
}

unsafe extern "C" fn read(
    this: *mut ffi::PyObject,
    arguments: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: Python calls with its own arguments.
    unsafe { call(this, arguments, count, InputObject::read) }
}

unsafe extern "C" fn readline(
    this: *mut ffi::PyObject,
    arguments: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: Python calls with its own arguments.
    unsafe { call(this, arguments, count, InputObject::readline) }
}

unsafe extern "C" fn readlines(
    this: *mut ffi::PyObject,
    arguments: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: Python calls with its own arguments.
    unsafe { call(this, arguments, count, InputObject::readlines) }
}

unsafe extern "C" fn next_line(this: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: as in `call`; null without an exception ends the iteration.
    let input = unsafe { &*this.cast::<InputObject>() };
    match input.rest() {
        Ok([]) | Err(Raised) => ptr::null_mut(),
        Ok(_) => input.readline(None).map_or(ptr::null_mut(), Ref::into_ptr),
    }
}
