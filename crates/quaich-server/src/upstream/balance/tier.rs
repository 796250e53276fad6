//! Servers among which a way of choosing decides: all of the plan, or its backups.
//!
//! Called by `plan`. Up to [`FEW`] servers are looked at one by one, without a lock; beyond, `board`
//! keeps them in order.

use std::sync::Arc;

use quaich_config::model::Balance;

use super::board::Order;
use super::lot::{Lot, random};
use super::plan::Denied;
use super::ring::Ring;
use super::schedule::Schedule;
use crate::upstream::fleet::Fleet;
use crate::upstream::server::Server;
use crate::upstream::slot::Slot;

/// So many servers are looked through for every request.
pub const FEW: usize = 16;

/// Draws before all servers are looked through for one that has room.
const DRAWS: usize = 8;

/// A server with fewer running requests is never passed over because others have less to do.
const CALM: usize = 8;

/// Some servers that may be used now.
#[derive(Debug, Default)]
pub(super) struct Tier {
    servers: Box<[Arc<Server>]>,
    way: Way,
}

#[derive(Debug, Default)]
enum Way {
    #[default]
    First,
    Turns(Schedule),
    Least(Option<Schedule>),
    Random(Lot),
    TwoRandom(Lot),
    /// `Tier::servers` has those that are down, too; the sum of the weights of the others.
    Hash(Arc<Ring>, u64),
    /// `Fleet::board` knows.
    Board,
}

/// What is looked for.
pub(super) struct Search<'s> {
    pub(super) fleet: &'s Fleet,
    pub(super) hash: Option<u64>,
    /// Others have failed the request.
    pub(super) another: bool,
    pub(super) accepts: &'s dyn Fn(&Arc<Server>) -> bool,
}

impl Tier {
    /// Servers that may be used, any number of them. Arranges the board.
    pub(super) fn new(balance: &Balance, servers: Vec<Arc<Server>>, fleet: &Fleet) -> Self {
        let many = servers.len() > FEW;
        let limited = servers.iter().any(|server| server.max_conns() > 0);
        let way = match balance {
            Balance::RoundRobin if many && limited => None,
            Balance::RoundRobin => Schedule::new(&shares(&servers)).map(Way::Turns),
            Balance::LeastConn | Balance::First if many => None,
            _ => Some(Way::of_few(balance, &servers)),
        };
        let order = match balance {
            Balance::LeastConn => Order::Load,
            Balance::First => Order::File,
            _ => Order::Turns,
        };
        match way {
            Some(_) => fleet.board.clear(),
            None => fleet.board.arrange(order, &servers),
        }
        Self {
            servers: servers.into(),
            way: way.unwrap_or(Way::Board),
        }
    }

    /// Servers that may be used; few, or it does not matter.
    pub(super) fn small(balance: &Balance, servers: Vec<Arc<Server>>) -> Self {
        Self {
            way: Way::of_few(balance, &servers),
            servers: servers.into(),
        }
    }

    /// All servers of a ring, of which some may be used.
    pub(super) fn hashed(ring: Arc<Ring>, all: &[Arc<Server>], usable: &[Arc<Server>]) -> Self {
        let total = usable.iter().map(|server| u64::from(server.weight())).sum();
        match total {
            0 => Self::default(),
            _ => Self {
                servers: all.into(),
                way: Way::Hash(ring, total),
            },
        }
    }

    /// A slot of one of them.
    pub(super) fn claim(&self, search: &Search<'_>) -> Result<Slot, Denied> {
        if let ([only], Way::Turns(_)) = (&*self.servers, &self.way)
            && (search.accepts)(only)
        {
            return Slot::claim(only).ok_or(Denied::Full);
        }
        let slot = match &self.way {
            Way::First => self.first(0, search),
            Way::Turns(schedule) => self.by_turns(schedule, search),
            Way::Least(schedule) => self.least(schedule.as_ref(), search),
            Way::Random(lot) => self.draw(lot, search),
            Way::TwoRandom(lot) => self.draw_two(lot, search),
            Way::Hash(ring, total) => self.by_hash(ring, *total, search),
            Way::Board => search.fleet.board.claim(search.accepts),
        };
        slot.ok_or_else(|| match self.own().any(search.accepts) {
            true => Denied::Full,
            false => Denied::Nobody,
        })
    }

    /// Its servers; a ring numbers those that are backups, too.
    fn own(&self) -> impl Iterator<Item = &Arc<Server>> {
        let hashes = matches!(self.way, Way::Hash(..));
        let is_own = move |server: &&Arc<Server>| !(hashes && server.settings().backup);
        self.servers.iter().filter(is_own)
    }

    fn try_at(&self, index: usize, search: &Search<'_>) -> Option<Slot> {
        let server = self.servers.get(index)?;
        (search.accepts)(server).then(|| Slot::claim(server))?
    }

    /// The first that has room, from `start` on.
    fn first(&self, start: usize, search: &Search<'_>) -> Option<Slot> {
        let around = (start..self.servers.len()).chain(0..start);
        around
            .into_iter()
            .find_map(|index| self.try_at(index, search))
    }

    fn by_turns(&self, schedule: &Schedule, search: &Search<'_>) -> Option<Slot> {
        let turn = search.fleet.turn(search.another);
        // The next in turn, and whoever follows when that one cannot; not for all of a long period.
        let look = u32::try_from(2 * self.servers.len()).unwrap_or(u32::MAX);
        let slot = (0..look.min(schedule.period())).find_map(|later| {
            let index = schedule.at(turn.wrapping_add(later))?;
            self.try_at(index, search)
        });
        match look < schedule.period() {
            true => slot.or_else(|| self.first(0, search)),
            false => slot,
        }
    }

    fn least(&self, schedule: Option<&Schedule>, search: &Search<'_>) -> Option<Slot> {
        let turn = search.fleet.turn(search.another);
        let start = schedule.and_then(|schedule| schedule.at(turn));
        let start = start.unwrap_or(turn as usize % self.servers.len().max(1));
        let (before, after) = self.servers.split_at_checked(start)?;
        let around = after.iter().chain(before);
        let able = around.filter(|server| !server.is_full() && (search.accepts)(server));
        let least = able.min_by_key(|server| server.load())?;
        // Another thread may have been faster.
        Slot::claim(least).or_else(|| self.first(start, search))
    }

    fn draw(&self, lot: &Lot, search: &Search<'_>) -> Option<Slot> {
        let drawn = (0..DRAWS).find_map(|_| self.try_at(lot.draw(random())?, search));
        drawn.or_else(|| self.first(self.anywhere(), search))
    }

    fn draw_two(&self, lot: &Lot, search: &Search<'_>) -> Option<Slot> {
        let able = |index: &usize| {
            let server = self.servers.get(*index);
            server.is_some_and(|server| !server.is_full() && (search.accepts)(server))
        };
        let mut drawn = (0..DRAWS).filter_map(|_| lot.draw(random())).filter(able);
        let load = |index: usize| self.servers.get(index).map(|server| server.load());
        let chosen = match (drawn.next(), drawn.next()) {
            (Some(first), Some(second)) if load(second) < load(first) => Some(second),
            (first, _) => first,
        };
        let slot = chosen.and_then(|index| self.try_at(index, search));
        slot.or_else(|| self.first(self.anywhere(), search))
    }

    /// The server of the key, or the next one on the ring that has no more than its part to do.
    fn by_hash(&self, ring: &Ring, total: u64, search: &Search<'_>) -> Option<Slot> {
        // The ring is long: nobody goes around it in vain.
        self.own()
            .find(|server| !server.is_full() && (search.accepts)(server))?;
        let running = search.fleet.running() as u64 + 1;
        let is_calm = |server: &Server| {
            let here = server.running();
            // A quarter more than its part of all running requests.
            let bound = u64::from(server.weight()) * running * 5 / (total * 4).max(1);
            here < CALM || here as u64 <= bound
        };
        let key = search.hash.unwrap_or_else(random);
        let find = |accepts: &dyn Fn(&Server) -> bool| {
            ring.from(key).find_map(|index| {
                let server = self.servers.get(index)?;
                accepts(server).then(|| self.try_at(index, search))?
            })
        };
        // When all have as much as they should, the one of the key may have more.
        find(&is_calm).or_else(|| find(&|_| true))
    }

    fn anywhere(&self) -> usize {
        let servers = self.servers.len().max(1) as u64;
        usize::try_from(random() % servers).unwrap_or(0)
    }
}

impl Way {
    fn of_few(balance: &Balance, servers: &[Arc<Server>]) -> Self {
        let shares = shares(servers);
        match balance {
            Balance::RoundRobin => match Schedule::new(&shares) {
                Some(schedule) => Self::Turns(schedule),
                None => Self::Random(Lot::new(&shares)),
            },
            Balance::LeastConn => Self::Least(Schedule::new(&shares)),
            // Backups of servers that are hashed take what comes.
            Balance::Random | Balance::Hash(_) => Self::Random(Lot::new(&shares)),
            Balance::P2c => Self::TwoRandom(Lot::new(&shares)),
            Balance::First => Self::First,
        }
    }
}

fn shares(servers: &[Arc<Server>]) -> Vec<u64> {
    servers.iter().map(|server| server.share().max(1)).collect()
}
