//! What is learnt of a server from the requests of clients. Called by `Group::report`.
//!
//! While all goes well this costs one load. Taking a server out is rare and holds a lock, so that
//! two threads never take out more servers than may be.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quaich_config::model;

use super::{Reason, millis, take_in, take_out};
use crate::upstream::group::{Group, Outcome};
use crate::upstream::server::Server;

/// An ejection is at most so many times as long as the first one.
const LONGEST: u32 = 10;

/// A server that restarts breaks off whatever runs there. Failures of requests that ran together count
/// as one when they come within so many milliseconds.
const TOGETHER: u64 = 1000;

/// Learns from one exchange.
pub fn learn(group: &Group, server: &Server, outcome: Outcome) {
    match outcome {
        Outcome::Answered(_) => {
            let failures = &server.condition().failures;
            if failures.load(Ordering::Relaxed) != 0 {
                failures.store(0, Ordering::Relaxed);
            }
        }
        Outcome::Unreachable if !group.settings().retry_after.is_zero() => {
            unreachable(group, server)
        }
        Outcome::Unreachable | Outcome::Failed => failed(group, server),
    }
}

/// It gets no requests until a probe succeeds, unless it is the last one: requests are better than
/// nothing then.
fn unreachable(group: &Group, server: &Server) {
    if server.condition().is_out(Reason::Unreachable) {
        return;
    }
    let _turn = group
        .turn_out()
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if !others_take(group, server) {
        return;
    }
    if take_out(
        group,
        server,
        Reason::Unreachable,
        &"it cannot be connected to",
    ) {
        server.condition().unreachable.notify_one();
    }
}

fn others_take(group: &Group, server: &Server) -> bool {
    let servers = group.servers();
    let mut others = servers.iter().filter(|s| !std::ptr::eq(&***s, server));
    others.any(|other| other.takes_new())
}

fn failed(group: &Group, server: &Server) {
    let Some(passive) = &group.settings().passive else {
        return;
    };
    let condition = server.condition();
    let now = millis();
    let last = condition.failed_at.load(Ordering::Relaxed);
    let since = now.saturating_sub(last);
    if since < TOGETHER && one_less(&condition.fellows) {
        return;
    }
    let fellows = server.running().saturating_sub(1);
    condition.fellows.store(fellows, Ordering::Relaxed);
    condition.failed_at.store(now, Ordering::Relaxed);
    if u128::from(since) > passive.within.as_millis() {
        condition.failures.store(0, Ordering::Relaxed);
    }
    let before = condition.failures.fetch_add(1, Ordering::Relaxed);
    let failures = before.saturating_add(1);
    if failures >= passive.errors {
        condition.failures.store(0, Ordering::Relaxed);
        eject(group, server, passive, now);
    }
}

/// Takes one away, if there is one.
fn one_less(count: &AtomicUsize) -> bool {
    let less = |count: usize| count.checked_sub(1);
    let order = Ordering::Relaxed;
    count.fetch_update(order, order, less).is_ok()
}

fn eject(group: &Group, server: &Server, passive: &model::Passive, now: u64) {
    let condition = server.condition();
    let _turn = group
        .turn_out()
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if condition.is_out(Reason::Ejected) || !others_take(group, server) {
        return;
    }
    let servers = group.servers();
    let out = servers
        .iter()
        .filter(|s| s.condition().is_out(Reason::Ejected));
    let most = servers.len() * usize::from(passive.max_ejected) / 100;
    if out.count() >= most {
        return;
    }
    let eject = u64::try_from(passive.eject.as_millis()).unwrap_or(u64::MAX);
    // Each time of that length without a failure makes one earlier ejection forgotten.
    let quiet = now.saturating_sub(condition.ejected_until.load(Ordering::Relaxed)) / eject.max(1);
    let forgotten = u32::try_from(quiet).unwrap_or(u32::MAX);
    let before = condition.repetition.load(Ordering::Relaxed);
    let repetition = before
        .saturating_sub(forgotten)
        .saturating_add(1)
        .min(LONGEST);
    condition.repetition.store(repetition, Ordering::Relaxed);
    let time = eject.saturating_mul(u64::from(repetition));
    let until = now.saturating_add(time);
    condition.ejected_until.store(until, Ordering::Relaxed);
    let time = Duration::from_millis(time);
    let why = format!(
        "{} requests in a row have failed; for {time:?}",
        passive.errors
    );
    if take_out(group, server, Reason::Ejected, &why) {
        condition.ejected.notify_one();
    }
}

/// Ejected servers come back when no other is left: bad ones are better than none.
pub fn relieve(group: &Group) {
    let servers = group.servers();
    if servers.iter().any(|server| server.takes_new()) {
        return;
    }
    for server in servers.iter() {
        if server.condition().is_out(Reason::Ejected) {
            take_in(group, server, Reason::Ejected, &"no other server is left");
        }
    }
}
