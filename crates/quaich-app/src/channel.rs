//! The descriptors that join the workers of one app to one front.
//!
//! Made by the supervisor when a front starts; `pool` hands them to the workers. What is inside
//! the region is the business of front and worker alone.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use quaich_config::model::App;
use quaich_proto::worker::{Layout, region};
use rustix::event::{EventfdFlags, eventfd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

/// One app's shared memory and the bells of the front's threads, for the life of one front.
#[derive(Debug)]
pub struct Channel {
    /// The memory file.
    pub region: OwnedFd,
    /// One eventfd for each front thread.
    pub front_bells: Vec<OwnedFd>,
}

/// The numbers that fix the region of `app` under `front_threads`.
pub fn layout(app: &App, front_threads: usize) -> Layout {
    Layout::for_app(app.queue, app.workers, app.threads, front_threads)
}

impl Channel {
    /// A fresh region for a fresh front.
    pub fn new(app: &App, front_threads: usize) -> io::Result<Channel> {
        let layout = layout(app, front_threads);
        let region = region::create(&layout)?;
        let front_bells = (0..front_threads)
            .map(|_| bell())
            .collect::<io::Result<_>>()?;
        Ok(Channel {
            region,
            front_bells,
        })
    }
}

/// The two bundles of descriptors with which one worker joins a channel.
#[derive(Debug)]
pub struct Joint {
    doorbells: Vec<OwnedFd>,
    worker_ends: Vec<OwnedFd>,
    front_ends: Vec<OwnedFd>,
}

impl Joint {
    /// For a worker of `threads` threads.
    pub fn new(threads: usize, front_threads: usize) -> io::Result<Joint> {
        let doorbells = (0..threads).map(|_| bell()).collect::<io::Result<_>>()?;
        let mut joint = Joint {
            doorbells,
            worker_ends: Vec::new(),
            front_ends: Vec::new(),
        };
        for _ in 0..front_threads {
            let flags = SocketFlags::CLOEXEC;
            let (worker, front) =
                socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
            joint.worker_ends.push(worker);
            joint.front_ends.push(front);
        }
        Ok(joint)
    }

    /// For `ToWorker::Attach`: region, front bells, own doorbells, sockets.
    pub fn worker_fds<'a>(&'a self, channel: &'a Channel) -> Vec<BorrowedFd<'a>> {
        let parts = channel
            .front_bells
            .iter()
            .chain(&self.doorbells)
            .chain(&self.worker_ends);
        std::iter::once(&channel.region)
            .chain(parts)
            .map(AsFd::as_fd)
            .collect()
    }

    /// For the front: doorbells, then its ends of the sockets.
    pub fn into_front_fds(self) -> Vec<OwnedFd> {
        self.doorbells.into_iter().chain(self.front_ends).collect()
    }
}

fn bell() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}
