//! What limits have noted of an exchange.

use std::any::Any;
use std::fmt::Debug;
use std::rc::Rc;

/// Counts exchanges, each under a key.
pub trait Counter: Debug {
    /// One that was counted under `key` does not count.
    fn give_back(&self, key: u64);
}

/// By which limits it was counted, and the places that it has.
#[derive(Debug, Default)]
pub struct Tally {
    counted: Vec<Counted>,
    /// Given back when nobody holds them any more.
    places: Vec<Rc<dyn Any>>,
}

#[derive(Debug)]
struct Counted {
    /// Index of the limit in the configuration.
    limit: usize,
    /// What the exchange has there.
    key: u64,
    by: Rc<dyn Counter>,
}

impl Tally {
    /// It was counted `by` a limit under `key`.
    pub fn count(&mut self, limit: usize, key: u64, by: Rc<dyn Counter>) {
        self.counted.push(Counted { limit, key, by });
    }

    /// The key under which `limit` has counted it: a request that is sent on to another route is
    /// counted once.
    pub fn key(&self, limit: usize) -> Option<u64> {
        let found = self.counted.iter().find(|counted| counted.limit == limit);
        found.map(|counted| counted.key)
    }

    /// Keeps `place` until the exchange ends, however it ends.
    pub fn hold(&mut self, place: impl Any) {
        self.places.push(Rc::new(place));
    }

    /// The places, for what outlives the exchange.
    pub fn places(&self) -> &[Rc<dyn Any>] {
        &self.places
    }

    /// It is refused: whichever limits have counted it, on this route or one before, it does not
    /// count, and all places are free.
    pub fn give_back(&mut self) {
        for counted in self.counted.drain(..) {
            counted.by.give_back(counted.key);
        }
        self.places.clear();
    }

    /// Nothing is noted, and no place is held here.
    pub fn clear(&mut self) {
        self.counted.clear();
        self.places.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[derive(Debug, Default)]
    struct Book(RefCell<Vec<u64>>);

    impl Counter for Book {
        fn give_back(&self, key: u64) {
            self.0.borrow_mut().push(key);
        }
    }

    #[test]
    fn what_is_refused_counts_nowhere_and_what_is_over_counts() {
        let (one, other, place) = (
            Rc::new(Book::default()),
            Rc::new(Book::default()),
            Rc::new(()),
        );
        let mut tally = Tally::default();
        tally.count(0, 7, one.clone());
        tally.count(3, 8, other.clone());
        tally.hold(place.clone());
        assert_eq!((tally.key(3), tally.key(1)), (Some(8), None));
        tally.give_back();
        tally.give_back();
        assert_eq!((&*one.0.borrow(), &*other.0.borrow()), (&vec![7], &vec![8]));
        assert_eq!((tally.key(3), Rc::strong_count(&place)), (None, 1));
        tally.count(0, 9, one.clone());
        tally.clear();
        assert_eq!(*one.0.borrow(), [7]);
    }
}
