//! The one place that holds Python references: owned, counted, and usable only under the GIL.
//!
//! Everything in this crate that touches Python goes through [`Ref`]. `Ref` is neither `Send` nor
//! `Sync`, and the GIL is released nowhere but in [`released`], whose closure must be `Send`: so
//! code that holds no GIL cannot hold a `Ref` either. Nothing here may call back into the request.
#![allow(unsafe_code)]

mod raised;

use std::ffi::{CStr, c_int};
use std::ptr::{self, NonNull};

use pyo3_ffi as ffi;
pub(crate) use raised::{
    Kind, asks_to_exit, clear_raised, is_aborted, raise, raise_again, take_raised,
};

/// A Python exception is set in the current thread. Who drops this value without handing it on
/// to Python takes the exception out with [`take_raised`].
#[derive(Debug)]
pub(crate) struct Raised;

/// What a Python operation gave, or the fact that it raised.
pub(crate) type PyResult<T> = Result<T, Raised>;

/// An owned reference to a Python object.
pub(crate) struct Ref(NonNull<ffi::PyObject>);

impl Ref {
    /// Takes over a new reference; null means that Python raised.
    ///
    /// # Safety
    /// `pointer` is a reference that the caller owns, or null with an exception set. GIL held.
    pub(crate) unsafe fn owned(pointer: *mut ffi::PyObject) -> PyResult<Self> {
        NonNull::new(pointer).map(Self).ok_or(Raised)
    }

    /// Counts one more reference to a borrowed object; null means that Python raised.
    ///
    /// # Safety
    /// `pointer` is a live object or null with an exception set. GIL held.
    pub(crate) unsafe fn borrowed(pointer: *mut ffi::PyObject) -> PyResult<Self> {
        // SAFETY: by contract the object is alive or the pointer null.
        unsafe { ffi::Py_XINCREF(pointer) };
        NonNull::new(pointer).map(Self).ok_or(Raised)
    }

    /// The pointer; the reference stays with `self`.
    pub(crate) fn as_ptr(&self) -> *mut ffi::PyObject {
        self.0.as_ptr()
    }

    /// The pointer with its reference, to hand to Python.
    pub(crate) fn into_ptr(self) -> *mut ffi::PyObject {
        let pointer = self.0.as_ptr();
        std::mem::forget(self);
        pointer
    }

    /// `None`.
    pub(crate) fn none() -> Self {
        // SAFETY: None lives as long as the interpreter.
        unsafe { Self::immortal(ffi::Py_None()) }
    }

    /// `True` or `False`.
    pub(crate) fn bool(value: bool) -> Self {
        // SAFETY: both live as long as the interpreter.
        unsafe {
            Self::immortal(if value {
                ffi::Py_True()
            } else {
                ffi::Py_False()
            })
        }
    }

    /// # Safety
    /// `pointer` is a live object. GIL held.
    unsafe fn immortal(pointer: *mut ffi::PyObject) -> Self {
        // SAFETY: by contract alive, so not null.
        unsafe {
            ffi::Py_INCREF(pointer);
            Self(NonNull::new_unchecked(pointer))
        }
    }

    /// A str of Rust text.
    pub(crate) fn str(text: &str) -> PyResult<Self> {
        // SAFETY: pointer and length are of one live text.
        unsafe {
            Self::owned(ffi::PyUnicode_FromStringAndSize(
                text.as_ptr().cast(),
                text.len() as isize,
            ))
        }
    }

    /// An interned str: dict look-ups with it compare by pointer.
    pub(crate) fn interned(text: &str) -> PyResult<Self> {
        let mut pointer = Self::str(text)?.into_ptr();
        // SAFETY: `pointer` is an owned str; interning swaps it for an owned equal one.
        unsafe {
            ffi::PyUnicode_InternInPlace(&raw mut pointer);
            Self::owned(pointer)
        }
    }

    /// A str with one character for each byte.
    pub(crate) fn latin1(bytes: &[u8]) -> PyResult<Self> {
        // SAFETY: pointer and length are of one live slice.
        unsafe {
            Self::owned(ffi::PyUnicode_DecodeLatin1(
                bytes.as_ptr().cast(),
                bytes.len() as isize,
                ptr::null(),
            ))
        }
    }

    /// A bytes object.
    pub(crate) fn bytes(bytes: &[u8]) -> PyResult<Self> {
        // SAFETY: pointer and length are of one live slice.
        unsafe {
            Self::owned(ffi::PyBytes_FromStringAndSize(
                bytes.as_ptr().cast(),
                bytes.len() as isize,
            ))
        }
    }

    /// A new empty dict.
    pub(crate) fn dict() -> PyResult<Self> {
        // SAFETY: GIL held.
        unsafe { Self::owned(ffi::PyDict_New()) }
    }

    /// An int.
    pub(crate) fn int(value: i64) -> PyResult<Self> {
        // SAFETY: GIL held.
        unsafe { Self::owned(ffi::PyLong_FromLongLong(value)) }
    }

    /// A tuple of two ints.
    pub(crate) fn pair(first: i64, second: i64) -> PyResult<Self> {
        let [first, second] = [Self::int(first)?, Self::int(second)?];
        // SAFETY: two live objects for two places; the tuple counts its own references.
        unsafe { Self::owned(ffi::PyTuple_Pack(2, first.as_ptr(), second.as_ptr())) }
    }

    /// `list(self)`.
    pub(crate) fn to_list(&self) -> PyResult<Self> {
        // SAFETY: live object.
        unsafe { Self::owned(ffi::PySequence_List(self.as_ptr())) }
    }

    /// A new empty list.
    pub(crate) fn list() -> PyResult<Self> {
        // SAFETY: GIL held.
        unsafe { Self::owned(ffi::PyList_New(0)) }
    }

    /// Appends to a list.
    pub(crate) fn push(&self, item: &Ref) -> PyResult<()> {
        // SAFETY: both are live objects; Python checks the type.
        check(unsafe { ffi::PyList_Append(self.as_ptr(), item.as_ptr()) })
    }

    /// Whether the object's type is exactly `kind`.
    pub(crate) fn is_exactly(&self, kind: *mut ffi::PyTypeObject) -> bool {
        // SAFETY: the object is alive.
        unsafe { ffi::Py_TYPE(self.as_ptr()) == kind }
    }

    /// The object's type, for [`Ref::is_exactly`]; alive as long as some object of the type is.
    pub(crate) fn type_pointer(&self) -> *mut ffi::PyTypeObject {
        // SAFETY: the object is alive.
        unsafe { ffi::Py_TYPE(self.as_ptr()) }
    }

    /// Whether this is `None`.
    pub(crate) fn is_none(&self) -> bool {
        // SAFETY: None is always alive.
        ptr::eq(self.as_ptr(), unsafe { ffi::Py_None() })
    }

    /// The type's name, for messages.
    pub(crate) fn type_name(&self) -> String {
        // SAFETY: the object and so its type are alive.
        let kind = unsafe { Self::immortal(ffi::Py_TYPE(self.as_ptr()).cast()) };
        let name = kind.attr(c"__name__").ok();
        let text = name.and_then(|name| name.text().ok().map(str::to_owned));
        text.unwrap_or_else(|| {
            clear_raised();
            "object".to_owned()
        })
    }

    /// An attribute.
    pub(crate) fn attr(&self, name: &CStr) -> PyResult<Self> {
        // SAFETY: live object, NUL-terminated name.
        unsafe { Self::owned(ffi::PyObject_GetAttrString(self.as_ptr(), name.as_ptr())) }
    }

    /// An attribute, or none if there is no such attribute.
    pub(crate) fn optional_attr(&self, name: &Ref) -> PyResult<Option<Self>> {
        // SAFETY: live objects; the exception is looked at only when one is set.
        unsafe {
            match Self::owned(ffi::PyObject_GetAttr(self.as_ptr(), name.as_ptr())) {
                Ok(value) => Ok(Some(value)),
                Err(Raised) if ffi::PyErr_ExceptionMatches(ffi::PyExc_AttributeError) != 0 => {
                    ffi::PyErr_Clear();
                    Ok(None)
                }
                Err(Raised) => Err(Raised),
            }
        }
    }

    /// Calls without arguments.
    pub(crate) fn call0(&self) -> PyResult<Self> {
        // SAFETY: live object.
        unsafe { Self::owned(ffi::PyObject_CallNoArgs(self.as_ptr())) }
    }

    /// Calls with one argument.
    pub(crate) fn call1(&self, first: &Ref) -> PyResult<Self> {
        let end = ptr::null_mut::<ffi::PyObject>();
        // SAFETY: live objects, closed by a null.
        unsafe {
            Self::owned(ffi::PyObject_CallFunctionObjArgs(
                self.as_ptr(),
                first.as_ptr(),
                end,
            ))
        }
    }

    /// Calls with two arguments.
    pub(crate) fn call2(&self, first: &Ref, second: &Ref) -> PyResult<Self> {
        let end = ptr::null_mut::<ffi::PyObject>();
        // SAFETY: live objects, closed by a null.
        unsafe {
            Self::owned(ffi::PyObject_CallFunctionObjArgs(
                self.as_ptr(),
                first.as_ptr(),
                second.as_ptr(),
                end,
            ))
        }
    }

    /// `iter(self)`.
    pub(crate) fn iter(&self) -> PyResult<Self> {
        // SAFETY: live object.
        unsafe { Self::owned(ffi::PyObject_GetIter(self.as_ptr())) }
    }

    /// The next item of an iterator, none at its end.
    pub(crate) fn next(&self) -> PyResult<Option<Self>> {
        // SAFETY: live iterator; a null without an exception is the end.
        unsafe {
            match Self::owned(ffi::PyIter_Next(self.as_ptr())) {
                Ok(item) => Ok(Some(item)),
                Err(Raised) if ffi::PyErr_Occurred().is_null() => Ok(None),
                Err(Raised) => Err(Raised),
            }
        }
    }

    /// The UTF-8 text of a str; raises for any other type. No copy for ASCII.
    pub(crate) fn text(&self) -> PyResult<&str> {
        let mut length = 0;
        // SAFETY: live object; the text lives as long as the str, which `self` keeps alive, and
        // CPython's own encoder wrote it.
        unsafe {
            let text = ffi::PyUnicode_AsUTF8AndSize(self.as_ptr(), &raw mut length);
            if text.is_null() {
                return Err(Raised);
            }
            let bytes = std::slice::from_raw_parts(text.cast::<u8>(), length as usize);
            Ok(std::str::from_utf8_unchecked(bytes))
        }
    }

    /// The content of a bytes object (or of a subclass); none for any other type.
    pub(crate) fn as_bytes(&self) -> Option<&[u8]> {
        // SAFETY: live object; the content is immutable and lives as long as the object.
        unsafe {
            if ffi::PyBytes_Check(self.as_ptr()) == 0 {
                return None;
            }
            let start = ffi::PyBytes_AsString(self.as_ptr()).cast::<u8>();
            let length = ffi::PyBytes_Size(self.as_ptr());
            Some(std::slice::from_raw_parts(start, length as usize))
        }
    }

    /// The value of an int; raises for other types and values that do not fit.
    pub(crate) fn integer(&self) -> PyResult<i64> {
        // SAFETY: live object.
        let value = unsafe { ffi::PyLong_AsLongLong(self.as_ptr()) };
        // SAFETY: GIL held.
        if value == -1 && !unsafe { ffi::PyErr_Occurred() }.is_null() {
            return Err(Raised);
        }
        Ok(value)
    }

    /// Items of a list or tuple (or a subclass); none for any other type.
    pub(crate) fn sequence_len(&self) -> Option<usize> {
        // SAFETY: live object, sizes are asked of the type that was checked.
        unsafe {
            if ffi::PyList_Check(self.as_ptr()) != 0 {
                return usize::try_from(ffi::PyList_Size(self.as_ptr())).ok();
            }
            if ffi::PyTuple_Check(self.as_ptr()) != 0 {
                return usize::try_from(ffi::PyTuple_Size(self.as_ptr())).ok();
            }
            None
        }
    }

    /// Item `index` of a list or tuple; none when it is neither or has become shorter.
    pub(crate) fn item(&self, index: usize) -> Option<Self> {
        // SAFETY: live object; both getters check the bounds and give borrowed references.
        unsafe {
            let item = if ffi::PyList_Check(self.as_ptr()) != 0 {
                ffi::PyList_GetItem(self.as_ptr(), index as isize)
            } else if ffi::PyTuple_Check(self.as_ptr()) != 0 {
                ffi::PyTuple_GetItem(self.as_ptr(), index as isize)
            } else {
                return None;
            };
            Self::borrowed(item)
                .inspect_err(|_| ffi::PyErr_Clear())
                .ok()
        }
    }

    /// `self[key] = value` of a dict.
    pub(crate) fn set(&self, key: &Ref, value: &Ref) -> PyResult<()> {
        // SAFETY: live objects; Python checks the type of `self`.
        check(unsafe { ffi::PyDict_SetItem(self.as_ptr(), key.as_ptr(), value.as_ptr()) })
    }

    /// `del self[key]` of a dict.
    pub(crate) fn remove(&self, key: &Ref) -> PyResult<()> {
        // SAFETY: live objects; Python checks the type of `self`.
        check(unsafe { ffi::PyDict_DelItem(self.as_ptr(), key.as_ptr()) })
    }

    /// `self.get(key)` of a dict.
    pub(crate) fn get(&self, key: &Ref) -> PyResult<Option<Self>> {
        // SAFETY: live objects; the item is borrowed from the dict and counted at once.
        unsafe {
            match Self::borrowed(ffi::PyDict_GetItemWithError(self.as_ptr(), key.as_ptr())) {
                Ok(value) => Ok(Some(value)),
                Err(Raised) if ffi::PyErr_Occurred().is_null() => Ok(None),
                Err(Raised) => Err(Raised),
            }
        }
    }

    /// A shallow copy of a dict.
    pub(crate) fn copied(&self) -> PyResult<Self> {
        // SAFETY: live object; Python checks the type.
        unsafe { Self::owned(ffi::PyDict_Copy(self.as_ptr())) }
    }

    /// Nobody but `self` refers to the object.
    pub(crate) fn is_only(&self) -> bool {
        // SAFETY: live object. Newer versions keep flags in the upper half of the field.
        unsafe { ffi::Py_REFCNT(self.as_ptr()) as u32 == 1 }
    }
}

impl Clone for Ref {
    fn clone(&self) -> Self {
        // SAFETY: `self` keeps the object alive.
        unsafe { Self::immortal(self.as_ptr()) }
    }
}

impl Drop for Ref {
    fn drop(&mut self) {
        // SAFETY: the reference is ours; a `Ref` exists only where the GIL is held.
        unsafe { ffi::Py_DECREF(self.as_ptr()) }
    }
}

/// A status of the C API: negative = raised.
pub(crate) fn check(status: c_int) -> PyResult<()> {
    if status < 0 { Err(Raised) } else { Ok(()) }
}

/// Runs `work` without the GIL. `Send` keeps every [`Ref`] out of it.
pub(crate) fn released<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    // SAFETY: no `Ref` is `Send`.
    unsafe { released_here(work) }
}

/// [`released`] for work that is bound to its thread.
///
/// # Safety
/// `work` must not use Python, in particular no [`Ref`].
pub(crate) unsafe fn released_here<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: the GIL is held by this thread, and taken again before anything of Python is used.
    let state = unsafe { ffi::PyEval_SaveThread() };
    let value = work();
    // SAFETY: `state` is this thread's own.
    unsafe { ffi::PyEval_RestoreThread(state) };
    value
}

/// The function table of a built-in function or method, for a `static`.
#[repr(transparent)]
pub(crate) struct Methods<const N: usize>(pub(crate) [ffi::PyMethodDef; N]);

// SAFETY: Python only reads these tables.
unsafe impl<const N: usize> Sync for Methods<N> {}

impl<const N: usize> Methods<N> {
    /// For the C API, which asks for `*mut` and never writes.
    pub(crate) const fn as_ptr(&self) -> *mut ffi::PyMethodDef {
        self.0.as_ptr().cast_mut()
    }
}
