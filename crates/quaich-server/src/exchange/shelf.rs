//! Exchanges, lent from a shelf of the thread: connections that serve many requests at once need many
//! for a short time each.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

use super::Exchange;

/// Exchanges that a thread keeps for reuse.
const SHELF: usize = 128;

/// Bytes of header fields beyond which an exchange is not kept: few requests need so much.
const ORDINARY: usize = 8 * 1024;

thread_local! {
    #[allow(clippy::vec_box, reason = "an exchange is large: its task holds but its place")]
    static FREE: RefCell<Vec<Box<Exchange>>> = const { RefCell::new(Vec::new()) };
}

/// An exchange that goes back to the shelf.
#[derive(Debug)]
pub struct Lent(Option<Box<Exchange>>);

impl Exchange {
    /// An exchange of which nothing is known yet.
    pub fn lend() -> Lent {
        Lent(Some(FREE.with_borrow_mut(Vec::pop).unwrap_or_default()))
    }

    fn is_ordinary(&self) -> bool {
        let headers = [&self.request.headers, &self.response.headers];
        headers
            .iter()
            .all(|headers| headers.wire_size() <= ORDINARY)
            && self.request.target().len() <= ORDINARY
    }
}

impl Deref for Lent {
    type Target = Exchange;

    fn deref(&self) -> &Exchange {
        // Taken by `drop` alone.
        self.0
            .as_deref()
            .expect("an exchange is lent until it is dropped")
    }
}
impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Exchange {
        self.0
            .as_deref_mut()
            .expect("an exchange is lent until it is dropped")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(mut exchange) = self.0.take().filter(|exchange| exchange.is_ordinary()) else {
            return;
        };
        exchange.reset();
        exchange.session = None;
        // A thread that ends may drop exchanges after its shelf is gone.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < SHELF {
                free.push(exchange);
            }
        });
    }
}
