//! What limits have noted of an exchange.

use std::any::Any;
use std::rc::Rc;

/// By which limits it was counted, and the places that it has.
#[derive(Debug, Default)]
pub struct Tally {
    /// Index of the limit in the configuration, and the key that the exchange has there.
    counted: Vec<(usize, u64)>,
    /// Given back when nobody holds them any more.
    places: Vec<Rc<dyn Any>>,
}

impl Tally {
    /// It was counted by `limit` under `key`.
    pub fn count(&mut self, limit: usize, key: u64) {
        self.counted.push((limit, key));
    }

    /// The key under which `limit` has counted it: a request that is sent on to another route is
    /// counted once.
    pub fn key(&self, limit: usize) -> Option<u64> {
        let found = self.counted.iter().find(|(known, _)| *known == limit);
        found.map(|(_, key)| *key)
    }

    /// Keeps `place` until the exchange ends, however it ends.
    pub fn hold(&mut self, place: impl Any) {
        self.places.push(Rc::new(place));
    }

    /// The places, for what outlives the exchange.
    pub fn places(&self) -> &[Rc<dyn Any>] {
        &self.places
    }

    /// Nothing is noted, and no place is held here.
    pub fn clear(&mut self) {
        self.counted.clear();
        self.places.clear();
    }
}
