//! `security`: fields that tell browsers to be careful.

use quaich_config::model;

use super::Parts;
use crate::exchange::Exchange;

/// Of one route.
pub(super) struct Security {}

impl Security {
    /// `None` when there is nothing to do.
    pub(super) fn new(_settings: &model::Security, _parts: &Parts<'_>) -> Option<Self> {
        None
    }

    pub(super) fn response(&self, _exchange: &mut Exchange) {}
}
