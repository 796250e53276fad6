//! The worker's main thread: it says what the supervisor wants to hear and does what it says.
//!
//! `main` is what `BOOTSTRAP` calls. The supervisor's end of the socket closing is the order to
//! be gone; no request is worth outliving it.
#![allow(unsafe_code)]

use std::io::{self, IoSliceMut};
use std::os::fd::{BorrowedFd, OwnedFd};

use pyo3_ffi as ffi;
use quaich_proto::worker::boot::{
    CONTROL_FD, FailureKind, FromWorker, MAX_PACKET, Start, ToWorker,
};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, Shutdown, recvmsg, send,
    shutdown,
};

use crate::boot::{self, Boot};
use crate::channel::{Channel, ChannelFds};
use crate::log;
use crate::python::{PyResult, Ref, released};
use crate::threads::Crew;

/// Most descriptors in one packet: a region, and three for each thread on either side.
const MAX_FDS: usize = 250;

/// Why the conversation with the supervisor has ended.
enum End {
    /// Told to leave, or a thread hung up: running requests end first.
    Graceful,
    /// Told to leave at once.
    Quick,
    /// The supervisor is gone.
    Orphaned,
}

/// `quaich_worker.main()`: runs the worker, returns the exit status.
///
/// # Safety
/// For Python only: the GIL is held.
pub(crate) unsafe extern "C" fn main(
    _: *mut ffi::PyObject,
    _: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    run()
        .and_then(Ref::int)
        .map_or(std::ptr::null_mut(), Ref::into_ptr)
}

fn run() -> PyResult<i64> {
    if let Err(error) = released(prepare) {
        log::line(&format!("the control socket cannot be used: {error}"));
        return Ok(1);
    }
    let start = match released(receive) {
        Ok(Some((ToWorker::Start(start), _))) => start,
        Ok(None) => return Ok(0),
        Ok(Some(_)) => return Ok(protocol_broken("the first message was not Start")),
        Err(error) => return Ok(protocol_broken(&error.to_string())),
    };
    let boot = Boot::new()?;
    let Ok((app, callable)) = boot.load(&start) else {
        let failed = boot.failure();
        released(|| tell(&FromWorker::Failed(failed)));
        return Ok(1);
    };
    let python = boot.python_name()?;
    let crew = Crew::start(&boot, app, start.threads.max(1), start.max_requests)?;
    let end = released(|| {
        tell(&FromWorker::Ready { python, callable });
        converse(crew, &start)
    });
    match end {
        End::Graceful => {
            released(|| {
                crew.stop();
                crew.join();
                tell(&crew.bye());
            });
            // Python's own end follows: atexit handlers, threads of the application.
            Ok(0)
        }
        End::Quick => {
            tell(&crew.bye());
            exit_now(0)
        }
        End::Orphaned => exit_now(1),
    }
}

fn protocol_broken(why: &str) -> i64 {
    log::line(&format!("the supervisor speaks another protocol: {why}"));
    1
}

/// Ties this process to its parent, and keeps the socket from programs that the app starts.
fn prepare() -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    rustix::io::fcntl_setfd(control(), rustix::io::FdFlags::CLOEXEC)?;
    Ok(())
}

/// Handles messages until the worker is to end. Without the GIL: an application that never lets
/// go of it must not keep a stack dump or the end from happening.
fn converse(crew: &Crew, start: &Start) -> End {
    loop {
        match receive() {
            Ok(Some((ToWorker::Attach { worker, fronts }, fds))) => {
                if let Err(error) = attach(crew, worker, (fronts, start.threads), fds) {
                    let message = format!("cannot attach to the front: {error}");
                    tell(&FromWorker::Failed(boot::failed(
                        FailureKind::Setup,
                        &message,
                    )));
                    return End::Graceful;
                }
            }
            Ok(Some((ToWorker::Stop { graceful: true }, _))) => return End::Graceful,
            Ok(Some((ToWorker::Stop { graceful: false }, _))) => return End::Quick,
            Ok(Some((ToWorker::DumpStacks, _))) => {
                // SAFETY: a signal to this thread, whose handler `boot.py` has installed.
                unsafe { libc::raise(boot::dump_signal()) };
            }
            Ok(Some((ToWorker::Start(_), _))) => {
                protocol_broken("a second Start");
                return End::Graceful;
            }
            Ok(None) if crew.is_leaving() => return End::Graceful,
            Ok(None) => return End::Orphaned,
            Err(error) => {
                protocol_broken(&error.to_string());
                return End::Orphaned;
            }
        }
    }
}

fn attach(
    crew: &Crew,
    worker: u32,
    (fronts, threads): (u32, u32),
    fds: Vec<OwnedFd>,
) -> io::Result<()> {
    let expected = 1 + 2 * u64::from(fronts) + u64::from(threads);
    if fds.len() as u64 != expected {
        let text = format!("{} descriptors came, not {expected}", fds.len());
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let mut fds = fds.into_iter();
    let region = fds.next().ok_or(io::ErrorKind::InvalidData)?;
    let fds = ChannelFds {
        region,
        fronts: fds.by_ref().take(fronts as usize).collect(),
        own: fds.by_ref().take(threads as usize).collect(),
        links: fds.collect(),
    };
    crew.attach(Channel::attach(fds, worker)?);
    Ok(())
}

/// Sends one message. A supervisor that is gone needs none.
pub(crate) fn tell(message: &FromWorker) {
    let packet = message.encode();
    while send(control(), &packet, SendFlags::NOSIGNAL) == Err(rustix::io::Errno::INTR) {}
}

/// Makes the main thread's wait for messages end.
pub(crate) fn hang_up() {
    // A failure means that the socket is dead, and then the wait has ended already.
    let _ = shutdown(control(), Shutdown::Read);
}

/// The next message with its descriptors, none at the end. Blocks.
fn receive() -> io::Result<Option<(ToWorker, Vec<OwnedFd>)>> {
    let mut packet = vec![0; MAX_PACKET];
    let mut space = vec![std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let length = loop {
        let slices = &mut [IoSliceMut::new(&mut packet)];
        match recvmsg(control(), slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Ok(received) => break received.bytes,
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::CONNRESET) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    };
    let fds = ancillary
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        })
        .flatten()
        .collect();
    let Some(packet) = packet.get(..length).filter(|packet| !packet.is_empty()) else {
        return Ok(None);
    };
    let message = ToWorker::decode(packet).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(Some((message, fds)))
}

fn control() -> BorrowedFd<'static> {
    // SAFETY: the spawner has put the socket there, and this process never closes it.
    unsafe { BorrowedFd::borrow_raw(CONTROL_FD) }
}

/// Leaves without Python's own end, which could wait for threads of the application.
fn exit_now(status: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(status) }
}
