//! The end of the log in memory: all entries that are not flushed yet, and as many flushed ones as the limit allows.

use std::collections::VecDeque;

use openraft::entry::RaftEntry as _;

use crate::engine::Entry;

/// Consecutive entries up to the last one of the log.
#[derive(Debug)]
pub(crate) struct Tail {
    slots: VecDeque<Slot>,
    bytes: usize,
    bytes_max: usize,
    flushed: u64,
}

#[derive(Debug)]
struct Slot {
    entry: Entry,
    bytes: usize,
    /// The batch in which it was appended. Batches are flushed in order.
    batch: u64,
}

impl Tail {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { slots: VecDeque::new(), bytes: 0, bytes_max, flushed: 0 }
    }

    pub(crate) fn push(&mut self, entry: Entry, bytes: usize, batch: u64) {
        self.bytes += bytes;
        self.slots.push_back(Slot { entry, bytes, batch });
    }

    /// The first index held. All entries from there to the end of the log are here.
    pub(crate) fn first_index(&self) -> Option<u64> {
        self.slots.front().map(|slot| slot.entry.index())
    }

    /// The entries held in `start..end`.
    pub(crate) fn range(&self, start: u64, end: u64) -> Vec<Entry> {
        let wanted = self.slots.iter().skip_while(|slot| slot.entry.index() < start);
        wanted.take_while(|slot| slot.entry.index() < end).map(|slot| slot.entry.clone()).collect()
    }

    /// Drops the entries from `first_gone` on.
    pub(crate) fn truncate(&mut self, first_gone: u64) {
        while let Some(slot) = self.slots.pop_back_if(|slot| slot.entry.index() >= first_gone) {
            self.bytes -= slot.bytes;
        }
    }

    /// Drops the entries up to and including `last_gone`.
    pub(crate) fn purge(&mut self, last_gone: u64) {
        while let Some(slot) = self.slots.pop_front_if(|slot| slot.entry.index() <= last_gone) {
            self.bytes -= slot.bytes;
        }
    }

    /// Records that all batches up to this one are on disk, and drops the entries beyond the limit.
    pub(crate) fn flushed(&mut self, batch: u64) {
        self.flushed = self.flushed.max(batch);
        while self.bytes > self.bytes_max
            && let Some(slot) = self.slots.pop_front_if(|slot| slot.batch <= self.flushed)
        {
            self.bytes -= slot.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use openraft::LogId;

    use super::*;

    #[track_caller]
    fn check(tail: &Tail, expected: &[u64]) {
        let held: Vec<u64> = tail.range(0, u64::MAX).iter().map(|entry| entry.index()).collect();
        assert_eq!(held, expected);
        assert_eq!(tail.bytes, held.len() * 10);
        assert_eq!(tail.first_index(), expected.first().copied());
    }

    fn tail(indexes: std::ops::Range<u64>) -> Tail {
        let mut tail = Tail::new(30);
        for index in indexes {
            tail.push(Entry::new_blank(LogId::new_term_index(1, index)), 10, index);
        }
        tail
    }

    #[test]
    fn what_is_not_flushed_stays() {
        let mut tail = tail(1..7);
        tail.flushed(2);
        check(&tail, &[3, 4, 5, 6]);
        tail.flushed(6);
        check(&tail, &[4, 5, 6]);
    }

    #[test]
    fn both_ends_can_be_cut() {
        let mut tail = tail(1..7);
        tail.truncate(5);
        tail.purge(2);
        check(&tail, &[3, 4]);
        assert_eq!(tail.range(4, 5).len(), 1);
        tail.truncate(0);
        check(&tail, &[]);
    }

    #[test]
    fn a_rewritten_entry_is_not_taken_for_flushed() {
        let mut tail = tail(1..6);
        tail.truncate(2);
        for index in 2..6 {
            tail.push(Entry::new_blank(LogId::new_term_index(2, index)), 10, index + 10);
        }
        tail.flushed(5);
        check(&tail, &[2, 3, 4, 5]);
    }
}
