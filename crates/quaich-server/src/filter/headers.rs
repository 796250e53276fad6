//! `request_headers`, `response_headers`: fields that are set, added, removed.

use quaich_config::model;

use super::{Flow, Parts};
use crate::downstream::service::Scope;
use crate::error::Error;
use crate::exchange::Exchange;

/// Of one route.
pub(super) struct Headers {}

impl Headers {
    /// `None` when there is nothing to do.
    pub(super) fn new(_settings: &model::Headers, _parts: &Parts<'_>) -> Option<Self> {
        None
    }

    pub(super) async fn request(&self, _scope: &mut Scope<'_, '_>) -> Result<Flow, Error> {
        Ok(Flow::Pass)
    }

    pub(super) fn response(&self, _exchange: &mut Exchange) {}
}
