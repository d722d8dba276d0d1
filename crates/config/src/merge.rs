//! How a later source changes what earlier ones said: scalars are replaced, lists grow, maps join by key.

use std::collections::BTreeMap;

/// Takes over what a later source says.
pub(crate) trait Merge {
    fn merge(&mut self, later: Self);
}

impl<T> Merge for Option<T> {
    fn merge(&mut self, later: Self) {
        if later.is_some() {
            *self = later;
        }
    }
}

impl<T> Merge for Vec<T> {
    fn merge(&mut self, later: Self) {
        self.extend(later);
    }
}

impl<K: Ord, V> Merge for BTreeMap<K, V> {
    fn merge(&mut self, later: Self) {
        self.extend(later);
    }
}
