//! One front thread and as many workers as a test wants.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use quaich_proto::worker::frame::{HeadView, begin_head, push_field};
use quaich_proto::worker::message::{Body, RequestMeta};
use quaich_proto::worker::{Layout, Region, region};
use quaich_server::upstream::wire::worker::{
    AppCall, AppChannel, AppChannelSetup, AppRegion, Failure, SubmitError, Timeouts, WorkerReport,
    park_hooks,
};
use quaich_worker::channel::{Call, Channel, ChannelFds};
use rustix::event::{EventfdFlags, eventfd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

pub(crate) const QUEUE: usize = 100;

pub(crate) struct Rig {
    pub(crate) channel: Rc<AppChannel>,
    reports: RefCell<UnboundedReceiver<WorkerReport>>,
    region: OwnedFd,
    doorbell: OwnedFd,
}

/// Everything a worker gets, and what its front keeps.
pub(crate) struct Outfit {
    pub(crate) fds: ChannelFds,
    socket: OwnedFd,
    doorbells: Vec<OwnedFd>,
}

pub(crate) struct Worker {
    pub(crate) channel: Arc<Channel>,
    threads: Vec<JoinHandle<()>>,
}

pub(crate) fn bell() -> OwnedFd {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("eventfd")
}

fn copy(fd: &OwnedFd) -> OwnedFd {
    fd.try_clone().expect("dup")
}

/// Runs a test on a front thread for one app of `threads` threads a worker. A test that hangs fails.
pub(crate) fn with_front<F: Future<Output = ()>>(threads: usize, test: impl FnOnce(Rc<Rig>) -> F) {
    let layout = Layout::for_app(QUEUE, 4, threads, 1);
    let file = region::create(&layout).expect("memfd");
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = park_hooks(&mut builder)
        .enable_all()
        .build()
        .expect("runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let (send, reports) = unbounded_channel();
        let doorbell = bell();
        let channel = AppChannel::new(AppChannelSetup {
            region: Arc::new(AppRegion::map(&file).expect("map")),
            thread_index: 0,
            doorbell: copy(&doorbell),
            queue: QUEUE,
            reports: send,
        })
        .expect("channel");
        let reports = RefCell::new(reports);
        let rig = Rc::new(Rig {
            channel,
            reports,
            region: file,
            doorbell,
        });
        tokio::time::timeout(Duration::from_secs(60), test(rig))
            .await
            .expect("a test that ends");
    });
}

impl Rig {
    pub(crate) fn outfit(&self, threads: usize) -> Outfit {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .expect("socketpair");
        let doorbells: Vec<OwnedFd> = (0..threads).map(|_| bell()).collect();
        let own = doorbells.iter().map(copy).collect();
        let fds = ChannelFds {
            region: copy(&self.region),
            fronts: vec![copy(&self.doorbell)],
            own,
            links: vec![theirs],
        };
        Outfit {
            fds,
            socket: ours,
            doorbells,
        }
    }

    pub(crate) fn up(&self, id: u32, outfit: Outfit) -> ChannelFds {
        self.channel
            .worker_up(id, outfit.socket, outfit.doorbells)
            .expect("worker up");
        outfit.fds
    }

    /// A worker as threads of this process.
    pub(crate) fn worker(
        &self,
        id: u32,
        threads: usize,
        serve: impl Fn(Call) + Clone + Send + 'static,
    ) -> Worker {
        let fds = self.up(id, self.outfit(threads));
        let channel = Channel::attach(fds, id).expect("attach");
        let threads = (0..threads).map(|index| {
            let (channel, serve) = (Arc::clone(&channel), serve.clone());
            std::thread::spawn(move || {
                let mut end = channel.thread(index).expect("thread end");
                while let Some(call) = end.claim() {
                    serve(call);
                }
            })
        });
        Worker {
            threads: threads.collect(),
            channel: Arc::clone(&channel),
        }
    }

    /// Rings the front's doorbell.
    pub(crate) fn ring(&self) {
        rustix::io::write(&self.doorbell, &1u64.to_ne_bytes()).expect("rung");
    }

    /// A second mapping of the region, as a worker that does as it likes has one.
    pub(crate) fn raw(&self) -> Region {
        Region::map(self.region.as_fd()).expect("map")
    }

    pub(crate) fn submit(&self, path: &str) -> AppCall {
        self.try_submit(path, Body::None, None, LONG)
            .expect("queued")
    }

    pub(crate) fn try_submit(
        &self,
        path: &str,
        body: Body<'_>,
        file: Option<OwnedFd>,
        timeouts: Timeouts,
    ) -> Result<AppCall, SubmitError> {
        let meta = RequestMeta {
            method: b"GET",
            path_info: path.as_bytes(),
            version: 11,
            body,
            ..RequestMeta::default()
        };
        self.channel.submit(
            &meta,
            [(0, &b"X-Test"[..], &b"1"[..])],
            file.map(Rc::new),
            timeouts,
        )
    }

    pub(crate) async fn ask(&self, path: &str) -> Result<(u16, Vec<u8>), Failure> {
        read_whole(&mut self.submit(path)).await
    }

    /// The next report about a worker.
    pub(crate) async fn report(&self) -> WorkerReport {
        poll_fn(|cx| self.reports.borrow_mut().poll_recv(cx))
            .await
            .expect("a channel")
    }

    /// Waits until `done` holds, on what the front does meanwhile.
    pub(crate) async fn until(&self, done: impl Fn() -> bool) {
        while !done() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

pub(crate) const LONG: Timeouts = Timeouts {
    queue: Duration::from_secs(50),
    run: Duration::from_secs(50),
};

pub(crate) async fn read_whole(call: &mut AppCall) -> Result<(u16, Vec<u8>), Failure> {
    let (mut head, mut body, mut status) = (Vec::new(), Vec::new(), 0);
    loop {
        let answer = call.read(&mut head, &mut body, 100_000).await?;
        status = answer.status.unwrap_or(status);
        if answer.end {
            return Ok((status, body));
        }
    }
}

impl Worker {
    /// Waits for its threads, which end by themselves.
    pub(crate) fn join(self) {
        for thread in self.threads {
            thread.join().expect("a worker thread");
        }
    }

    pub(crate) fn stop(self) {
        self.channel.stop_taking();
        self.join();
    }
}

/// The payload of a head frame.
pub(crate) fn head(status: u16) -> Vec<u8> {
    let mut out = Vec::new();
    begin_head(&mut out, status, b"");
    push_field(&mut out, b"X-Answer", b"yes").expect("fits");
    assert_eq!(HeadView::decode(&out).expect("valid").status, status);
    out
}

/// Answers with the request's path.
pub(crate) fn echo(call: Call) {
    let path = call.request().expect("valid").meta.path_info.to_vec();
    // Gone is for tests that leave early.
    let _ = call.respond(&head(200), &path);
}
