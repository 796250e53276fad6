//! `limit`: how much a client may ask for.

use quaich_config::model;

use super::{Flow, Parts};
use crate::downstream::service::Scope;
use crate::error::Error;

/// What all threads know of who asked for how much.
#[derive(Default)]
pub struct Store {}

/// Of one route.
pub(super) struct Limits {}

impl Limits {
    /// `None` when there is nothing to do.
    pub(super) fn new(_settings: &model::Limits, _parts: &Parts<'_>) -> Option<Self> {
        None
    }

    pub(super) async fn request(&self, _scope: &mut Scope<'_, '_>) -> Result<Flow, Error> {
        Ok(Flow::Pass)
    }
}
