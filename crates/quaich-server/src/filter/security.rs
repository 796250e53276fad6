//! `security = { ... }`: fields that tell browsers to be careful.

use quaich_config::model;

use super::Parts;
use crate::exchange::Exchange;

/// Of one route.
pub(super) struct Security {
    fields: Vec<(&'static str, Vec<u8>)>,
}

impl Security {
    /// `None` when there is nothing to do.
    pub(super) fn new(settings: &model::Security, _parts: &Parts<'_>) -> Option<Self> {
        let fields = settings.fields().into_iter();
        let fields: Vec<_> = fields
            .map(|(name, value)| (name, value.as_bytes().to_vec()))
            .collect();
        (!fields.is_empty()).then_some(Self { fields })
    }

    /// An app or upstream that sends a field itself knows better.
    pub(super) fn response(&self, exchange: &mut Exchange) {
        let headers = &mut exchange.response.headers;
        for (name, value) in &self.fields {
            if headers.by_name(name.as_bytes()).is_none() {
                // The configuration's own check has found it valid.
                let _ = headers.push(name.as_bytes(), value);
            }
        }
    }
}
