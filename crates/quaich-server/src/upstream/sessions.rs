//! HTTP/2 connections to one server, each shared by many exchanges of this thread.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::wire::http2::{Lease, Session};
use crate::deadline::Deadlines;

/// The connections of one thread to one server.
pub struct Sessions {
    open: RefCell<Vec<Session>>,
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
        let found = open.iter().find_map(|s| s.lease(&self.deadlines));
        drop(open);
        if found.is_none() {
            self.open
                .borrow_mut()
                .retain(|session| !session.is_closed());
        }
        found
    }

    /// Adds a connection and takes its first stream.
    pub fn add(&self, session: Session) -> Option<Lease> {
        let lease = session.first_lease(&self.deadlines);
        self.open.borrow_mut().push(session);
        lease
    }

    /// Gives up connections that were idle for so long, and those that have ended.
    pub fn reap(&self, idle: Duration) {
        self.open.borrow_mut().retain(|session| {
            !session.is_closed() && session.idle().is_none_or(|since| since < idle)
        });
    }
}
