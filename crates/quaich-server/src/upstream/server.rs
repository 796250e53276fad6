//! What all threads know of one server: whether it may be given requests, and what it does now.
//!
//! Requests, checks, the control socket and discovery change it; `group` chooses by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use quaich_config::model::{self, UpstreamServer};

use super::addresses::Addresses;
use super::fleet::Fleet;
use super::health::Condition;
use super::pool::Shelf;
use crate::clock::precise_micros;
pub use crate::link::{Mode, Order};

/// What is known of the health of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Health {
    /// Requests may go to it.
    Up,
    /// Checks, probes or requests have found that it does not answer.
    Down,
}

/// One server, as all threads see it.
#[derive(Debug)]
pub struct Server {
    settings: UpstreamServer,
    /// Index in the tables that are kept by server; free again once this one is gone.
    place: usize,
    addresses: Addresses,
    shelf: Shelf,
    condition: Condition,
    mode: AtomicU8,
    weight: AtomicU32,
    /// As configured or discovered; an operator may have changed `weight` since.
    given_weight: AtomicU32,
    running: AtomicUsize,
    served: AtomicU64,
    failed: AtomicU64,
    /// What it gets of its weight after its return, in percent.
    ramp: AtomicU32,
    /// When it returned, in microseconds.
    returned: AtomicU64,
    slow_start: Duration,
    /// No longer a server of its upstream.
    gone: AtomicBool,
    fleet: Arc<Fleet>,
}

/// All of its weight.
const FULL: u32 = 100;

impl Server {
    /// A server that is up and ready, one of those that share `fleet`.
    pub(super) fn new(
        settings: UpstreamServer,
        upstream: &model::Upstream,
        place: usize,
        (threads, fleet): (usize, &Arc<Fleet>),
    ) -> Self {
        let condition = match &upstream.health {
            Some(health) => Condition::new(true, !health.initially_up),
            None => Condition::default(),
        };
        Self {
            addresses: Addresses::new(&settings.addr),
            shelf: Shelf::new(upstream.keepalive, threads),
            place,
            ramp: AtomicU32::new(FULL),
            returned: AtomicU64::new(0),
            slow_start: upstream.slow_start,
            gone: AtomicBool::new(false),
            fleet: fleet.clone(),
            condition,
            mode: AtomicU8::new(Mode::Ready as u8),
            weight: AtomicU32::new(settings.weight),
            given_weight: AtomicU32::new(settings.weight),
            running: AtomicUsize::new(0),
            served: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            settings,
        }
    }

    /// A server of no group, whose shelf is for `threads` threads.
    #[cfg(test)]
    pub(super) fn for_tests(keepalive: usize, threads: usize) -> Arc<Self> {
        let mut upstream = super::balance::samples::upstream(model::Balance::RoundRobin);
        upstream.keepalive = keepalive;
        let settings = super::balance::samples::server("a:80", 1);
        let fleet = Arc::new(Fleet::new(&upstream));
        Arc::new(Self::new(settings, &upstream, 0, (threads, &fleet)))
    }

    /// Name in logs and commands.
    pub fn name(&self) -> &str {
        &self.settings.id
    }

    /// As configured, or as discovered.
    pub fn settings(&self) -> &UpstreamServer {
        &self.settings
    }

    /// Its index in tables of a thread. Two servers of one upstream never have the same at once.
    pub fn place(&self) -> usize {
        self.place
    }

    /// Where it can be connected to.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Whether it is the server of these settings, whatever its weight.
    pub(super) fn is(&self, settings: &UpstreamServer) -> bool {
        let weight = self.settings.weight;
        self.settings.id == settings.id
            && self.settings
                == UpstreamServer {
                    weight,
                    ..settings.clone()
                }
    }

    /// Takes over a weight from the configuration or from discovery, unless it was given before:
    /// an operator may have changed it since.
    pub(super) fn give_weight(&self, weight: u32) {
        if self.given_weight.swap(weight, Ordering::Relaxed) != weight {
            self.set_weight(weight);
        }
    }

    /// Kept connections that no thread holds.
    pub(super) fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// What is known of it.
    pub fn health(&self) -> Health {
        match self.condition.is_in() {
            true => Health::Up,
            false => Health::Down,
        }
    }

    /// What is known of it, in full.
    pub fn condition(&self) -> &Condition {
        &self.condition
    }

    /// What the operator and its agent want: the less it is to do, the more that counts.
    pub fn mode(&self) -> Mode {
        self.wanted().max(self.condition.agent_mode())
    }

    /// What the operator wants.
    pub fn wanted(&self) -> Mode {
        Mode::from_number(self.mode.load(Ordering::Relaxed))
    }

    /// Notes what the operator wants; whether that is news. Tell the group if it is.
    pub fn set_mode(&self, mode: Mode) -> bool {
        let old = self.mode.swap(mode as u8, Ordering::Relaxed);
        if old == Mode::Maint as u8 && mode == Mode::Ready {
            self.start_slowly();
        }
        old != mode as u8
    }

    /// Its share of new clients, compared with the others'.
    pub fn weight(&self) -> u32 {
        self.condition.weighted(self.weight.load(Ordering::Relaxed))
    }

    /// Changes its share; whether that is news. Tell the group if it is.
    pub fn set_weight(&self, weight: u32) -> bool {
        self.weight.swap(weight, Ordering::Relaxed) != weight
    }

    /// Does what the operator says; whether that is news. Tell the group if it is.
    pub(super) fn obey(&self, order: &Order) -> bool {
        let mut news = false;
        if let Some(mode) = order.mode {
            news |= self.set_mode(mode);
        }
        if let Some(weight) = order.weight {
            news |= self.set_weight(weight);
        } else if order.restores_weight() {
            news |= self.set_weight(self.given_weight.load(Ordering::Relaxed));
        }
        if news {
            self.condition.tell();
        }
        news
    }

    /// Its weight now, in hundredths: less while it starts slowly. 0 only for a weight of 0.
    pub fn share(&self) -> u64 {
        u64::from(self.weight()) * u64::from(self.ramp.load(Ordering::Relaxed))
    }

    /// From now on it gets a growing part of its weight, where the upstream has `slow_start`.
    pub(super) fn start_slowly(&self) {
        if !self.slow_start.is_zero() {
            self.returned.store(precise_micros(), Ordering::Relaxed);
            self.ramp.store(1, Ordering::Relaxed);
            self.fleet.ramping.notify_one();
        }
    }

    /// Raises its part of its weight to what is due at `now` (microseconds); whether it has less than
    /// all before that.
    pub(super) fn grow(&self, now: u64) -> bool {
        if self.ramp.load(Ordering::Relaxed) == FULL {
            return false;
        }
        let since = now.saturating_sub(self.returned.load(Ordering::Relaxed));
        let percent = u128::from(since) * u128::from(FULL) / self.slow_start.as_micros().max(1);
        let percent = u32::try_from(percent).unwrap_or(FULL).clamp(1, FULL);
        self.ramp.store(percent, Ordering::Relaxed);
        true
    }

    /// Its upstream has it no longer.
    pub(super) fn retire(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    fn is_usable(&self) -> bool {
        self.health() == Health::Up && !self.gone.load(Ordering::Relaxed)
    }

    /// Whether clients that do not belong to it may be given to it.
    pub fn takes_new(&self) -> bool {
        self.is_usable() && self.mode() == Mode::Ready && self.weight() > 0
    }

    /// Whether clients that belong to it may be given to it.
    pub fn takes_known(&self) -> bool {
        self.is_usable() && self.mode() != Mode::Maint
    }

    /// Whether a client that waits for any server may be given to it.
    pub(super) fn takes_strangers(&self) -> bool {
        let in_use = || self.fleet.backups.load(Ordering::Relaxed);
        self.takes_new() && (!self.settings.backup || in_use())
    }

    /// Requests at once, as configured or as its agent says; 0 = any number.
    pub fn max_conns(&self) -> usize {
        self.condition.max_conns(self.settings.max_conns)
    }

    /// Whether it has `max_conns` requests.
    pub fn is_full(&self) -> bool {
        let most = self.max_conns();
        most > 0 && self.running() >= most
    }

    /// How busy it is for its share; 0 = idle.
    pub(super) fn load(&self) -> u64 {
        match self.running() as u64 {
            0 => 0,
            running => ((running + 1) << 20) / self.share().max(1),
        }
    }

    /// What it shares with the other servers of its upstream.
    pub(super) fn fleet(&self) -> &Arc<Fleet> {
        &self.fleet
    }

    /// Requests that it works on now.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Requests that it was given.
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// Requests that it failed.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Counts one more running request, unless it has `max_conns`.
    pub(super) fn try_begin(&self) -> bool {
        let begun = match self.max_conns() {
            0 => {
                self.running.fetch_add(1, Ordering::Relaxed);
                true
            }
            most => {
                let one_more = |running| (running < most).then_some(running + 1);
                let (ok, fail) = (Ordering::SeqCst, Ordering::SeqCst);
                self.running.fetch_update(ok, fail, one_more).is_ok()
            }
        };
        if begun {
            self.served.fetch_add(1, Ordering::Relaxed);
            self.fleet.begun();
        }
        begun
    }

    /// Counts one less.
    pub(super) fn end(&self) {
        // Whoever waits for room has said so before it looked.
        self.running.fetch_sub(1, Ordering::SeqCst);
        self.fleet.ended();
    }

    pub(super) fn note_failure(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }
}
