//! A request body that is read whole before a server sees the request: one of unknown length, for
//! servers whose protocol has no way to send it.
//!
//! Called by `proxy` before it chooses a server, so that no server waits for a slow client.

use quaich_config::model::UpstreamProtocol;
use quaich_proto::h1::BodyLength;

use crate::downstream::service::Scope;
use crate::error::Error;
use crate::spool::{Collected, Collector, SpoolFile};
use crate::upstream::Upstream;
use crate::upstream::wire::Upload;

/// Bodies up to this size stay in memory.
const MEMORY: usize = 64 * 1024;

/// Bytes that are read from the file at once.
const PIECE: usize = 128 * 1024;

/// A body that is here whole, or none.
pub(super) struct Held(Option<Collected>);

impl Held {
    /// Reads the body of `scope` if a server of `upstream` needs to know its length, and the client
    /// has not said it.
    pub(super) async fn hold(
        scope: &mut Scope<'_, '_>,
        upstream: &Upstream,
    ) -> Result<Self, Error> {
        if scope.exchange.request.body != BodyLength::Chunked || !needs_length(upstream) {
            return Ok(Self(None));
        }
        scope.thread.counters.bodies_held.add();
        let mut collector = Collector::default();
        while let Some(piece) = scope.body.data().await? {
            collector.push(piece).await.map_err(|_| Error::internal())?;
        }
        let collected = collector.finish(MEMORY).await;
        Ok(Self(Some(collected.map_err(|_| Error::internal())?)))
    }

    /// Its length; `otherwise` when nothing was read.
    pub(super) fn length(&self, otherwise: BodyLength) -> BodyLength {
        match &self.0 {
            None => otherwise,
            Some(Collected::Memory(bytes)) => BodyLength::Known(bytes.len() as u64),
            Some(Collected::File(file)) => BodyLength::Known(file.len()),
        }
    }

    /// Whether the body was read: it can be sent as often as needed.
    pub(super) fn is_some(&self) -> bool {
        self.0.is_some()
    }

    /// All of it, if it is in memory.
    pub(super) fn memory(&self) -> Option<&[u8]> {
        match &self.0 {
            Some(Collected::Memory(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// Where it is, if it is in a file.
    pub(super) fn file(&self) -> Option<&SpoolFile> {
        match &self.0 {
            Some(Collected::File(file)) => Some(file),
            _ => None,
        }
    }
}

fn needs_length(upstream: &Upstream) -> bool {
    let servers = upstream.group().servers();
    servers.iter().any(|server| {
        matches!(
            server.settings().protocol,
            UpstreamProtocol::Uwsgi | UpstreamProtocol::FastCgi | UpstreamProtocol::Scgi
        )
    })
}

/// Sends the whole of `file`.
pub(super) async fn send(file: &SpoolFile, up: &mut Upload<'_>) -> Result<(), Error> {
    let mut offset = 0;
    let mut bytes = Vec::new();
    while offset < file.len() {
        bytes.resize(PIECE, 0);
        bytes = file
            .read(offset, bytes)
            .await
            .map_err(|_| Error::internal())?;
        if bytes.is_empty() {
            return Err(Error::internal());
        }
        up.data(&bytes).await?;
        offset += bytes.len() as u64;
    }
    up.finish(None).await
}
