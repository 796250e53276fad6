//! Whether the servers of an upstream are well: checks, probes and what requests tell.
//!
//! Requests call [`learn`] through `Group::report`; everything else runs in [`watch`] on the upkeep
//! thread (`front/upkeep.rs`), which no request waits for.

mod agent;
mod check;
mod condition;
mod dial;
mod http;
mod passive;
mod ping;
mod probe;
mod variables;

pub use condition::{Condition, LastCheck, Reason, Share};
pub use passive::{learn, relieve};

use std::fmt::Display;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustix::rand::{GetRandomFlags, getrandom};
use rustix::time::{ClockId, clock_gettime};
use tokio::task::JoinHandle;

use self::check::Checks;
use crate::deadline::Deadlines;
use crate::observe::log;
use crate::upstream::group::Group;
use crate::upstream::server::Server;

/// Looks after the servers of `group`, whichever they are, for ever.
pub async fn watch(group: Arc<Group>, deadlines: Rc<Deadlines>) {
    let checks = Checks::new(&group, &deadlines).map(Rc::new);
    let mut watched: Vec<Watched> = Vec::new();
    loop {
        let servers = group.servers();
        watched.retain(|known| servers.iter().any(|s| Arc::ptr_eq(s, &known.server)));
        let new = |s: &&Arc<Server>| !watched.iter().any(|w| Arc::ptr_eq(s, &w.server));
        let new: Vec<_> = servers.iter().filter(new).collect();
        let count = new.len();
        let begun: Vec<_> = new
            .into_iter()
            .enumerate()
            .map(|(index, server)| Watched::begin(&group, server, checks.clone(), (index, count)))
            .collect();
        watched.extend(begun);
        group.replaced().notified().await;
    }
}

/// A server and the tasks that look after it; they end with this.
struct Watched {
    server: Arc<Server>,
    tasks: Vec<JoinHandle<()>>,
}

impl Watched {
    /// `turn` is its place among how many that begin now, so that they are not all checked at once.
    fn begin(
        group: &Arc<Group>,
        server: &Arc<Server>,
        checks: Option<Rc<Checks>>,
        turn: (usize, usize),
    ) -> Self {
        let spawn = tokio::task::spawn_local::<std::pin::Pin<Box<dyn Future<Output = ()>>>>;
        let mut tasks = vec![
            spawn(Box::pin(probe::reach(group.clone(), server.clone()))),
            spawn(Box::pin(probe::bring_back(
                group.clone(),
                server.clone(),
                checks.clone(),
            ))),
        ];
        if let Some(checks) = checks {
            tasks.push(spawn(Box::pin(check::run(
                group.clone(),
                server.clone(),
                checks,
                turn,
            ))));
        }
        Self {
            server: server.clone(),
            tasks,
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Takes a server out for a reason: whether it was not out for it before.
fn take_out(group: &Group, server: &Server, reason: Reason, why: &dyn Display) -> bool {
    let Some((was, is)) = server.condition().set(reason, true) else {
        return false;
    };
    // Whoever reads the message finds it true.
    group.changed();
    if was != is {
        log::warn!("a server is {is}"; upstream = group.settings().name, server = server.name(),
            was = was, reason = why);
    }
    relieve(group);
    true
}

/// Takes a reason back: whether it held before.
fn take_in(group: &Group, server: &Server, reason: Reason, why: &dyn Display) -> bool {
    let Some((was, is)) = server.condition().set(reason, false) else {
        return false;
    };
    if server.condition().is_in() {
        server.start_slowly();
    }
    group.changed();
    if was != is {
        log::info!("a server is {is}"; upstream = group.settings().name, server = server.name(),
            was = was, reason = why);
    }
    if server.condition().is_in() {
        server.start_slowly();
    }
    true
}

/// Milliseconds of the monotonic clock, read now.
fn millis() -> u64 {
    let mono = clock_gettime(ClockId::MonotonicCoarse);
    mono.tv_sec as u64 * 1000 + mono.tv_nsec as u64 / 1_000_000
}

/// A tenth more or less, so that many servers, or many quaichs, do not fall into step.
fn jittered(time: Duration) -> Duration {
    let mut random = [0_u8; 2];
    // Without randomness all are in step, and work.
    let _ = getrandom(&mut random, GetRandomFlags::empty());
    let share = 0.9 + 0.2 * f64::from(u16::from_ne_bytes(random)) / f64::from(u16::MAX);
    time.mul_f64(share)
}
