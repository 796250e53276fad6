//! A supervisor and a front in one, for one worker: starts a real worker process, gives it
//! requests over a real region and reads the answers frame by frame.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{BufRead, BufReader, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use quaich_proto::headers::HeaderId;
use quaich_proto::worker::boot::{
    BOOTSTRAP, CONTROL_FD, FromWorker, LIBRARY_VARIABLE, MAX_PACKET, Start, Target, ToWorker,
};
use quaich_proto::worker::frame::{ErrorKind, HeadView, unpack_error};
use quaich_proto::worker::layout::Slot;
use quaich_proto::worker::link;
use quaich_proto::worker::message::{Body, RequestMeta, encode_request};
use quaich_proto::worker::queue::{self, Producer, Rest};
use quaich_proto::worker::ring::{RingReader, Step};
use quaich_proto::worker::state::{Generation, Owner, State};
use quaich_proto::worker::{Layout, Region, region};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// Longer than anything here takes; a test that meets it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// The folder of the applications.
pub(crate) fn apps() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps")
}

/// A module of [`apps`] as a start message.
pub(crate) fn start(module: &str, callable: Option<&str>) -> Start {
    Start {
        app: "test".into(),
        target: Target::Module {
            name: module.into(),
            callable: callable.map(str::to_owned),
        },
        factory: false,
        dir: apps(),
        threads: 1,
        multiprocess: false,
        max_requests: 0,
    }
}

/// A worker process that has been told to start.
pub(crate) struct Worker {
    pub(crate) child: Child,
    control: OwnedFd,
    stderr: Receiver<String>,
    threads: usize,
}

impl Worker {
    /// Spawns the interpreter ($QUAICH_TEST_PYTHON, else `python3`).
    pub(crate) fn spawn(start: Start) -> Self {
        let (control, theirs) = pair();
        let python = std::env::var("QUAICH_TEST_PYTHON").unwrap_or_else(|_| "python3".into());
        let library = std::env::current_exe()
            .expect("own path")
            .with_file_name("libquaich_worker.so");
        let mut command = Command::new(python);
        command
            .arg("-c")
            .arg(BOOTSTRAP)
            .env(LIBRARY_VARIABLE, library);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        // SAFETY: both calls are async-signal-safe.
        unsafe {
            command.pre_exec(move || {
                let raw = std::os::fd::AsRawFd::as_raw_fd(&theirs);
                // A copy onto itself would keep the close-on-exec flag.
                let done = if raw == CONTROL_FD {
                    libc::fcntl(raw, libc::F_SETFD, 0)
                } else {
                    libc::dup2(raw, CONTROL_FD)
                };
                if done < 0 {
                    Err(std::io::Error::last_os_error())
                } else {
                    Ok(())
                }
            });
        }
        let mut child = command.spawn().expect("a python3");
        drop(command);
        let (lines, stderr) = channel();
        let pipe = child.stderr.take().expect("piped");
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                if lines.send(line).is_err() {
                    break;
                }
            }
        });
        let threads = start.threads as usize;
        let worker = Self {
            child,
            control,
            stderr,
            threads,
        };
        worker.tell(&ToWorker::Start(start), &[]);
        worker
    }

    /// Sends a control message.
    pub(crate) fn tell(&self, message: &ToWorker, fds: &[BorrowedFd<'_>]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            assert!(ancillary.push(SendAncillaryMessage::ScmRights(fds)));
        }
        let packet = message.encode();
        let slices = [IoSlice::new(&packet)];
        sendmsg(&self.control, &slices, &mut ancillary, SendFlags::NOSIGNAL).expect("alive");
    }

    /// The next control message, none when the worker is gone.
    pub(crate) fn hear(&self) -> Option<FromWorker> {
        wait(&self.control, PATIENCE);
        let mut packet = vec![0; MAX_PACKET];
        let got = rustix::net::recv(&self.control, &mut packet, RecvFlags::empty());
        let length = got.map_or(0, |(length, _)| length);
        (length > 0).then(|| FromWorker::decode(&packet[..length]).expect("a message"))
    }

    /// Waits for a line on stderr that contains `text`; gives all lines up to it.
    pub(crate) fn wait_for_line(&self, text: &str) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            let Ok(line) = self.stderr.recv_timeout(PATIENCE) else {
                panic!("no line with {text:?} in {seen:#?}");
            };
            seen.push(line);
            if seen.last().is_some_and(|line| line.contains(text)) {
                return seen;
            }
        }
    }

    /// Closes the supervisor's end of the control socket and waits for the worker's end.
    pub(crate) fn lost(mut self) -> std::process::ExitStatus {
        let (other, _) = pair();
        self.control = other;
        self.child.wait().expect("ended")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A front with one thread, for one worker.
pub(crate) struct Front {
    region: Region,
    producer: Producer,
    own: OwnedFd,
    doorbells: Vec<OwnedFd>,
    pub(crate) link: OwnedFd,
    next: u64,
}

/// The seat of the one worker.
const SEAT: u32 = 0;

impl Front {
    /// Makes a region and attaches the worker to it.
    pub(crate) fn attach(worker: &Worker) -> Self {
        let layout = Layout::for_app(64, 1, worker.threads, 1);
        let region_fd = region::create(&layout).expect("memfd");
        let region = Region::map(&region_fd).expect("region");
        let event = || eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC).expect("eventfd");
        let doorbells: Vec<OwnedFd> = (0..worker.threads).map(|_| event()).collect();
        let own = event();
        let (link, theirs) = pair();
        let mut fds = vec![region_fd.as_fd(), own.as_fd()];
        fds.extend(doorbells.iter().map(OwnedFd::as_fd));
        fds.push(theirs.as_fd());
        worker.tell(
            &ToWorker::Attach {
                worker: SEAT,
                fronts: 1,
            },
            &fds,
        );
        Self {
            region,
            producer: Producer::default(),
            own,
            doorbells,
            link,
            next: 0,
        }
    }

    /// Puts a request into the queue.
    pub(crate) fn submit(&mut self, request: &Request) -> InFlight {
        let number = self.next % self.region.layout().slots() as u64;
        let slot = self.region.layout().slot(number).expect("in range");
        let generation = Generation::new((self.next / 64) as u32);
        self.next += 1;
        let mut bytes = Vec::new();
        let fields = request.fields.iter();
        let fields = fields.map(|(name, value)| match HeaderId::from_name(name.as_bytes()) {
            HeaderId::Other => (0, name.as_bytes(), value.as_bytes()),
            known => (known as u8, &[][..], value.as_bytes()),
        });
        encode_request(&mut bytes, &request.meta(), fields).expect("fits");
        self.region.write_request(slot, 0, &bytes);
        self.region
            .brief(slot)
            .store(bytes.len() as u64, Ordering::Relaxed);
        let ring = RingReader::new(slot, generation);
        ring.reset(&self.region);
        let ready = State::Ready(generation).pack();
        self.region.state(slot).store(ready, Ordering::Release);
        self.producer.push(&self.region, slot, generation);
        for thread in 0..self.doorbells.len() {
            let owner = Owner {
                worker: SEAT,
                thread: thread as u8,
            };
            if queue::wake_up(&self.region, owner) {
                self.ring(thread);
            }
        }
        InFlight {
            ring,
            slot,
            generation,
        }
    }

    fn ring(&self, thread: usize) {
        rustix::io::write(&self.doorbells[thread], &1_u64.to_ne_bytes()).expect("eventfd");
    }

    /// The next thing that the worker sends.
    pub(crate) fn next(&self, flight: &mut InFlight) -> Event {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.region
                .rest(0)
                .store(Rest::Asleep as u64, Ordering::SeqCst);
            let (mut head, mut body) = (Vec::new(), Vec::new());
            let step = flight
                .ring
                .step(&self.region, &mut head, &mut body, usize::MAX);
            let step = step.expect("an honest worker");
            if step != Step::Empty {
                flight.ring.give_room(&self.region);
                if self
                    .region
                    .wants_room(flight.slot)
                    .swap(0, Ordering::SeqCst)
                    == 1
                {
                    (0..self.doorbells.len()).for_each(|thread| self.ring(thread));
                }
            }
            match step {
                Step::Empty => {
                    assert!(Instant::now() < deadline, "the worker says nothing");
                    wait(&self.own, Duration::from_millis(100));
                    let _ = rustix::io::read(&self.own, &mut [0; 8]);
                }
                Step::Head => return Event::Head(Head::read(&head)),
                Step::Data => return Event::Data(body),
                Step::File { offset, len } => return Event::File { offset, len },
                Step::End => return Event::End,
                Step::Error => {
                    let (kind, text) = unpack_error(&head).expect("an error");
                    return Event::Error(kind, String::from_utf8_lossy(text).into_owned());
                }
            }
        }
    }

    /// The client leaves.
    pub(crate) fn cancel(&self, flight: &InFlight) {
        let mark = u64::from(flight.generation.bits()) + 1;
        self.region
            .cancel(flight.slot)
            .store(mark, Ordering::SeqCst);
        (0..self.doorbells.len()).for_each(|thread| self.ring(thread));
    }

    /// One request and its whole answer.
    pub(crate) fn ask(&mut self, request: &Request) -> Answer {
        let mut flight = self.submit(request);
        let mut answer = Answer::default();
        loop {
            match self.next(&mut flight) {
                Event::Head(head) => answer.head = head,
                Event::Data(bytes) => {
                    answer.body.extend_from_slice(&bytes);
                    answer.pieces.push(bytes);
                }
                Event::File { offset, len } => answer.file = Some((offset, len)),
                Event::End => {
                    answer.complete = true;
                    return answer;
                }
                Event::Error(kind, text) => {
                    answer.error = Some((kind, text));
                    return answer;
                }
            }
        }
    }

    /// Answers the worker's question for a body file.
    pub(crate) fn give_body(&self, flight: &InFlight, file: &File) {
        wait(&self.link, PATIENCE);
        let mut bytes = [0; link::SIZE];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let slices = &mut [IoSliceMut::new(&mut bytes)];
        recvmsg(&self.link, slices, &mut ancillary, RecvFlags::empty()).expect("a question");
        let number = flight.slot.index() as u16;
        let asked = link::Message::decode(&bytes);
        assert_eq!(
            asked,
            Some(link::Message::WantBody(number, flight.generation))
        );
        let answer = link::Message::Body(number, flight.generation).encode();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let fds = [file.as_fd()];
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&fds)));
        let slices = [IoSlice::new(&answer)];
        sendmsg(&self.link, &slices, &mut ancillary, SendFlags::NOSIGNAL).expect("sent");
    }
}

/// A request that a worker has or will have.
pub(crate) struct InFlight {
    ring: RingReader,
    slot: Slot,
    generation: Generation,
}

/// One frame.
#[derive(Debug, PartialEq)]
pub(crate) enum Event {
    Head(Head),
    Data(Vec<u8>),
    File { offset: u64, len: u64 },
    End,
    Error(ErrorKind, String),
}

/// A response head.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) reason: Vec<u8>,
    pub(crate) fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Head {
    fn read(bytes: &[u8]) -> Self {
        let view = HeadView::decode(bytes).expect("a head");
        let fields = view.fields().map(|field| field.expect("a field"));
        let fields = fields
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect();
        Self {
            status: view.status,
            reason: view.reason.to_vec(),
            fields,
        }
    }

    /// The first field of that name.
    pub(crate) fn field(&self, name: &str) -> Option<&[u8]> {
        let mut fields = self.fields.iter();
        let found = fields.find(|(own, _)| own.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, value)| value.as_slice())
    }
}

/// A whole answer.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) pieces: Vec<Vec<u8>>,
    pub(crate) file: Option<(u64, u64)>,
    pub(crate) complete: bool,
    pub(crate) error: Option<(ErrorKind, String)>,
}

impl Answer {
    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A request to make.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: Vec<u8>,
    pub(crate) query: String,
    pub(crate) script_name: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) file_length: Option<u64>,
    pub(crate) chunked: bool,
    pub(crate) https: bool,
}

impl Request {
    /// `METHOD path`
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.into(),
            path: path.into(),
            query: String::new(),
            script_name: String::new(),
            fields: vec![("Host".into(), "example.test".into())],
            body: None,
            file_length: None,
            chunked: false,
            https: false,
        }
    }

    /// `GET path`
    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    /// `POST path` with an inline body.
    pub(crate) fn post(path: &str, body: &[u8]) -> Self {
        Self {
            body: Some(body.to_vec()),
            ..Self::new("POST", path)
        }
    }

    /// One more field.
    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    fn meta(&self) -> RequestMeta<'_> {
        let body = match (&self.body, self.file_length) {
            (_, Some(len)) => Body::File { len },
            (Some(bytes), None) => Body::Inline(bytes),
            (None, None) => Body::None,
        };
        let length = self
            .body
            .as_ref()
            .map(|body| body.len() as u64)
            .or(self.file_length);
        RequestMeta {
            method: self.method.as_bytes(),
            script_name: self.script_name.as_bytes(),
            path_info: &self.path,
            query: self.query.as_bytes(),
            raw_target: b"/raw%20target?q",
            version: 11,
            scheme_https: self.https,
            server_name: b"example.test",
            server_port: 8000,
            remote_addr: b"192.0.2.7",
            remote_port: 50_000,
            remote_user: b"",
            request_id: b"id-1",
            content_length: length.filter(|_| !self.chunked),
            chunked: self.chunked,
            body,
        }
    }
}

/// A file of these bytes without a name.
pub(crate) fn nameless_file(bytes: &[u8]) -> File {
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::memfd_create("body", flags).expect("memfd"));
    file.write_all(bytes).expect("written");
    file
}

fn pair() -> (OwnedFd, OwnedFd) {
    let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
    socketpair(AddressFamily::UNIX, kind, flags, None).expect("socketpair")
}

fn wait(fd: &OwnedFd, patience: Duration) {
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    let timeout = Timespec::try_from(patience).expect("short");
    let _ = poll(&mut fds, Some(&timeout));
}
