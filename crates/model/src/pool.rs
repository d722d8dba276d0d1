//! Values that many have, each kept once.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};

/// Keys that are kept for values that nobody has any longer, before they are removed.
const SPARE: usize = 1_024;

/// The values that somebody has, by a key that equal values have in common. Of different values with one key, the
/// newest is known. What nobody has any longer is freed.
#[derive(Debug)]
pub struct Pool<K, T> {
    known: HashMap<K, Weak<T>>,
    /// The number of keys at which those are removed whose value is gone.
    sweep_at: usize,
}

impl<K, T> Default for Pool<K, T> {
    fn default() -> Self {
        Self { known: HashMap::new(), sweep_at: 0 }
    }
}

impl<K: Eq + Hash, T: PartialEq> Pool<K, T> {
    /// Replaces a value by the equal one that others have, or else offers it to them.
    pub fn share(&mut self, key: K, own: &mut Arc<T>) {
        match self.known.get(&key).and_then(Weak::upgrade) {
            Some(same) if same == *own => *own = same,
            _ => {
                self.sweep();
                self.known.insert(key, Arc::downgrade(own));
            }
        }
    }

    /// The keys, of which some may be of values that are gone.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Removes the keys of values that are gone, once they may be as many as the others.
    fn sweep(&mut self) {
        if self.known.len() < self.sweep_at {
            return;
        }
        self.known.retain(|_, value| value.strong_count() > 0);
        self.known.shrink_to_fit();
        self.sweep_at = self.known.len() * 2 + SPARE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared(pool: &mut Pool<&'static str, u8>, key: &'static str, value: u8) -> Arc<u8> {
        let mut own = Arc::new(value);
        pool.share(key, &mut own);
        assert_eq!(*own, value);
        own
    }

    #[test]
    fn equal_values_are_one_and_different_ones_are_not() {
        let mut pool = Pool::default();
        let first = shared(&mut pool, "a", 1);
        assert!(Arc::ptr_eq(&first, &shared(&mut pool, "a", 1)));
        assert!(!Arc::ptr_eq(&first, &shared(&mut pool, "b", 1)));
        let newest = shared(&mut pool, "a", 2);
        assert!(Arc::ptr_eq(&newest, &shared(&mut pool, "a", 2)));
        assert_eq!(*first, 1, "who has it keeps it");
    }

    #[test]
    fn what_nobody_has_is_forgotten() {
        let mut pool: Pool<usize, usize> = Pool::default();
        let mut kept = Arc::new(0);
        pool.share(0, &mut kept);
        for number in 1..20 * SPARE {
            pool.share(number, &mut Arc::new(number));
        }
        assert!(pool.len() <= 2 + SPARE, "{}", pool.len());
        let mut again = Arc::new(0);
        pool.share(0, &mut again);
        assert!(Arc::ptr_eq(&again, &kept));
    }
}
