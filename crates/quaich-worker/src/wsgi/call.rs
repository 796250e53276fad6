//! One request from claim to close: the step table of a worker.
//!
//! 1. the body is made readable  2. environ  3. the application is called  4. its iterable is sent
//! 5. the iterable is closed, always  6. the functions of the request are cut off.
//!
//! Every exception of the application ends here: it is logged once with its traceback, and the
//! call fails, which the front turns into a 500 or a cut connection.
#![allow(unsafe_code)]

use std::io;

use quaich_proto::worker::frame::ErrorKind;
use quaich_proto::worker::message::{Body, Malformed};

use super::input::{Input, Mapping, Source};
use super::iterate::{self, Stop};
use super::outbound::{Buffers, Outbound};
use super::start_response::{Exchange, Functions};
use super::{App, Tools};
use crate::channel::Call;
use crate::environ::Environ;
use crate::log;
use crate::python::{
    Kind, PyResult, Raised, Ref, asks_to_exit, clear_raised, is_aborted, raise, released_here,
    take_raised,
};

/// Whether the thread may take another request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Yes.
    Next,
    /// The application has asked the process to end (`SystemExit`, `KeyboardInterrupt`).
    Leave,
}

/// A thread's own objects: everything that can be used again from request to request.
pub(crate) struct Seat {
    callable: Ref,
    log_exception: Ref,
    environ: Environ,
    tools: Tools,
    functions: Functions,
    input: Input,
    buffers: Buffers,
    body: Vec<u8>,
}

impl Seat {
    /// Makes the objects of one thread.
    pub(crate) fn new(app: &App) -> PyResult<Self> {
        let tools = Tools::new(app)?;
        Ok(Self {
            callable: app.callable.clone(),
            log_exception: app.log_exception.clone(),
            environ: Environ::new(&app.constants)?,
            functions: Functions::new(&tools.exchange_type)?,
            input: Input::new(&tools.input_type)?,
            tools,
            buffers: Buffers::default(),
            body: Vec::new(),
        })
    }

    /// Serves one request; the call has ended, well or badly, when this returns.
    pub(crate) fn serve(&mut self, mut call: Call) -> Verdict {
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        let verdict = match source(&mut call, &mut body) {
            Ok(source) => self.serve_from(call, &source),
            Err(error) => {
                let text = format!("the request cannot be read: {error}");
                log::line(&text);
                call.fail(ErrorKind::Worker, &text);
                Verdict::Next
            }
        };
        self.body = body;
        match self.renew() {
            Ok(()) => verdict,
            Err(Raised) => {
                clear_raised();
                Verdict::Leave
            }
        }
    }

    fn serve_from(&mut self, call: Call, source: &Source<'_>) -> Verdict {
        self.input.attach(source);
        let mut buffers = std::mem::take(&mut self.buffers);
        let (environ, is_head) = match call.request() {
            Ok(request) => {
                buffers.set_name(request.meta.method, request.meta.raw_target);
                let environ = self.environ.build(&request, self.input.object());
                (environ, request.meta.method == b"HEAD")
            }
            Err(Malformed) => (Err(raise(Kind::Runtime, "malformed request")), false),
        };
        let exchange = Exchange::new(Outbound::new(call, buffers, is_head));
        self.functions.attach(&exchange);
        let verdict = match environ {
            Ok(environ) => self.run(&environ, &exchange),
            Err(Raised) => self.raised(&exchange),
        };
        self.functions.detach();
        self.input.detach();
        self.buffers = exchange.into_inner().into_buffers();
        verdict
    }

    fn run(&self, environ: &Ref, exchange: &Exchange) -> Verdict {
        let result = match self
            .callable
            .call2(environ, self.functions.start_response())
        {
            Ok(result) => result,
            Err(Raised) => return self.raised(exchange),
        };
        let verdict = match iterate::send_all(&self.tools, &result, exchange) {
            Ok(()) | Err(Stop::Gone) => Verdict::Next,
            Err(Stop::Raised) => self.raised(exchange),
        };
        match self.close(&result) {
            Ok(()) => verdict,
            Err(Raised) if self.raised(exchange) == Verdict::Leave => Verdict::Leave,
            Err(Raised) => verdict,
        }
    }

    /// `result.close()`, if there is one.
    fn close(&self, result: &Ref) -> PyResult<()> {
        if result.is_exactly(self.tools.list) || result.is_exactly(self.tools.tuple) {
            return Ok(());
        }
        match result.optional_attr(&self.tools.close)? {
            Some(close) => close.call0().map(drop),
            None => Ok(()),
        }
    }

    /// Logs the exception that is set and fails the call if it is not over.
    fn raised(&self, exchange: &Exchange) -> Verdict {
        let Some(exception) = take_raised() else {
            return Verdict::Next;
        };
        let (name, gone) = {
            let mut response = exchange.borrow_mut();
            (response.name(), response.is_gone())
        };
        // An application that passes our own "the client has left" on has done nothing wrong.
        if !(gone && is_aborted(&exception)) {
            let logged =
                Ref::str(&name).and_then(|name| self.log_exception.call2(&exception, &name));
            if logged.is_err() {
                clear_raised();
                log::line(&format!(
                    "{name}: the application raised {}",
                    exception.type_name()
                ));
            }
        }
        exchange.borrow_mut().fail(&exception.type_name());
        if asks_to_exit(&exception) {
            Verdict::Leave
        } else {
            Verdict::Next
        }
    }

    /// Replaces what the application has kept.
    fn renew(&mut self) -> PyResult<()> {
        if !self.functions.are_free() {
            self.functions = Functions::new(&self.tools.exchange_type)?;
        }
        if !self.input.is_free() {
            self.input = Input::new(&self.tools.input_type)?;
        }
        Ok(())
    }
}

/// The body, copied to `buffer` if it is small: the application may read it after its response
/// is complete, when the call and its memory are gone.
fn source<'b>(call: &mut Call, buffer: &'b mut Vec<u8>) -> io::Result<Source<'b>> {
    let request = call
        .request()
        .map_err(|Malformed| io::ErrorKind::InvalidData)?;
    let length = match request.meta.body {
        Body::None | Body::File { len: 0 } => return Ok(Source::Inline(&[])),
        Body::Inline(bytes) => {
            buffer.extend_from_slice(bytes);
            return Ok(Source::Inline(buffer));
        }
        Body::File { len } => len,
    };
    // SAFETY: the channel knows nothing of Python.
    let file = unsafe { released_here(|| call.body_file())? };
    Mapping::new(&file, length).map(Source::File)
}
