//! What `sticky` of the upstream means for one exchange. Called by `proxy`.

use std::sync::Arc;

use crate::error::{Error, Kind};
use crate::exchange::Exchange;
use crate::observe::counters::Counters;
use crate::upstream::Upstream;
use crate::upstream::server::Server;

/// A client and the server that it belongs to.
pub(super) struct Stay<'u> {
    upstream: &'u Upstream,
    known: Option<Arc<Server>>,
}

impl<'u> Stay<'u> {
    /// Reads the request of `exchange`.
    pub(super) fn new(upstream: &'u Upstream, exchange: &Exchange) -> Self {
        let known = upstream.sticky().and_then(|sticky| {
            let headers = &exchange.request.headers;
            sticky.known(upstream.group(), headers, exchange.client.addr)
        });
        Self { upstream, known }
    }

    /// The servers.
    pub(super) fn upstream(&self) -> &'u Upstream {
        self.upstream
    }

    /// Whether the client belongs to `server`.
    pub(super) fn is_with(&self, server: &Arc<Server>) -> bool {
        let known = self.known.as_ref();
        known.is_some_and(|known| Arc::ptr_eq(known, server))
    }

    /// Whether the client may be given to no other server than its own.
    pub(super) fn is_bound(&self) -> bool {
        let sticky = self.upstream.sticky();
        self.known.is_some() && sticky.is_some_and(|sticky| !sticky.moves())
    }

    /// The server to be asked for, when some have failed; fails when the client may have no other.
    pub(super) fn wish(&self, tried: &[Arc<Server>]) -> Result<Option<&Arc<Server>>, Error> {
        let (Some(known), Some(sticky)) = (&self.known, self.upstream.sticky()) else {
            return Ok(None);
        };
        if sticky.moves() {
            let failed = tried.iter().any(|server| Arc::ptr_eq(server, known));
            return Ok(Some(known).filter(|_| !failed));
        }
        match known.takes_known() {
            true => Ok(Some(known)),
            false => Err(Error::upstream(Kind::NoServer)),
        }
    }

    /// Counts that `server` has got the request.
    pub(super) fn count(&self, server: &Arc<Server>, counters: &Counters) {
        match &self.known {
            Some(_) if self.is_with(server) => counters.sticky_hits.add(),
            Some(_) => counters.sticky_redispatches.add(),
            None => {}
        }
    }

    /// Edits the head of the answer of `server`.
    pub(super) fn answer(
        &self,
        server: &Arc<Server>,
        exchange: &mut Exchange,
    ) -> Result<(), Error> {
        let Some(sticky) = self.upstream.sticky() else {
            return Ok(());
        };
        let (group, https) = (self.upstream.group(), exchange.client.https);
        let which = (self.known.as_ref(), server);
        let edited = sticky.answer(group, &mut exchange.response, which, https);
        if let Some(cookie) = edited.map_err(|_| Error::internal())? {
            let pushed = exchange.additions.push(b"Set-Cookie", cookie.as_bytes());
            pushed.map_err(|_| Error::internal())?;
        }
        Ok(())
    }
}
