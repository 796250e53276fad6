//! `rewrite`: other paths.

use quaich_config::model;

use super::{Flow, Parts};
use crate::downstream::service::Scope;
use crate::error::Error;

/// Of one route.
pub(super) struct Rewrite {}

impl Rewrite {
    /// `None` when there is nothing to do.
    pub(super) fn new(_settings: &model::Rewrite, _parts: &Parts<'_>) -> Option<Self> {
        None
    }

    pub(super) async fn request(&self, _scope: &mut Scope<'_, '_>) -> Result<Flow, Error> {
        Ok(Flow::Pass)
    }
}
