//! What a round trip over the worker channel costs: CPU microseconds of both ends together, at 1, 8
//! and 64 requests in flight, with both ends on one core and on two.
//!
//! `cargo run --release -p quaich-server --example channel_bench [--spin MICROSECONDS]`; the option
//! lets the worker work that long for each request.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::process::{Child, Command};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quaich_proto::worker::frame::{begin_head, push_field};
use quaich_proto::worker::message::RequestMeta;
use quaich_proto::worker::{Layout, region};
use quaich_server::upstream::wire::worker::{
    AppChannel, AppChannelSetup, AppRegion, Timeouts, park_hooks,
};
use quaich_worker::channel::{Channel, ChannelFds};
use rustix::event::{EventfdFlags, eventfd};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::thread::{CpuSet, sched_setaffinity};

const MEASURE: Duration = Duration::from_millis(1500);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|first| first == "worker") {
        return worker(&arguments);
    }
    let spin = arguments.get(2).map_or("0", String::as_str);
    println!(
        "{:>8} {:>10} {:>9} {:>9} {:>9}",
        "cores", "in flight", "us/trip", "front", "worker"
    );
    for cores in [1, 2] {
        for in_flight in [1, 8, 64] {
            run(cores, in_flight, spin);
        }
    }
}

fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    // A machine with one core measures the same thing twice.
    let _ = sched_setaffinity(None, &set);
}

#[allow(unsafe_code)]
fn worker(arguments: &[String]) {
    let number = |at: usize| arguments[at].parse::<u64>().expect("a number");
    pin(number(2) as usize);
    let spin = Duration::from_micros(number(3));
    // SAFETY: the parent left these descriptors open for this process alone.
    let fd = |at: usize| unsafe { OwnedFd::from_raw_fd(number(at) as i32) };
    let fds = ChannelFds {
        region: fd(4),
        fronts: vec![fd(5)],
        own: vec![fd(6)],
        links: vec![fd(7)],
    };
    let channel = Channel::attach(fds, 0).expect("attach");
    let mut end = channel.thread(0).expect("thread end");
    let mut head = Vec::new();
    while let Some(call) = end.claim() {
        if !spin.is_zero() {
            let start = Instant::now();
            while start.elapsed() < spin {}
        }
        assert_eq!(call.request().expect("valid").field_count(), 8);
        head.clear();
        begin_head(&mut head, 200, b"OK");
        push_field(&mut head, b"Content-Type", b"text/plain").expect("fits");
        push_field(&mut head, b"Content-Length", b"100").expect("fits");
        if call.respond(&head, &[b'x'; 100]).is_err() {
            return;
        }
    }
}

fn bell() -> OwnedFd {
    eventfd(0, EventfdFlags::NONBLOCK).expect("eventfd")
}

fn run(cores: usize, in_flight: usize, spin: &str) {
    pin(0);
    let layout = Layout::for_app(100, 1, 1, 1);
    let file = region::create(&layout).expect("memfd");
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = park_hooks(&mut builder)
        .enable_all()
        .build()
        .expect("runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let (front, own) = (bell(), bell());
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::empty(),
            None,
        )
        .expect("socketpair");
        rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty()).expect("inherited");
        let mut child = spawn(cores - 1, spin, [&file, &front, &own, &theirs]);
        let (reports, _keep) = tokio::sync::mpsc::unbounded_channel();
        let channel = AppChannel::new(AppChannelSetup {
            region: Arc::new(AppRegion::map(file.as_fd()).expect("map")),
            thread_index: 0,
            doorbell: front,
            queue: 100,
            reports,
        })
        .expect("channel");
        channel.worker_up(0, ours, vec![own]).expect("up");
        ask(&channel, &mut (Vec::new(), Vec::new())).await;
        measure(&channel, in_flight, cores, child.id()).await;
        child.kill().expect("killed");
        child.wait().expect("reaped");
    });
}

fn spawn(core: usize, spin: &str, fds: [&OwnedFd; 4]) -> Child {
    let fds = fds.map(|fd| fd.as_raw_fd().to_string());
    let program = std::env::current_exe().expect("a program");
    let mut command = Command::new(program);
    command.args(["worker", &core.to_string(), spin]).args(fds);
    command.spawn().expect("a worker")
}

async fn measure(channel: &Rc<AppChannel>, in_flight: usize, cores: usize, worker: u32) {
    let cpu = || [cpu_of(std::process::id()), cpu_of(worker)];
    let (start, before) = (Instant::now(), cpu());
    let clients: Vec<_> = (0..in_flight)
        .map(|_| {
            let channel = Rc::clone(channel);
            tokio::task::spawn_local(async move {
                let (mut trips, mut buffers) = (0u64, Default::default());
                while start.elapsed() < MEASURE {
                    ask(&channel, &mut buffers).await;
                    trips += 1;
                }
                trips
            })
        })
        .collect();
    let mut trips = 0;
    for client in clients {
        trips += client.await.expect("a client");
    }
    let after = cpu();
    let [front, worker] = [0, 1].map(|end| (after[end] - before[end]) / 1e3 / trips as f64);
    let sum = front + worker;
    println!("{cores:>8} {in_flight:>10} {sum:>9.2} {front:>9.2} {worker:>9.2}");
}

/// Nanoseconds of CPU that a process's main thread has used.
fn cpu_of(process: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/schedstat")).expect("schedstat");
    text.split(' ')
        .next()
        .expect("a number")
        .parse()
        .expect("a number")
}

async fn ask(channel: &Rc<AppChannel>, (head, body): &mut (Vec<u8>, Vec<u8>)) {
    let meta = RequestMeta {
        method: b"GET",
        path_info: b"/some/path",
        query: b"a=b",
        raw_target: b"/some/path?a=b",
        version: 11,
        server_name: b"localhost",
        server_port: 8000,
        remote_addr: b"127.0.0.1",
        remote_port: 40000,
        ..RequestMeta::default()
    };
    let fields = [(1u8, &b""[..], &[b'v'; 40][..]); 8];
    let timeouts = Timeouts {
        queue: Duration::from_secs(5),
        run: Duration::from_secs(30),
    };
    let mut call = channel
        .submit(&meta, fields, None, timeouts)
        .expect("queued");
    head.clear();
    body.clear();
    while !call.read(head, body, 100_000).await.expect("an answer").end {}
}
