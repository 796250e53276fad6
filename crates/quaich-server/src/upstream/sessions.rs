//! HTTP/2 connections to one server, each shared by many exchanges of this thread.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::addresses::Addresses;
use super::wire::http2::{Lease, Session};
use crate::deadline::Deadlines;

/// The connections of one thread to one server.
pub struct Sessions {
    /// With the address of each, if it goes over TCP.
    open: RefCell<Vec<(Session, Option<SocketAddr>)>>,
    deadlines: Rc<Deadlines>,
}

impl Sessions {
    /// None yet.
    pub fn new(deadlines: Rc<Deadlines>) -> Self {
        Self {
            open: RefCell::default(),
            deadlines,
        }
    }

    /// A stream of the oldest connection that has one to give, so that the youngest fall idle.
    pub fn lease(&self) -> Option<Lease> {
        let open = self.open.borrow();
        if open.is_empty() {
            return None;
        }
        let found = open.iter().find_map(|(s, _)| s.lease(&self.deadlines));
        drop(open);
        if found.is_none() {
            self.open
                .borrow_mut()
                .retain(|(session, _)| !session.is_closed());
        }
        found
    }

    /// Adds a connection to `peer` and takes its first stream.
    pub fn add(&self, session: Session, peer: Option<SocketAddr>) -> Option<Lease> {
        let lease = session.first_lease(&self.deadlines);
        self.open.borrow_mut().push((session, peer));
        lease
    }

    /// Gives up connections to addresses that the server has no more: each ends with the last of
    /// its exchanges.
    pub fn leave_vanished(&self, addresses: &Addresses) {
        let mut open = self.open.borrow_mut();
        open.retain(|(_, peer)| peer.is_none_or(|peer| addresses.include(&peer)));
    }

    /// Gives up connections that were idle for so long, and those that have ended.
    pub fn reap(&self, idle: Duration) {
        self.open.borrow_mut().retain(|(session, _)| {
            !session.is_closed() && session.idle().is_none_or(|since| since < idle)
        });
    }
}
