//! `maintenance`: the site is closed for a while, by the configuration, by a file that is there, or by
//! command.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use quaich_config::model::{self, Network};

use super::error_pages::Shown;
use super::pages::Page;
use super::{Flow, Parts, Shared};
use crate::downstream::service::Scope;
use crate::error::{Error, Kind, Side};
use crate::exchange::Exchange;
use crate::forwarded;
use crate::link::Closed;

/// What the supervisor says of all sites, for all threads.
#[derive(Debug, Default)]
pub struct Board {
    /// Grows with each word of the supervisor.
    version: AtomicU64,
    closed: RwLock<Closed>,
}

impl Board {
    /// This instead of what was said before.
    pub fn replace(&self, closed: Closed) {
        *self.closed.write().unwrap_or_else(PoisonError::into_inner) = closed;
        self.version.fetch_add(1, Ordering::Release);
    }

    fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}

/// Of one route.
pub(super) struct Maintenance {
    shared: Arc<Shared>,
    site: usize,
    on: bool,
    when_file: Option<PathBuf>,
    allow: Vec<Network>,
    retry_after: String,
    page: Option<Page>,
    /// Whether it is closed, as of a version of the board.
    closed: Cell<(u64, bool)>,
}

impl Maintenance {
    /// `None` when it is never closed.
    pub(super) fn new(
        site: usize,
        settings: &model::Maintenance,
        parts: &Parts<'_>,
    ) -> Option<Self> {
        if settings.never {
            return None;
        }
        let seconds = settings.retry_after.as_millis().div_ceil(1000);
        Some(Self {
            shared: parts.shared.clone(),
            site,
            on: settings.on,
            when_file: settings.when_file.clone(),
            allow: settings.allow.iter().map(forwarded::canonical).collect(),
            retry_after: seconds.to_string(),
            page: settings
                .page
                .as_ref()
                .map(|file| Page::new(file, parts.shared)),
            // No board is that old.
            closed: Cell::new((u64::MAX, false)),
        })
    }

    /// Refuses the request if it is closed.
    pub(super) fn request(&self, scope: &mut Scope<'_, '_>) -> Result<Flow, Error> {
        if !self.is_closed() || self.lets_in(scope.exchange) {
            return Ok(Flow::Pass);
        }
        scope.thread.counters.maintenance.add();
        let additions = &mut scope.exchange.additions;
        // Digits are valid.
        let _ = additions.push(b"Retry-After", self.retry_after.as_bytes());
        Err(Error::new(Kind::Maintenance, Side::Internal))
    }

    /// Appends its page to `out`; `None` = there is none of its own.
    pub(super) fn render(&self, out: &mut Vec<u8>, exchange: &Exchange) -> Option<Shown> {
        let content_type = self.page.as_ref()?.render(out, exchange)?;
        Some(Shown {
            content_type,
            status: None,
        })
    }

    fn is_closed(&self) -> bool {
        let board = &self.shared.maintenance;
        let version = board.version();
        let (of, closed) = self.closed.get();
        if of == version {
            return closed;
        }
        let said = board.closed.read().unwrap_or_else(PoisonError::into_inner);
        let is_there = |file: &PathBuf| said.files.contains(file);
        let by_command = said.by_command(self.site);
        let closed = by_command.unwrap_or(self.on || self.when_file.as_ref().is_some_and(is_there));
        self.closed.set((version, closed));
        closed
    }

    fn lets_in(&self, exchange: &Exchange) -> bool {
        let Some(addr) = exchange.client.addr else {
            return false;
        };
        let within = |network: &Network| forwarded::is_within(addr, network);
        self.allow.iter().any(within)
    }
}
