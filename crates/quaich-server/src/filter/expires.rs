//! `expires`: how long answers may be kept.

use quaich_config::model;

use super::Parts;
use crate::exchange::Exchange;

/// Of one route.
pub(super) struct Expires {}

impl Expires {
    /// `None` when there is nothing to do.
    pub(super) fn new(_settings: &model::Expires, _parts: &Parts<'_>) -> Option<Self> {
        None
    }

    pub(super) fn response(&self, _exchange: &mut Exchange) {}
}
