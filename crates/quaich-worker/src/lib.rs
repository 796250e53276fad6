//! The worker library: loaded by the user's own Python, it serves the WSGI application there.
//!
//! `quaich_proto::worker::boot::BOOTSTRAP` loads it as the extension module `quaich_worker` and
//! calls `main()`, which returns when the worker is to exit. Nothing of it is for applications.
#![allow(unsafe_code)]

mod boot;
pub mod channel;
mod control;
mod environ;
mod log;
mod python;
mod threads;
mod wsgi;

use std::cell::UnsafeCell;
use std::ptr;

use pyo3_ffi as ffi;

static METHODS: python::Methods<2> = python::Methods([
    ffi::PyMethodDef {
        ml_name: c"main".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer {
            PyCFunction: control::main,
        },
        ml_flags: ffi::METH_NOARGS,
        ml_doc: c"Runs the worker; returns its exit status.".as_ptr(),
    },
    ffi::PyMethodDef::zeroed(),
]);

/// Python writes into the definition: it must lie in writable memory.
struct Module(UnsafeCell<ffi::PyModuleDef>);

// SAFETY: Python guards its own use of the definition with the GIL; we only pass its address.
unsafe impl Sync for Module {}

static MODULE: Module = Module(UnsafeCell::new(ffi::PyModuleDef {
    m_base: ffi::PyModuleDef_HEAD_INIT,
    m_name: c"quaich_worker".as_ptr(),
    m_doc: ptr::null(),
    m_size: 0,
    m_methods: METHODS.as_ptr(),
    m_slots: ptr::null_mut(),
    m_traverse: None,
    m_clear: None,
    m_free: None,
}));

/// Called by Python when it loads the module.
///
/// # Safety
/// For Python only: the GIL is held.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyInit_quaich_worker() -> *mut ffi::PyObject {
    // SAFETY: Python takes the address of a definition that lives for ever.
    unsafe { ffi::PyModuleDef_Init(MODULE.0.get()) }
}
