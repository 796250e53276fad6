//! Workers as processes of their own, killed without warning.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::{Child, Command, Stdio};

use quaich_server::upstream::wire::worker::Failure;
use quaich_worker::channel::{Channel, ChannelFds};

use crate::rig::{Rig, echo, read_whole, with_front};

const FDS: &str = "QUAICH_TEST_CHANNEL_FDS";

/// What the worker process runs: this test in a process that was given descriptors.
#[test]
fn serves_when_it_is_a_worker_process() {
    let Ok(list) = std::env::var(FDS) else { return };
    let mut fds = list
        .split(',')
        .map(|fd| inherited(fd.parse().expect("a number")));
    let mut next = || fds.next().expect("a descriptor");
    let fds = ChannelFds {
        region: next(),
        fronts: vec![next()],
        own: vec![next()],
        links: vec![next()],
    };
    let channel = Channel::attach(fds, 0).expect("attach");
    let mut end = channel.thread(0).expect("thread end");
    while let Some(call) = end.claim() {
        if call.request().expect("valid").meta.path_info == b"/hang" {
            loop {
                std::thread::park();
            }
        }
        echo(call);
    }
}

#[allow(unsafe_code)]
fn inherited(fd: i32) -> OwnedFd {
    // SAFETY: the parent process left it open for this one, and nobody else here uses it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn spawn(rig: &Rig, id: u32) -> io::Result<Child> {
    let fds = rig.up(id, rig.outfit(1));
    let all = [&fds.region, &fds.fronts[0], &fds.own[0], &fds.links[0]];
    let numbers: Vec<String> = all.iter().map(|fd| fd.as_raw_fd().to_string()).collect();
    for fd in all {
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())?;
    }
    let child = Command::new(std::env::current_exe()?)
        .args(["--exact", "processes::serves_when_it_is_a_worker_process"])
        .env(FDS, numbers.join(","))
        .stdout(Stdio::null())
        .spawn();
    for fd in all {
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC)?;
    }
    child
}

#[test]
fn a_killed_process_costs_what_it_ran_and_nothing_else() {
    with_front(1, async |rig| {
        let mut process = spawn(&rig, 0).expect("a process");
        for n in 0..500 {
            let path = format!("/{n}");
            assert_eq!(rig.ask(&path).await, Ok((200, path.into_bytes())));
        }
        let mut hanging = rig.submit("/hang");
        let region = rig.raw();
        rig.until(|| !quaich_proto::worker::queue::waits(&region))
            .await;
        let mut waiting = rig.submit("/waiting");
        process.kill().expect("killed");
        assert_eq!(read_whole(&mut hanging).await, Err(Failure::WorkerDied));
        process.wait().expect("reaped");
        rig.channel.worker_down(0);
        let mut successor = spawn(&rig, 0).expect("a process");
        assert_eq!(
            read_whole(&mut waiting).await,
            Ok((200, b"/waiting".to_vec()))
        );
        assert_eq!(rig.channel.stats().in_flight, 0);
        successor.kill().expect("killed");
        successor.wait().expect("reaped");
    });
}

#[test]
fn processes_killed_under_load_lose_no_request_but_their_own() {
    with_front(1, async |rig| {
        for _ in 0..10 {
            let mut process = spawn(&rig, 0).expect("a process");
            assert_eq!(rig.ask("/up").await, Ok((200, b"/up".to_vec())));
            let mut calls: Vec<_> = (0..80).map(|n| rig.submit(&format!("/{n}"))).collect();
            let mut answers = Vec::new();
            for (n, call) in calls.iter_mut().enumerate().take(40) {
                if n == 10 {
                    process.kill().expect("killed");
                    process.wait().expect("reaped");
                    rig.channel.worker_down(0);
                    process = spawn(&rig, 0).expect("a process");
                }
                answers.push(read_whole(call).await);
            }
            for call in &mut calls[40..] {
                answers.push(read_whole(call).await);
            }
            let lost = answers.iter().filter(|answer| answer.is_err()).count();
            assert!(lost <= 1, "{lost} lost");
            process.kill().expect("killed");
            process.wait().expect("reaped");
            rig.channel.worker_down(0);
        }
        assert_eq!(rig.channel.stats().in_flight, 0);
    });
}
