//! What all threads know of one server: whether it may be given requests, and what it does now.
//!
//! Requests, checks, the control socket and discovery change it; `group` chooses by it.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use quaich_config::model::{self, UpstreamServer};

use super::addresses::Addresses;
use super::health::Condition;
use super::pool::Shelf;
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
}

impl Server {
    /// A server that is up and ready.
    pub(super) fn new(
        settings: UpstreamServer,
        upstream: &model::Upstream,
        place: usize,
        threads: usize,
    ) -> Self {
        let condition = match &upstream.health {
            Some(health) => Condition::new(true, !health.initially_up),
            None => Condition::default(),
        };
        Self {
            addresses: Addresses::new(&settings.addr),
            shelf: Shelf::new(upstream.keepalive, threads),
            place,
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
    pub(super) fn for_tests(keepalive: usize, threads: usize) -> std::sync::Arc<Self> {
        let settings = quaich_config::addr::server("a:80", std::path::Path::new("/"));
        let settings = settings.expect("a server");
        std::sync::Arc::new(Self {
            addresses: Addresses::new(&settings.addr),
            shelf: Shelf::new(keepalive, threads),
            place: 0,
            condition: Condition::default(),
            mode: AtomicU8::new(0),
            weight: AtomicU32::new(1),
            given_weight: AtomicU32::new(1),
            running: AtomicUsize::new(0),
            served: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            settings,
        })
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

    /// As if a check had found this.
    #[cfg(test)]
    pub(super) fn find(&self, health: Health) {
        let reason = super::health::Reason::Checks;
        self.condition.set_for_tests(reason, health == Health::Down);
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
        self.mode.swap(mode as u8, Ordering::Relaxed) != mode as u8
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
        }
        if news {
            self.condition.tell();
        }
        news
    }

    /// Whether clients that do not belong to it may be given to it.
    pub fn takes_new(&self) -> bool {
        self.health() == Health::Up && self.mode() == Mode::Ready && self.weight() > 0
    }

    /// Whether clients that belong to it may be given to it.
    pub fn takes_known(&self) -> bool {
        self.health() == Health::Up && self.mode() != Mode::Maint
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

    pub(super) fn begin(&self) {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.served.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn note_failure(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }
}
