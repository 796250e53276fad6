//! What can be chosen now, ready to choose from: servers, and backup servers while no other is there.
//!
//! Each thread keeps the one that it got from `Group::plan` until the group has another version.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use quaich_config::model::Balance;

use super::ring::Ring;
use super::tier::{Search, Tier};
use crate::upstream::fleet::Fleet;
use crate::upstream::group::Wish;
use crate::upstream::server::Server;
use crate::upstream::slot::Slot;

/// The servers of one version of a group.
#[derive(Debug)]
pub struct Plan {
    version: u64,
    /// All of the group, usable or not.
    all: Arc<[Arc<Server>]>,
    main: Tier,
    backup: Tier,
    /// Of all servers that are no backups, if the upstream hashes.
    ring: Option<Arc<Ring>>,
    fleet: Arc<Fleet>,
}

/// Why there is no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Every server that may be used has `max_conns`.
    Full,
    /// There is no server to be used.
    Nobody,
}

impl Plan {
    /// Of no servers.
    pub fn empty(fleet: &Arc<Fleet>) -> Self {
        Self {
            version: 0,
            all: Arc::new([]),
            main: Tier::default(),
            backup: Tier::default(),
            ring: None,
            fleet: fleet.clone(),
        }
    }

    /// The plan for `servers`; what did not change is taken over from this one.
    pub fn next(&self, version: u64, servers: Arc<[Arc<Server>]>, balance: &Balance) -> Self {
        let usable = |backup: bool| -> Vec<Arc<Server>> {
            let usable = |s: &&Arc<Server>| s.settings().backup == backup && s.takes_new();
            servers.iter().filter(usable).cloned().collect()
        };
        let (main, backup) = (usable(false), usable(true));
        let fleet = &self.fleet;
        fleet.backups.store(main.is_empty(), Ordering::Relaxed);
        let ring = matches!(balance, Balance::Hash(_)).then(|| match &self.ring {
            Some(ring) if Arc::ptr_eq(&self.all, &servers) => ring.clone(),
            _ => Arc::new(Ring::new(servers.iter().map(|s| (s.name(), points(s))))),
        });
        Self {
            version,
            main: match &ring {
                Some(ring) => Tier::hashed(ring.clone(), &servers, &main),
                None => Tier::new(balance, main, fleet),
            },
            backup: Tier::small(balance, backup),
            all: servers,
            ring,
            fleet: fleet.clone(),
        }
    }

    /// Grows with every change; see `Group::version`.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// A slot of the server that is chosen for a request.
    pub fn choose(&self, wish: &Wish<'_>) -> Result<Slot, Denied> {
        let is_tried = |server: &Arc<Server>| wish.tried.iter().any(|t| Arc::ptr_eq(t, server));
        if let Some(known) = wish.known
            && known.takes_known()
        {
            return Slot::claim(known).ok_or(Denied::Full);
        }
        let fleet = &*self.fleet;
        let search = |tier: &Tier, again: bool| {
            tier.claim(&Search {
                fleet,
                hash: wish.hash,
                another: !wish.tried.is_empty(),
                // A server may have gone out since the plan was made.
                accepts: &|server| server.takes_new() && (again || !is_tried(server)),
            })
        };
        let mut found = search(&self.main, false);
        if found.is_err_and_nobody() {
            found = search(&self.backup, false);
        }
        if !wish.tried.is_empty() && found.is_err_and_nobody() {
            // Better one that has failed before than none.
            found = search(&self.main, true);
            if found.is_err_and_nobody() {
                found = search(&self.backup, true);
            }
        }
        found
    }
}

trait Verdict {
    fn is_err_and_nobody(&self) -> bool;
}

impl Verdict for Result<Slot, Denied> {
    fn is_err_and_nobody(&self) -> bool {
        matches!(self, Err(Denied::Nobody))
    }
}

/// Points on the ring follow from the file alone. Backup servers have none. One with a weight of 0
/// has some: an operator may give it another.
fn points(server: &Server) -> u64 {
    match server.settings().backup {
        true => 0,
        false => u64::from(server.settings().weight.max(1)),
    }
}
