//! The thread that looks after upstreams, beside the requests: checks, discovery, what is due now
//! and then. It may block a little; no request waits for it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::oneshot;

use crate::clock::{self, Clock};
use crate::deadline::Deadlines;
use crate::discovery::dns::{self, Starting};
use crate::observe::counters::Counters;
use crate::upstream::group::Group;
use crate::upstream::health;

/// How long names may take to be looked up before requests are let in.
const FIRST_LOOK_UPS: Duration = Duration::from_secs(1);

/// The running thread. Dropping it ends it.
pub(super) struct Upkeep {
    end: Option<oneshot::Sender<()>>,
    handle: Option<JoinHandle<()>>,
}

impl Upkeep {
    /// Starts looking after `upstreams`. Returns when their names were looked up, or that takes too
    /// long.
    pub(super) fn start(
        upstreams: &[Arc<Group>],
        counters: &Arc<Counters>,
    ) -> std::io::Result<Self> {
        let (end, ended) = oneshot::channel();
        let (starting, started) = std::sync::mpsc::channel();
        let counters = counters.clone();
        let upstreams = upstreams.to_vec();
        let runtime = move || {
            Builder::new_current_thread()
                .enable_all()
                .on_thread_unpark(clock::update_current)
                .build_local(LocalOptions::default())
        };
        let handle = std::thread::Builder::new()
            .name("upkeep".to_owned())
            .spawn(move || {
                let Ok(runtime) = runtime() else { return };
                runtime.block_on(run(upstreams, counters, starting, ended));
                // A name that is being looked up blocks a thread that nobody waits for.
                runtime.shutdown_background();
            })?;
        // Whoever asks first shall find servers. Nobody sends: it ends with the last look-up.
        let _ = started.recv_timeout(FIRST_LOOK_UPS);
        Ok(Self {
            end: Some(end),
            handle: Some(handle),
        })
    }
}

impl Drop for Upkeep {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(handle) = self.handle.take() {
            // A thread that has panicked has nothing left to wait for.
            let _ = handle.join();
        }
    }
}

/// Runs until the other end of `ended` is gone.
async fn run(
    upstreams: Vec<Arc<Group>>,
    counters: Arc<Counters>,
    starting: Starting,
    ended: oneshot::Receiver<()>,
) {
    let deadlines = Deadlines::new(Clock::of_thread());
    tokio::task::spawn_local({
        let deadlines = deadlines.clone();
        async move { deadlines.run(|_| {}).await }
    });
    // Each upstream's tasks are spawned here.
    for group in &upstreams {
        dns::follow(group, &counters, &starting);
    }
    drop(starting);
    for upstream in upstreams {
        tokio::task::spawn_local(health::watch(upstream.clone(), deadlines.clone()));
        tokio::task::spawn_local(async move { upstream.grow_shares().await });
    }
    let _ = ended.await;
}
