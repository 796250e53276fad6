//! `compress`: content codings of answers.

use quaich_config::model;
use quaich_proto::h1::BodyLength;

use super::Parts;
use super::stage::Stage;
use crate::exchange::Exchange;
use crate::thread::Thread;

/// Of one route.
pub(super) struct Compress {}

impl Compress {
    /// `None` when there is nothing to do.
    pub(super) fn new(_settings: &model::Compress, _parts: &Parts<'_>) -> Option<Self> {
        None
    }

    /// The length of the body as it will be sent, and what it passes on its way.
    pub(super) fn response(
        &self,
        _thread: &Thread,
        _exchange: &mut Exchange,
        length: BodyLength,
    ) -> (BodyLength, Option<Box<Stage>>) {
        (length, None)
    }
}
