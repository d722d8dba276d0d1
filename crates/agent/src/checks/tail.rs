//! Keeps the end of a target's output, and counts all of it.

use std::collections::VecDeque;

/// Keeps the last bytes. Earlier bytes are only counted.
#[derive(Debug)]
pub(super) struct Tail {
    kept: VecDeque<u8>,
    limit: usize,
    total: u64,
}

impl Tail {
    pub(super) fn new(limit: usize) -> Self {
        Self { kept: VecDeque::new(), limit, total: 0 }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        let bytes = &bytes[bytes.len().saturating_sub(self.limit)..];
        let surplus = (self.kept.len() + bytes.len()).saturating_sub(self.limit);
        self.kept.drain(..surplus);
        self.kept.extend(bytes);
    }

    /// Bytes seen.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn text(&self) -> String {
        let bytes: Vec<u8> = self.kept.iter().copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The text. If bytes are missing, it says so first, in the words of Consul's agents.
    pub(super) fn captured(&self) -> String {
        let (kept, text) = (self.kept.len(), self.text());
        if self.total <= kept as u64 {
            return text;
        }
        format!("Captured {kept} of {} bytes\n...\n{text}", self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(limit: usize, parts: &[&str], expected: &str) {
        let mut tail = Tail::new(limit);
        parts.iter().for_each(|part| tail.push(part.as_bytes()));
        assert_eq!(tail.captured(), expected);
    }

    #[test]
    fn the_end_is_kept() {
        check(4, &[], "");
        check(4, &["ab", "cd"], "abcd");
        check(4, &["ab", "cd", "e"], "Captured 4 of 5 bytes\n...\nbcde");
        check(4, &["abcdefgh"], "Captured 4 of 8 bytes\n...\nefgh");
        check(0, &["a"], "Captured 0 of 1 bytes\n...\n");
    }
}
