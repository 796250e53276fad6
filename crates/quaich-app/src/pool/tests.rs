//! A pool over real processes: a small Python program that speaks the control protocol stands in
//! the place of the interpreter, so that each test decides how its workers behave.

use super::*;
use std::os::unix::fs::PermissionsExt;
use std::rc::Rc;

use quaich_config::model::AppTarget;
use rustix::process::{Signal, WaitOptions, kill_process, waitpid};
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio::time::timeout;

use crate::target::tests::Tree;

/// Speaks packets on descriptor 3. The first line of `mode` in the app's folder says how it acts.
const WORKER: &str = r#"#!/usr/bin/env python3
import os, signal, socket, struct, sys
control = socket.socket(fileno=3)
def text(s): return struct.pack('<I', len(s)) + s.encode()
assert control.recv(65536)[:1] == b'S'
mode = open('mode').read().strip()
if mode == 'exit':
    print('going', flush=True); sys.exit(7)
if mode == 'fail':
    parts = ['no module x', 'Traceback', sys.executable, '3', os.getcwd()]
    control.send(b'F\0' + b''.join(map(text, parts)) + struct.pack('<I', 0)); sys.exit(1)
if mode != 'hang':
    control.send(b'R' + text('CPython 3') + text('app:app'))
if mode == 'retire':
    open('mode', 'w').write('serve')
    control.send(b'M' + struct.pack('<Q', 5))
while True:
    message = control.recv(65536)
    if message[:1] == b'D': print('stack of', os.getpid(), flush=True)
    if message[:1] in (b'X', b''): sys.exit(0)
"#;

struct Bench {
    pool: Pool,
    events: mpsc::Receiver<Event>,
    lines: mpsc::UnboundedReceiver<String>,
    /// Removed at the end.
    _tree: Tree,
}

impl Bench {
    fn new(mode: &str, workers: usize) -> Bench {
        let tree = Tree::new(&[("mode", mode), ("python", WORKER)]);
        let python = tree.path("python");
        std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
        let (sender, events) = mpsc::channel(64);
        let (printed, lines) = mpsc::unbounded_channel();
        let launch = Launch {
            index: 0,
            app: Rc::new(app(&tree, workers)),
            library: "/none.so".into(),
            identity: None,
            front_threads: 2,
            events: sender,
            on_line: Rc::new(move |_, _, line| {
                let _ = printed.send(String::from_utf8_lossy(line).into_owned());
            }),
        };
        let mut pool = Pool::new(launch);
        pool.on_time(Instant::now());
        Bench {
            pool,
            events,
            lines,
            _tree: tree,
        }
    }

    /// Feeds the pool as the supervisor would, until a notice fits.
    async fn until(&mut self, what: &str, fits: impl Fn(&Notice) -> bool) -> Notice {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            while let Some(notice) = self.pool.next_notice() {
                if fits(&notice) {
                    return notice;
                }
            }
            assert!(Instant::now() < deadline, "no {what}");
            self.step().await;
        }
    }

    /// Waits for one event, a deadline or a moment in which a process may have ended.
    async fn step(&mut self) {
        let now = Instant::now();
        let due = self
            .pool
            .next_deadline()
            .map_or(Duration::MAX, |time| time - now);
        let wait = due.min(Duration::from_millis(20));
        if let Ok(Some(event)) = timeout(wait, self.events.recv()).await {
            self.pool.on_event(event, Instant::now());
        }
        for status in self.pool.status(now) {
            let pid = Pid::from_raw(status.pid).unwrap();
            if let Ok(Some((_, ended))) = waitpid(Some(pid), WaitOptions::NOHANG) {
                let ended = ExitStatus::from_raw(ended.as_raw());
                assert!(self.pool.on_exit(pid, ended, Instant::now()));
            }
        }
        self.pool.on_time(Instant::now());
    }

    async fn until_ready(&mut self, count: usize) {
        for _ in 0..count {
            self.until("ready worker", |notice| {
                matches!(notice, Notice::Ready { .. })
            })
            .await;
        }
        assert_eq!(self.pool.up(), count);
    }

    async fn until_empty(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.pool.is_empty() {
            assert!(Instant::now() < deadline, "workers are left");
            self.step().await;
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.pool.kill();
        for status in self.pool.status(Instant::now()) {
            let _ = waitpid(Pid::from_raw(status.pid), WaitOptions::empty());
        }
    }
}

fn app(tree: &Tree, workers: usize) -> App {
    let second = Duration::from_secs(1);
    App {
        name: "a".into(),
        target: AppTarget::Module {
            module: "app".into(),
            callable: None,
        },
        factory: false,
        dir: tree.path(""),
        python: tree.path("python"),
        python_origin: "test".into(),
        workers,
        threads: 3,
        timeout: second,
        queue: 10,
        queue_timeout: second,
        graceful_timeout: 5 * second,
        boot_timeout: 3 * second,
        max_requests: 0,
        max_requests_jitter: 0,
        env: [].into(),
        user: None,
        group: None,
    }
}

/// Runs a test on one thread, as the supervisor runs.
fn on_one_thread(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, test);
}

#[test]
fn workers_that_are_up_join_the_front_with_all_their_descriptors() {
    on_one_thread(async {
        let mut bench = Bench::new("serve", 2);
        let channel = Channel::new(bench.pool.app(), 2).unwrap();
        bench.pool.attach(channel);
        let notice = bench
            .until("joined worker", |n| matches!(n, Notice::Up { .. }))
            .await;
        let Notice::Up { threads, fds, .. } = notice else {
            unreachable!()
        };
        assert_eq!((threads, fds.len()), (3, 3 + 2), "doorbells and sockets");
    });
}

#[test]
fn a_new_front_is_joined_by_workers_that_were_up_before_it() {
    on_one_thread(async {
        let mut bench = Bench::new("serve", 2);
        bench.until_ready(2).await;
        bench.pool.detach();
        let channel = Channel::new(bench.pool.app(), 2).unwrap();
        bench.pool.attach(channel);
        for _ in 0..2 {
            bench
                .until("joined worker", |n| matches!(n, Notice::Up { .. }))
                .await;
        }
    });
}

#[test]
fn a_killed_worker_is_announced_and_replaced_at_once_by_one_with_another_id() {
    on_one_thread(async {
        let mut bench = Bench::new("serve", 2);
        bench.until_ready(2).await;
        let victim = bench.pool.status(Instant::now())[0].clone();
        kill_process(Pid::from_raw(victim.pid).unwrap(), Signal::KILL).unwrap();
        let notice = bench
            .until("death", |n| matches!(n, Notice::Died { .. }))
            .await;
        let Notice::Died { pid, how, .. } = notice else {
            unreachable!()
        };
        assert_eq!((pid, how.as_str()), (victim.pid, "signal: 9 (SIGKILL)"));
        let workers = bench.pool.status(Instant::now());
        assert_eq!(workers.len(), 2, "the successor has been spawned already");
        assert!(workers.iter().all(|worker| worker.worker != victim.worker));
        bench
            .until("successor", |n| matches!(n, Notice::Ready { .. }))
            .await;
        assert_eq!((bench.pool.up(), bench.pool.restarts()), (2, 1));
    });
}

#[test]
fn an_app_that_cannot_be_loaded_says_why_and_is_tried_again_ever_later() {
    on_one_thread(async {
        let mut bench = Bench::new("fail", 1);
        let mut waits = Vec::new();
        for _ in 0..3 {
            let notice = bench
                .until("failure", |n| matches!(n, Notice::BootFailed(_)))
                .await;
            let Notice::BootFailed(failure) = notice else {
                unreachable!()
            };
            assert_eq!(failure.failed.unwrap().message, "no module x");
            waits.push(failure.wait.as_millis());
        }
        assert_eq!(waits, [100, 200, 400]);
    });
}

#[test]
fn a_worker_that_dies_silently_at_boot_has_its_output_shown_first() {
    on_one_thread(async {
        let mut bench = Bench::new("exit", 1);
        let notice = bench
            .until("failure", |n| matches!(n, Notice::BootFailed(_)))
            .await;
        let Notice::BootFailed(failure) = notice else {
            unreachable!()
        };
        assert_eq!(
            (failure.failed, failure.how.as_str()),
            (None, "exit status: 7")
        );
        failure.output.unwrap().await.unwrap();
        assert_eq!(bench.lines.try_recv().as_deref(), Ok("going"));
    });
}

#[test]
fn a_worker_that_hangs_at_boot_shows_its_stacks_and_is_killed() {
    on_one_thread(async {
        let mut bench = Bench::new("hang", 1);
        let pid = bench.pool.status(Instant::now())[0].pid;
        let notice = bench
            .until("failure", |n| matches!(n, Notice::BootFailed(_)))
            .await;
        let Notice::BootFailed(failure) = notice else {
            unreachable!()
        };
        assert!(
            failure.how.starts_with("the app was not loaded in 3s"),
            "{}",
            failure.how
        );
        failure.output.unwrap().await.unwrap();
        assert_eq!(bench.lines.recv().await, Some(format!("stack of {pid}")));
    });
}

#[test]
fn a_retiring_worker_serves_until_its_successor_is_up() {
    on_one_thread(async {
        let mut bench = Bench::new("retire", 1);
        bench
            .until("retirement", |n| {
                matches!(n, Notice::Retiring { requests: 5, .. })
            })
            .await;
        let states: Vec<_> = bench
            .pool
            .status(Instant::now())
            .iter()
            .map(|w| w.state)
            .collect();
        assert_eq!((states, bench.pool.up()), (vec!["retiring", "booting"], 1));
        bench
            .until("successor", |n| matches!(n, Notice::Ready { .. }))
            .await;
        while bench.pool.status(Instant::now()).len() > 1 {
            bench.step().await;
        }
        assert_eq!((bench.pool.up(), bench.pool.restarts()), (1, 0));
    });
}

#[test]
fn a_condemned_worker_is_dumped_killed_and_replaced() {
    on_one_thread(async {
        let mut bench = Bench::new("serve", 1);
        bench.until_ready(1).await;
        let victim = bench.pool.status(Instant::now())[0].clone();
        bench
            .pool
            .condemn(victim.worker, "stuck: GET /".into(), Instant::now());
        assert_eq!(
            bench.pool.status(Instant::now()).len(),
            2,
            "its successor boots meanwhile"
        );
        let notice = bench
            .until("death", |n| matches!(n, Notice::Died { .. }))
            .await;
        let Notice::Died { how, .. } = notice else {
            unreachable!()
        };
        assert_eq!(how, "stuck: GET / (signal: 9 (SIGKILL))");
        assert_eq!(
            bench.lines.recv().await,
            Some(format!("stack of {}", victim.pid))
        );
    });
}

#[test]
fn a_stopped_pool_ends_all_its_workers_and_starts_none() {
    on_one_thread(async {
        let mut bench = Bench::new("serve", 3);
        bench.until_ready(3).await;
        bench
            .pool
            .stop(true, Duration::from_secs(5), Instant::now());
        bench.until_empty().await;
        assert!(bench.pool.next_deadline().is_none());
    });
}
