//! The control messages between the supervisor and a worker, and the text that starts a worker.
//!
//! The supervisor side is `quaich-app`, the worker side `quaich-worker`. Both sides are the same
//! build of quaich; a message that does not decode means that they are not, so nothing here
//! guesses, defaults or skips. Requests never travel this way.
//!
//! One message is one packet of a `SOCK_SEQPACKET` socket: a kind byte, then fields in a fixed
//! order; integers are little-endian, texts have a 32-bit length before them.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The descriptor number of the control socket in a worker process.
pub const CONTROL_FD: i32 = 3;

/// The environment variable that names the worker library, an absolute path.
pub const LIBRARY_VARIABLE: &str = "QUAICH_WORKER_LIB";

/// Longest packet either side sends; longer texts are cut by [`FromWorker::encode`].
pub const MAX_PACKET: usize = 128 * 1024;

/// The text for `PYTHON -c`: loads the library named by [`LIBRARY_VARIABLE`] and runs its `main`.
///
/// It parses in every Python since 2.7, so that an interpreter that is too old can say so.
pub const BOOTSTRAP: &str = "\
import os, sys
if sys.version_info < (3, 10):
    sys.exit('quaich needs Python 3.10 or newer, this is %s' % sys.version.split()[0])
if sys.implementation.name != 'cpython' or 't' in sys.abiflags:
    sys.exit('quaich needs CPython with its GIL, this is %s' % sys.version)
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from importlib.util import module_from_spec
path = os.environ.pop('QUAICH_WORKER_LIB')
loader = ExtensionFileLoader('quaich_worker', path)
module = module_from_spec(ModuleSpec('quaich_worker', loader, origin=path))
loader.exec_module(module)
sys.modules['quaich_worker'] = module
sys.exit(module.main())
";

/// What a worker imports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A module on the import path.
    Module {
        /// Dotted name.
        name: String,
        /// Attribute, dots allowed; none = `application`, then `app`.
        callable: Option<String>,
    },
    /// A `.py` file; its folder becomes part of the import path.
    File {
        /// Absolute path.
        path: PathBuf,
        /// As for a module.
        callable: Option<String>,
    },
}

/// Everything a worker must know before it can import the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The app's name in the configuration.
    pub app: String,
    /// What to import.
    pub target: Target,
    /// Call the object once, without arguments, to get the application.
    pub factory: bool,
    /// Working directory, put first on `sys.path`.
    pub dir: PathBuf,
    /// Threads that run requests, at least 1.
    pub threads: u32,
    /// The app has more than one worker: `wsgi.multiprocess`.
    pub multiprocess: bool,
    /// Requests after which the worker says [`FromWorker::Retiring`]; 0 = never.
    pub max_requests: u64,
}

/// Supervisor to worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToWorker {
    /// The first message.
    Start(Start),
    /// A front to take requests from, also sent when a new front replaces a dead one. Carries, in
    /// this order: the region, one eventfd per front thread, one eventfd per worker thread, one
    /// socket per front thread.
    Attach {
        /// The worker's id in this region, from `Layout::next_worker_id`.
        worker: u32,
        /// Front threads.
        fronts: u32,
    },
    /// Leave. Graceful: after the running requests; else at once.
    Stop {
        /// Let running requests end.
        graceful: bool,
    },
    /// Write the Python stack of every thread to stderr, at once and without the GIL.
    DumpStacks,
}

/// Why an app could not be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FailureKind {
    /// The module was not found, or raised while it was imported.
    Import = 0,
    /// The module has no such attribute.
    Callable = 1,
    /// The factory raised.
    Factory = 2,
    /// The object cannot be called with `(environ, start_response)`.
    NotWsgi = 3,
    /// The object is an ASGI application.
    Asgi = 4,
    /// The worker itself could not be set up (working directory, threads, channel).
    Setup = 5,
}

/// An app could not be loaded: everything a person needs to see why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// What went wrong.
    pub kind: FailureKind,
    /// One sentence.
    pub message: String,
    /// The Python traceback with the user's frames only, or empty.
    pub traceback: String,
    /// `sys.executable`.
    pub python: String,
    /// `3.12.1`.
    pub version: String,
    /// The working directory.
    pub dir: String,
    /// `sys.path`.
    pub path: Vec<String>,
}

/// Worker to supervisor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromWorker {
    /// The app is loaded.
    Ready {
        /// `CPython 3.12.1`.
        python: String,
        /// What was taken, as `module:callable`.
        callable: String,
    },
    /// The app cannot be loaded; the worker exits.
    Failed(Failed),
    /// `max_requests` is reached. The worker goes on serving until it is told to stop, so that a
    /// successor can be started first.
    Retiring {
        /// Requests served.
        requests: u64,
    },
    /// The worker is about to exit by itself or because it was told to.
    Bye {
        /// Requests served.
        requests: u64,
        /// Why, e.g. `the application raised SystemExit`; empty after a [`ToWorker::Stop`].
        reason: String,
    },
}

/// A packet that is not a message of this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl ToWorker {
    /// One packet.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        match self {
            Self::Start(start) => {
                out.push(b'S');
                put_start(&mut out, start);
            }
            Self::Attach { worker, fronts } => {
                out.push(b'A');
                put_u32(&mut out, *worker);
                put_u32(&mut out, *fronts);
            }
            Self::Stop { graceful } => out.extend([b'X', u8::from(*graceful)]),
            Self::DumpStacks => out.push(b'D'),
        }
        out
    }

    /// The message of one packet.
    pub fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields(packet);
        let message = match fields.u8()? {
            b'S' => Self::Start(take_start(&mut fields)?),
            b'A' => Self::Attach {
                worker: fields.u32()?,
                fronts: fields.u32()?,
            },
            b'X' => Self::Stop {
                graceful: fields.bool()?,
            },
            b'D' => Self::DumpStacks,
            _ => return Err(Malformed),
        };
        fields.end().map(|()| message)
    }
}

impl FromWorker {
    /// One packet of at most [`MAX_PACKET`] bytes; a longer traceback loses its middle.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        match self {
            Self::Ready { python, callable } => {
                out.push(b'R');
                put_text(&mut out, python);
                put_text(&mut out, callable);
            }
            Self::Failed(failed) => {
                out.push(b'F');
                put_failed(&mut out, failed);
            }
            Self::Retiring { requests } => {
                out.push(b'M');
                put_u64(&mut out, *requests);
            }
            Self::Bye { requests, reason } => {
                out.push(b'B');
                put_u64(&mut out, *requests);
                put_text(&mut out, &shortened(reason, 4096));
            }
        }
        out
    }

    /// The message of one packet. Texts are UTF-8; what is not was not sent by this build.
    pub fn decode(packet: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields(packet);
        let message = match fields.u8()? {
            b'R' => Self::Ready {
                python: fields.text()?,
                callable: fields.text()?,
            },
            b'F' => Self::Failed(take_failed(&mut fields)?),
            b'M' => Self::Retiring {
                requests: fields.u64()?,
            },
            b'B' => Self::Bye {
                requests: fields.u64()?,
                reason: fields.text()?,
            },
            _ => return Err(Malformed),
        };
        fields.end().map(|()| message)
    }
}

fn put_start(out: &mut Vec<u8>, start: &Start) {
    put_text(out, &start.app);
    let callable = match &start.target {
        Target::Module { name, callable } => {
            out.push(0);
            put_text(out, name);
            callable
        }
        Target::File { path, callable } => {
            out.push(1);
            put_path(out, path);
            callable
        }
    };
    put_text(out, callable.as_deref().unwrap_or(""));
    out.push(u8::from(start.factory));
    put_path(out, &start.dir);
    put_u32(out, start.threads);
    out.push(u8::from(start.multiprocess));
    put_u64(out, start.max_requests);
}

fn take_start(fields: &mut Fields<'_>) -> Result<Start, Malformed> {
    let app = fields.text()?;
    let target = match fields.u8()? {
        0 => Target::Module {
            name: fields.text()?,
            callable: fields.optional_text()?,
        },
        1 => Target::File {
            path: fields.path()?,
            callable: fields.optional_text()?,
        },
        _ => return Err(Malformed),
    };
    Ok(Start {
        app,
        target,
        factory: fields.bool()?,
        dir: fields.path()?,
        threads: fields.u32()?,
        multiprocess: fields.bool()?,
        max_requests: fields.u64()?,
    })
}

fn put_failed(out: &mut Vec<u8>, failed: &Failed) {
    out.push(failed.kind as u8);
    put_text(out, &shortened(&failed.message, 8 * 1024));
    put_text(out, &shortened(&failed.traceback, 64 * 1024));
    put_text(out, &failed.python);
    put_text(out, &failed.version);
    put_text(out, &failed.dir);
    // A path of thousands of entries would not fit the packet and would not be read either.
    let shown = failed.path.len().min(64);
    put_u32(out, shown as u32);
    for entry in failed.path.iter().take(shown) {
        put_text(out, &shortened(entry, 512));
    }
}

fn take_failed(fields: &mut Fields<'_>) -> Result<Failed, Malformed> {
    let kind = match fields.u8()? {
        0 => FailureKind::Import,
        1 => FailureKind::Callable,
        2 => FailureKind::Factory,
        3 => FailureKind::NotWsgi,
        4 => FailureKind::Asgi,
        5 => FailureKind::Setup,
        _ => return Err(Malformed),
    };
    let [message, traceback, python, version, dir] = [
        fields.text()?,
        fields.text()?,
        fields.text()?,
        fields.text()?,
        fields.text()?,
    ];
    let count = fields.u32()?;
    let path = (0..count)
        .map(|_| fields.text())
        .collect::<Result<_, _>>()?;
    Ok(Failed {
        kind,
        message,
        traceback,
        python,
        version,
        dir,
        path,
    })
}

/// Head and tail of a long text: a traceback's first and last frames are the ones that matter.
fn shortened(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let half = limit / 2 - 8;
    let boundary = |at: &usize| text.is_char_boundary(*at);
    let head = (0..=half).rev().find(boundary).unwrap_or(0);
    let tail = (text.len() - half..=text.len())
        .find(boundary)
        .unwrap_or(text.len());
    format!("{}\n[...]\n{}", &text[..head], &text[tail..])
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend(value.to_le_bytes());
}

fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend(value.to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

fn put_path(out: &mut Vec<u8>, path: &Path) {
    put_bytes(out, path.as_os_str().as_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u32(out, bytes.len() as u32);
    out.extend(bytes);
}

/// The rest of a packet.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (field, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(field)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn bool(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    fn text(&mut self) -> Result<String, Malformed> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| Malformed)
    }

    /// None is written as the empty text.
    fn optional_text(&mut self) -> Result<Option<String>, Malformed> {
        self.text().map(|text| (!text.is_empty()).then_some(text))
    }

    fn path(&mut self) -> Result<PathBuf, Malformed> {
        let bytes = self.bytes()?;
        Ok(PathBuf::from(OsString::from_vec(bytes.to_vec())))
    }

    fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Malformed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    use proptest::prelude::*;

    fn start(target: Target) -> ToWorker {
        ToWorker::Start(Start {
            app: "shop".into(),
            target,
            factory: true,
            dir: "/srv/shop".into(),
            threads: 4,
            multiprocess: true,
            max_requests: 1 << 40,
        })
    }

    fn failed(traceback: String) -> FromWorker {
        FromWorker::Failed(Failed {
            kind: FailureKind::Factory,
            message: "create_app() raised KeyError".into(),
            traceback,
            python: "/usr/bin/python3".into(),
            version: "3.12.1".into(),
            dir: "/srv/shop".into(),
            path: vec!["/srv/shop".into(), String::new()],
        })
    }

    #[test]
    fn messages_to_a_worker_survive_the_wire() {
        let path = PathBuf::from(OsStr::from_bytes(b"/srv/\xff.py"));
        for message in [
            start(Target::Module {
                name: "shop.wsgi".into(),
                callable: None,
            }),
            start(Target::File {
                path,
                callable: Some("api.app".into()),
            }),
            ToWorker::Attach {
                worker: 17,
                fronts: 2,
            },
            ToWorker::Stop { graceful: true },
            ToWorker::Stop { graceful: false },
            ToWorker::DumpStacks,
        ] {
            assert_eq!(ToWorker::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn messages_from_a_worker_survive_the_wire() {
        for message in [
            FromWorker::Ready {
                python: "CPython 3.12.1".into(),
                callable: "shop:app".into(),
            },
            failed("Traceback (most recent call last):\n".into()),
            FromWorker::Retiring { requests: 1000 },
            FromWorker::Bye {
                requests: 3,
                reason: String::new(),
            },
        ] {
            assert_eq!(FromWorker::decode(&message.encode()), Ok(message));
        }
    }

    #[test]
    fn a_long_traceback_keeps_both_ends_and_fits_a_packet() {
        let packet = failed(format!("first{}last", "é".repeat(MAX_PACKET))).encode();
        assert!(packet.len() < MAX_PACKET);
        let Ok(FromWorker::Failed(failed)) = FromWorker::decode(&packet) else {
            panic!()
        };
        assert!(
            failed.traceback.starts_with("first"),
            "{}",
            &failed.traceback[..20]
        );
        assert!(failed.traceback.ends_with("last"));
    }

    #[test]
    fn a_packet_cut_short_or_with_more_behind_it_is_refused() {
        let whole = failed("Traceback".into()).encode();
        for length in 0..whole.len() {
            assert_eq!(FromWorker::decode(&whole[..length]), Err(Malformed));
        }
        let more = [whole.as_slice(), b"\0"].concat();
        assert_eq!(FromWorker::decode(&more), Err(Malformed));
    }

    proptest! {
        #[test]
        fn no_packet_makes_the_decoders_panic(packet: Vec<u8>) {
            for kind in *b"SAXDRFMB" {
                let packet = [&[kind], packet.as_slice()].concat();
                let _ = ToWorker::decode(&packet);
                let _ = FromWorker::decode(&packet);
            }
        }
    }
}
