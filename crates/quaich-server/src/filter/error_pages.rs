//! `error_pages`: what answers of an error status show.

use quaich_config::model;

use super::Parts;
use crate::exchange::Exchange;

/// Of one route.
pub(super) struct ErrorPages {}

impl ErrorPages {
    /// `None` when there is nothing to do.
    pub(super) fn new(_settings: &model::ErrorPages, _parts: &Parts<'_>) -> Option<Self> {
        None
    }

    /// Appends the page of `status` to `out` and returns its `Content-Type`; `None` = the built-in
    /// one.
    pub(super) fn render(
        &self,
        _out: &mut Vec<u8>,
        _exchange: &Exchange,
        _status: u16,
    ) -> Option<&str> {
        None
    }

    /// Whether answers of apps and upstreams with `status` are replaced by the page.
    pub(super) fn replaces(&self, _status: u16) -> bool {
        false
    }
}
