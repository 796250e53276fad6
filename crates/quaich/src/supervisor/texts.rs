//! Looks whether files that filters work with have changed, and tells the front. Part of the
//! supervisor's loop.

use std::time::{Duration, Instant};

use quaich_server::link::ToFront;
use quaich_server::observe::log;

use super::{Phase, Supervisor};
use crate::texts::Change;

/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(2);

impl Supervisor {
    /// When to look again; `None` = there is nothing to look at.
    pub(super) fn texts_deadline(&self) -> Option<Instant> {
        self.texts_at.filter(|_| self.phase == Phase::Running)
    }

    /// From now on files are looked at, if there are any.
    pub(super) fn begin_texts(&mut self, now: Instant) {
        self.texts_at = (!self.plan.texts.is_empty()).then(|| now + LOOK);
    }

    pub(super) fn care_for_texts(&mut self, now: Instant) {
        if self.texts_deadline().is_some_and(|at| at <= now) {
            self.texts_at = Some(now + LOOK);
            self.look_at_texts();
        }
    }

    /// Looks whether files have changed.
    pub(super) fn look_at_texts(&mut self) {
        let mut new = false;
        for change in self.plan.texts.look() {
            match change {
                Change::Bad(failure) => {
                    let why = failure.line();
                    log::error!("{why}; what was read before goes on being used");
                }
                Change::Replaced(what) => {
                    log::info!("{what} was replaced");
                    new = true;
                }
            }
        }
        if new {
            self.tell(ToFront::Texts(self.plan.texts.loaded()), Vec::new());
        }
    }
}
