//! How far a mistaken word is from a known one: for `did you mean`, wherever that is said.

/// The number of characters to insert, delete, replace or swap with their neighbour to turn one word into the other.
pub fn edits(a: &str, b: &str) -> usize {
    strsim::osa_distance(a, b)
}

/// The most edits at which a known word may be meant by one of so many characters: a third of them, and one at least.
pub fn edits_max(chars: usize) -> usize {
    1.max(chars / 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_in_the_wrong_order_are_one_mistake() {
        for (a, b, expected) in
            [("prot", "port", 1), ("htp", "http", 1), ("port", "port", 0), ("zz", "port", 4)]
        {
            assert_eq!(edits(a, b), expected, "{a} {b}");
        }
        assert!(edits("prot", "port") <= edits_max("prot".len()), "short words are understood too");
    }
}
