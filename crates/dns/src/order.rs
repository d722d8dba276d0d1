//! The random order of answers: clients mostly take the first.

use concord_runtime::Entropy;

/// Puts what is listed in a random order, each equally likely (Fisher and Yates).
pub(crate) fn shuffle<T>(list: &mut [T], entropy: &dyn Entropy) {
    for at in (1..list.len()).rev() {
        let other = entropy.below(u64::try_from(at).map_or(u64::MAX, |at| at + 1));
        list.swap(at, usize::try_from(other).unwrap_or(at));
    }
}

#[cfg(test)]
mod tests {
    use concord_runtime::SeededEntropy;

    use super::*;

    #[test]
    fn each_order_comes_up() {
        let (entropy, mut seen) = (SeededEntropy::new(1), std::collections::BTreeSet::new());
        for _ in 0..200 {
            let mut list = [1, 2, 3];
            shuffle(&mut list, &entropy);
            seen.insert(list);
        }
        assert_eq!(seen.len(), 6);
        shuffle::<u8>(&mut [], &entropy);
    }
}
