//! How long requests take here: a hint for the front, which wakes more threads when it is long.
//!
//! Reads the clock for one request in eight, so that its cost vanishes.

use std::sync::atomic::Ordering;
use std::time::Instant;

use quaich_proto::worker::region::Region;
use quaich_proto::worker::state::Owner;

#[derive(Debug, Default)]
pub(super) struct ServiceClock {
    requests: u64,
    since: Option<Instant>,
    average: u64,
}

impl ServiceClock {
    /// A request begins.
    pub(super) fn busy(&mut self) {
        if self.requests.is_multiple_of(8) {
            self.since = Some(Instant::now());
        }
        self.requests = self.requests.wrapping_add(1);
    }

    /// The thread looks for work again.
    pub(super) fn idle(&mut self, region: &Region, owner: Owner) {
        let Some(since) = self.since.take() else {
            return;
        };
        let now = since.elapsed().as_nanos().min(u128::from(u32::MAX)) as u64;
        self.average = if self.average == 0 {
            now
        } else {
            (self.average * 3 + now) / 4
        };
        region
            .service(owner.worker, usize::from(owner.thread))
            .store(self.average, Ordering::Relaxed);
    }
}
