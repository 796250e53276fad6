//! `prefix`: answers of apps that know nothing of where they are mounted.

use quaich_config::model;

use super::Parts;
use crate::exchange::Exchange;

/// Of one route.
pub(super) struct Mount {}

impl Mount {
    /// `None` when there is nothing to do.
    pub(super) fn new(_route: &model::Route, _parts: &Parts<'_>) -> Option<Self> {
        None
    }

    pub(super) fn response(&self, _exchange: &mut Exchange) {}
}
