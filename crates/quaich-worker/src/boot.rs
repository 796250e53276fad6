//! Loads the application into this process: a thin cover over `boot.py`.
//!
//! Called by `control` on the main thread, before any thread of ours runs. What fails here is
//! told to the supervisor in full; nothing is printed.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use pyo3_ffi as ffi;
use quaich_proto::worker::boot::{Failed, FailureKind, Start, Target};

use crate::environ::Constants;
use crate::python::{PyResult, Raised, Ref, check, clear_raised, take_raised};
use crate::wsgi::App;

/// How frames of `boot.py` are called in tracebacks.
const FILE: &str = "<quaich boot>";

/// Makes `faulthandler` write all stacks; sent to the main thread for `DumpStacks`.
pub(crate) fn dump_signal() -> libc::c_int {
    libc::SIGRTMAX() - 1
}

/// The namespace of `boot.py`.
pub(crate) struct Boot(Ref);

impl Boot {
    /// Runs `boot.py`.
    pub(crate) fn new() -> PyResult<Self> {
        let namespace = Ref::dict()?;
        namespace.set(&Ref::interned("__name__")?, &Ref::interned("quaich_boot")?)?;
        namespace.set(&Ref::interned("__file__")?, &Ref::interned(FILE)?)?;
        // SAFETY: the builtins live as long as the interpreter.
        let builtins = unsafe { Ref::borrowed(ffi::PyEval_GetBuiltins())? };
        namespace.set(&Ref::interned("__builtins__")?, &builtins)?;
        // The source is ours and holds no NUL.
        let source = CString::new(include_str!("boot.py")).unwrap_or_default();
        let file = CString::new(FILE).unwrap_or_default();
        // SAFETY: both texts end with a NUL; code and namespace are live objects.
        unsafe {
            let input = ffi::Py_file_input;
            let code = Ref::owned(ffi::Py_CompileString(source.as_ptr(), file.as_ptr(), input))?;
            let namespace_ptr = namespace.as_ptr();
            Ref::owned(ffi::PyEval_EvalCode(
                code.as_ptr(),
                namespace_ptr,
                namespace_ptr,
            ))?;
        }
        Ok(Self(namespace))
    }

    /// A name of `boot.py`.
    pub(crate) fn name(&self, name: &str) -> PyResult<Ref> {
        match self.0.get(&Ref::interned(name)?)? {
            Some(found) => Ok(found),
            None => Err(crate::python::raise(crate::python::Kind::Runtime, name)),
        }
    }

    /// Imports the application; also says what was taken, as `module:callable`.
    pub(crate) fn load(&self, start: &Start) -> PyResult<(App, String)> {
        let directory = path(&start.dir)?;
        let signal = Ref::int(dump_signal().into())?;
        let prepare = self.name("prepare")?;
        prepare.call(&[directory, Ref::str(&start.app)?, signal])?;
        let (target, is_file, callable) = match &start.target {
            Target::Module { name, callable } => (Ref::str(name)?, false, callable),
            Target::File {
                path: file,
                callable,
            } => (path(file)?, true, callable),
        };
        let callable = Ref::str(callable.as_deref().unwrap_or(""))?;
        let (is_file, factory) = (Ref::bool(is_file), Ref::bool(start.factory));
        let loaded = self
            .name("load")?
            .call(&[target, is_file, callable, factory])?;
        let (Some(application), Some(name)) = (loaded.item(0), loaded.item(1)) else {
            return Err(Raised);
        };
        let app = self.app(application, start.threads > 1, start.multiprocess)?;
        Ok((app, name.text()?.to_owned()))
    }

    /// What serving `callable` needs.
    pub(crate) fn app(
        &self,
        callable: Ref,
        multithread: bool,
        multiprocess: bool,
    ) -> PyResult<App> {
        Ok(App {
            callable,
            log_exception: self.name("log_exception")?,
            file_place: self.name("file_place")?,
            constants: Constants {
                errors: self.name("errors")?,
                file_wrapper: self.name("FileWrapper")?,
                multithread,
                multiprocess,
            },
        })
    }

    /// `CPython 3.12.1`.
    pub(crate) fn python_name(&self) -> PyResult<String> {
        Ok(self.name("python_name")?.call0()?.text()?.to_owned())
    }

    /// The exception that [`Boot::load`] left, in the words for the supervisor.
    pub(crate) fn failure(&self) -> Failed {
        let told = take_raised().and_then(|error| self.describe(&error).ok());
        clear_raised();
        told.unwrap_or_else(|| failed(FailureKind::Setup, "the application could not be loaded"))
    }

    fn describe(&self, error: &Ref) -> PyResult<Failed> {
        let told = self.name("failure")?.call1(error)?;
        let (Some(kind), Some(texts)) = (told.item(0), told.item(1)) else {
            return Err(Raised);
        };
        let kind = match kind.integer()? {
            0 => FailureKind::Import,
            1 => FailureKind::Callable,
            2 => FailureKind::Factory,
            3 => FailureKind::NotWsgi,
            4 => FailureKind::Asgi,
            _ => FailureKind::Setup,
        };
        let count = texts.sequence_len().unwrap_or(0);
        let mut texts = (0..count).map(|index| match texts.item(index) {
            Some(text) => text.text().map(str::to_owned),
            None => Err(Raised),
        });
        let mut next = || texts.next().unwrap_or(Err(Raised));
        Ok(Failed {
            kind,
            message: next()?,
            traceback: next()?,
            python: next()?,
            version: next()?,
            dir: next()?,
            path: texts.collect::<PyResult<_>>()?,
        })
    }
}

/// A failure about which Python has nothing to say.
pub(crate) fn failed(kind: FailureKind, message: &str) -> Failed {
    let (python, version, dir) = (String::new(), String::new(), String::new());
    let traceback = String::new();
    Failed {
        kind,
        message: message.to_owned(),
        traceback,
        python,
        version,
        dir,
        path: Vec::new(),
    }
}

/// A path as Python spells it, whatever its bytes.
fn path(path: &Path) -> PyResult<Ref> {
    let bytes = path.as_os_str().as_bytes();
    // SAFETY: pointer and length are of one slice.
    unsafe {
        let length = bytes.len() as isize;
        Ref::owned(ffi::PyUnicode_DecodeFSDefaultAndSize(
            bytes.as_ptr().cast(),
            length,
        ))
    }
}

impl Ref {
    /// Calls with any number of arguments. Not for the path of a request.
    fn call(&self, arguments: &[Ref]) -> PyResult<Ref> {
        // SAFETY: a new tuple takes over one reference for each of its places.
        unsafe {
            let tuple = Ref::owned(ffi::PyTuple_New(arguments.len() as isize))?;
            for (index, argument) in arguments.iter().enumerate() {
                let argument = argument.clone().into_ptr();
                check(ffi::PyTuple_SetItem(
                    tuple.as_ptr(),
                    index as isize,
                    argument,
                ))?;
            }
            Ref::owned(ffi::PyObject_CallObject(self.as_ptr(), tuple.as_ptr()))
        }
    }
}
