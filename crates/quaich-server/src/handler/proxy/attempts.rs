//! Which server a request is put to, and whether it is put to another one after a failure.
//!
//! Called by `proxy` before and after each attempt. What was never sent may go to any other server;
//! what was sent only if a second time does no harm.

use std::sync::Arc;
use std::time::Duration;

use super::stay::Stay;
use super::{Failed, hash, note_server};
use crate::downstream::service::Scope;
use crate::error::{Error, Kind};
use crate::upstream::endpoint::Want;
use crate::upstream::group::{Slot, Wish};
use crate::upstream::server::Server;
use crate::upstream::{Link, Unreachable, Upstream};

/// Before the same server is connected to again.
const PAUSE: Duration = Duration::from_secs(1);

/// What may still be tried.
pub(super) struct Attempts<'u> {
    upstream: &'u Upstream,
    stay: &'u Stay<'u>,
    left: u32,
    want: Want,
    hash: Option<u64>,
    /// Servers that have failed this request.
    tried: Vec<Arc<Server>>,
    /// Why the last one could not be reached.
    unreachable: Option<Error>,
}

impl<'u> Attempts<'u> {
    /// For the exchange of `scope`, whose client stays with its server as `stay` says.
    pub(super) fn new(scope: &Scope<'_, '_>, stay: &'u Stay<'u>, want: Want) -> Self {
        let upstream = stay.upstream();
        let settings = upstream.settings();
        Self {
            upstream,
            stay,
            left: settings.retries,
            want,
            hash: hash::of(scope.exchange, &settings.balance),
            tried: Vec::new(),
            unreachable: None,
        }
    }

    fn wish(&self, scope: &Scope<'_, '_>) -> Result<Wish<'_>, Error> {
        Ok(Wish {
            known: self.stay.wish(&self.tried)?,
            hash: self.hash,
            client: scope.exchange.client.addr,
            // Who may go nowhere else asks its server again.
            tried: match self.stay.is_bound() {
                true => &[],
                false => &self.tried,
            },
        })
    }

    /// Whether a request that `may_repeat` is to be put to another server since `server` has answered
    /// with this status.
    pub(super) fn repeats(&self, may_repeat: bool, status: u16, server: &Arc<Server>) -> bool {
        self.upstream.settings().retry_on.statuses.contains(&status)
            && may_repeat
            && self.left > 0
            && self.upstream.has_other(&self.tried, server)
            && self.upstream.may_retry()
    }

    /// The server has answered, and not well.
    pub(super) fn after_answer(&mut self, scope: &mut Scope<'_, '_>, link: &Link) {
        self.left = self.left.saturating_sub(1);
        self.note_retry(scope, link.slot.server());
    }

    /// The server has failed: `Ok` if another attempt is worth it.
    pub(super) fn after_failure(
        &mut self,
        scope: &mut Scope<'_, '_>,
        link: &Link,
        failed: Failed,
    ) -> Result<(), Error> {
        let is_close = failed.is_close_unanswered();
        let Failed { error, safe, .. } = failed;
        let wanted = match error.kind {
            Kind::ResponseTimeout => self.upstream.settings().retry_on.timeout,
            _ => true,
        };
        // A kept connection may have been closed just now: that is no failure of the server.
        let stale = link.kept && is_close;
        if !(safe && wanted && self.left > 0 && (stale || self.upstream.may_retry())) {
            return Err(error);
        }
        self.left -= 1;
        self.want.fresh = true;
        let server = link.slot.server();
        match stale && self.stay.is_with(server) {
            true => Self::note_again(scope),
            false => self.note_retry(scope, server),
        }
        Ok(())
    }

    /// The server could not be connected to: `Ok` if another attempt is worth it.
    fn after_unreachable(
        &mut self,
        scope: &mut Scope<'_, '_>,
        server: &Arc<Server>,
        error: Error,
    ) -> Result<(), Error> {
        note_server(scope, server);
        if self.left == 0 || !self.upstream.may_retry() {
            return Err(error);
        }
        self.left -= 1;
        self.unreachable = Some(error);
        self.note_retry(scope, server);
        Ok(())
    }

    fn note_retry(&mut self, scope: &mut Scope<'_, '_>, server: &Arc<Server>) {
        self.tried.push(server.clone());
        Self::note_again(scope);
    }

    fn note_again(scope: &mut Scope<'_, '_>) {
        scope.exchange.notes.retries += 1;
        scope.thread.counters.upstream_retries.add();
        scope.exchange.response.clear();
    }

    fn has_tried(&self, server: &Arc<Server>) -> bool {
        self.tried.iter().any(|tried| Arc::ptr_eq(tried, server))
    }
}

/// A connection to some server. Nothing was sent over a connection that was never made, so another
/// server may be tried whatever the method.
pub(super) async fn connect(
    scope: &mut Scope<'_, '_>,
    attempts: &mut Attempts<'_>,
) -> Result<Link, Error> {
    loop {
        let mut slot = choose(scope, attempts).await?;
        if attempts.unreachable.is_some() && attempts.has_tried(slot.server()) {
            // No other server is there. Perhaps this one, or another, is in a moment.
            drop(slot);
            let timeout = attempts.upstream.settings().connect_timeout;
            let pause = tokio::time::sleep(timeout.min(PAUSE));
            Box::pin(scope.unless_gone(pause)).await?;
            slot = choose(scope, attempts).await?;
        }
        match attempts.upstream.connect(slot, attempts.want).await {
            Ok(link) => return Ok(link),
            Err(Unreachable { error, server }) => match server {
                Some(server) => attempts.after_unreachable(scope, &server, error)?,
                None => return Err(error),
            },
        }
    }
}

/// The time of some server; waits for it if all have `max_conns`.
async fn choose(scope: &mut Scope<'_, '_>, attempts: &Attempts<'_>) -> Result<Slot, Error> {
    let wish = attempts.wish(scope)?;
    let slot = match attempts.upstream.slot(&wish) {
        Ok(Some(slot)) => return Ok(slot),
        Ok(None) => {
            scope.exchange.timings.mark_queued();
            let waiting = Box::pin(attempts.upstream.wait(&wish));
            let waited = Box::pin(scope.unless_gone(waiting)).await;
            scope.exchange.timings.mark_dequeued();
            waited.and_then(|slot| slot)
        }
        Err(error) => Err(error),
    };
    // That none is left says less than why the last one failed.
    slot.map_err(|error| match (error.kind, attempts.unreachable) {
        (Kind::NoServer, Some(reason)) => reason,
        _ => error,
    })
}
