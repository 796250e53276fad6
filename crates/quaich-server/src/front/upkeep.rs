//! The thread that looks after upstreams, beside the requests: checks, discovery, what is due now
//! and then. It may block a little; no request waits for it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use quaich_config::model;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::oneshot;

use crate::clock::{self, Clock};
use crate::deadline::Deadlines;
use crate::discovery::dns::{self, Starting};
use crate::discovery::subscription::{self, Doors, Subscriptions};
use crate::observe::counters::Counters;
use crate::observe::log;
use crate::upstream::group::Group;
use crate::upstream::health;

/// How long names may take to be looked up before requests are let in.
const FIRST_LOOK_UPS: Duration = Duration::from_secs(1);

/// The running thread. Dropping it ends it.
pub(super) struct Upkeep {
    end: Option<oneshot::Sender<()>>,
    handle: Option<JoinHandle<()>>,
}

/// Instances that announce themselves.
pub(super) struct Announced {
    pub(super) subscriptions: Arc<Subscriptions>,
    pub(super) settings: model::Subscribe,
    pub(super) doors: Doors,
}

impl Upkeep {
    /// Starts looking after `upstreams`. Returns when their names were looked up, or that takes too
    /// long. The error: the thread or its runtime cannot be had.
    pub(super) fn start(
        upstreams: &[Arc<Group>],
        counters: &Arc<Counters>,
        announced: Option<Announced>,
    ) -> std::io::Result<Self> {
        let (end, ended) = oneshot::channel();
        let (starting, started) = std::sync::mpsc::channel();
        let (failing, failed) = std::sync::mpsc::sync_channel(1);
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
                let runtime = match runtime() {
                    Ok(runtime) => runtime,
                    // The other end waits for this before it goes on.
                    Err(error) => return drop(failing.send(error)),
                };
                drop(failing);
                runtime.block_on(run(upstreams, counters, (starting, announced), ended));
                // A name that is being looked up blocks a thread that nobody waits for.
                runtime.shutdown_background();
            })?;
        if let Ok(error) = failed.recv() {
            return Err(error);
        }
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
    (starting, announced): (Starting, Option<Announced>),
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
    if let Some(announced) = announced {
        let Announced {
            subscriptions,
            settings,
            doors,
        } = announced;
        if let Err(error) = subscription::serve(
            &subscriptions,
            &settings,
            doors,
            &upstreams,
            &counters,
            &deadlines,
        ) {
            log::error!("announcements cannot be received: {error}");
        }
    }
    drop(starting);
    for upstream in upstreams {
        tokio::task::spawn_local(health::watch(upstream.clone(), deadlines.clone()));
        tokio::task::spawn_local(async move { upstream.grow_shares().await });
    }
    let _ = ended.await;
}
