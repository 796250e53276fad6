//! Who is least, among many whose keys change one at a time: a tree of matches, played again only
//! from the changed leaf to the root.
//!
//! `board` has one for upstreams of more servers than can be looked through per request.

/// What is compared: the load first, then whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Less is better.
    pub load: u64,
    /// Among equally loaded ones the earliest is next.
    pub due: u64,
}

impl Key {
    /// Never chosen.
    pub const OUT: Self = Self {
        load: u64::MAX,
        due: u64::MAX,
    };
}

/// The tree. Leaves have numbers from 0.
#[derive(Debug)]
pub struct Tournament {
    keys: Vec<Key>,
    /// Winners, as in a heap: 1 is the final, `2 n` and `2 n + 1` play for `n`.
    winners: Vec<u32>,
    /// Matches of the first round begin here; a power of two.
    leaves: usize,
}

impl Tournament {
    /// A tree over these keys.
    pub fn new(mut keys: Vec<Key>) -> Self {
        let leaves = keys.len().max(1).next_power_of_two();
        keys.resize(leaves, Key::OUT);
        let mut tree = Self {
            winners: vec![0; 2 * leaves],
            keys,
            leaves,
        };
        for (index, winner) in tree.winners.iter_mut().skip(leaves).enumerate() {
            *winner = u32::try_from(index).unwrap_or(u32::MAX);
        }
        for node in (1..leaves).rev() {
            tree.play(node);
        }
        tree
    }

    /// The least, if any is in.
    pub fn winner(&self) -> Option<usize> {
        let winner = *self.winners.get(1)? as usize;
        (self.key(winner).load != u64::MAX).then_some(winner)
    }

    /// The key of a leaf; that of one which is not there is [`Key::OUT`].
    pub fn key(&self, leaf: usize) -> Key {
        self.keys.get(leaf).copied().unwrap_or(Key::OUT)
    }

    /// Changes a key.
    pub fn set(&mut self, leaf: usize, key: Key) {
        let Some(known) = self.keys.get_mut(leaf) else {
            return;
        };
        *known = key;
        let mut node = (self.leaves + leaf) / 2;
        while node > 0 {
            self.play(node);
            node /= 2;
        }
    }

    fn play(&mut self, node: usize) {
        let player = |at: usize| self.winners.get(at).copied().unwrap_or(u32::MAX);
        let (left, right) = (player(2 * node), player(2 * node + 1));
        let better = match self.key(right as usize) < self.key(left as usize) {
            true => right,
            false => left,
        };
        if let Some(winner) = self.winners.get_mut(node) {
            *winner = better;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(load: u64, due: u64) -> Key {
        Key { load, due }
    }

    #[test]
    fn whoever_is_out_never_wins() {
        assert_eq!(Tournament::new(Vec::new()).winner(), None);
        let mut tree = Tournament::new(vec![key(0, 0), Key::OUT]);
        assert_eq!(tree.winner(), Some(0));
        tree.set(0, Key::OUT);
        assert_eq!(tree.winner(), None);
    }

    proptest! {
        #[test]
        fn the_winner_is_the_least(
            first in prop::collection::vec((0_u64..9, 0_u64..9), 1..40),
            changes in prop::collection::vec((0_usize..40, (0_u64..9, 0_u64..9)), 0..40),
        ) {
            let mut keys: Vec<Key> = first.iter().map(|k| key(k.0, k.1)).collect();
            let mut tree = Tournament::new(keys.clone());
            for (at, (load, due)) in changes {
                let at = at % keys.len();
                keys[at] = key(load, due);
                tree.set(at, keys[at]);
                let least = (0..keys.len()).min_by_key(|i| (keys[*i], *i));
                prop_assert_eq!(tree.winner(), least);
            }
        }
    }
}
