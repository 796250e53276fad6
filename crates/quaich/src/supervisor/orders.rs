//! What the operator says of single servers: passed on to the front, and kept for the next one.

use std::time::Instant;

use quaich_server::link::{NamedOrder, Order, ToFront};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::Supervisor;

impl Supervisor {
    /// Has the front carry an order out; only it knows all servers.
    pub(super) fn ask_order(
        &mut self,
        server: String,
        order: Order,
        reply: oneshot::Sender<Value>,
        now: Instant,
    ) {
        let late = json!({ "error": "the front does not answer; try again" });
        let message = |id| ToFront::Order { id, server, order };
        self.ask_front(message, (reply, late), now);
    }

    /// Keeps what was carried out.
    pub(super) fn remember(&mut self, done: Option<NamedOrder>) {
        let Some(done) = done else { return };
        let same = |known: &&mut NamedOrder| {
            known.upstream == done.upstream && known.server == done.server
        };
        match self.orders.iter_mut().find(same) {
            Some(known) => known.order.add(done.order),
            None => self.orders.push(done),
        }
    }
}
