//! A server's time for one request.

use std::sync::Arc;

use super::server::Server;

/// A server's time for one exchange: counted as running until it is dropped. Then whoever waits for
/// room gets it.
#[derive(Debug)]
pub struct Slot {
    server: Arc<Server>,
}

impl Slot {
    /// One of this server, unless it has `max_conns`.
    pub(super) fn claim(server: &Arc<Server>) -> Option<Self> {
        let begun = server.try_begin();
        begun.then(|| {
            server.fleet().board.touch(server);
            Self::of_begun(server)
        })
    }

    /// The same, of a server that counts it already.
    pub(super) fn of_begun(server: &Arc<Server>) -> Self {
        Self {
            server: server.clone(),
        }
    }

    /// Whose it is.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.server.end();
        let fleet = self.server.fleet();
        fleet.board.touch(&self.server);
        if fleet.queue.is_waited_in() {
            fleet.queue.offer(&self.server);
        }
    }
}
