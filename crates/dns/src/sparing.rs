//! Protects others from our answers: whoever writes a false sender into a datagram directs our answer at a victim.
//!
//! Answers that are not much larger than their questions are of no use for that. Of larger ones, a network gets a limited
//! number per second; then its clients are told to come over TCP, where a false sender gets nothing.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use concord_runtime::Entropy;

use crate::limits::{AMPLIFIED_NETWORKS, AMPLIFIED_PER_SECOND};
use crate::question::HEADER_BYTES;

/// Counts answers by network. Its size does not depend on how many networks ask.
pub(crate) struct Sparing {
    /// In each the second of the clock, and the answers in it.
    counters: Box<[AtomicU64]>,
    /// Keeps it unknown which networks share a counter.
    seed: u64,
}

impl Sparing {
    pub(crate) fn new(entropy: &dyn Entropy) -> Self {
        let counters = (0..AMPLIFIED_NETWORKS).map(|_| AtomicU64::new(0)).collect();
        Self { counters, seed: entropy.u64() }
    }

    /// Whether another larger answer may go to this address in this second. Local addresses are never limited.
    pub(crate) fn allows(&self, to: IpAddr, second: u64) -> bool {
        let to = to.to_canonical();
        if to.is_loopback() {
            return true;
        }
        let network = match to {
            IpAddr::V4(own) => u64::from(own.to_bits() >> 8),
            IpAddr::V6(own) => (own.to_bits() >> 72) as u64 | 1 << 63,
        };
        let Some(counter) = self.counters.get(self.place(network)) else { return true };
        let second = second & u64::from(u32::MAX);
        let more = |old: u64| {
            let count = if old >> 32 == second { old & u64::from(u32::MAX) } else { 0 };
            (count < u64::from(AMPLIFIED_PER_SECOND)).then_some(second << 32 | (count + 1))
        };
        counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Mixes the network with the seed (the finaliser of SplitMix64).
    fn place(&self, network: u64) -> usize {
        let mut mixed = network ^ self.seed;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ mixed >> 31) % self.counters.len() as u64).unwrap_or(0)
    }
}

/// Whether an answer is so large that it is worth directing at somebody: more than half as large again as the question.
pub(crate) fn amplifies(question: usize, answer: usize) -> bool {
    answer * 2 > question * 3
}

/// The same answer without any record, which sends the client to TCP: header and question. `None` if it is no answer.
pub(crate) fn cut(answer: &[u8]) -> Option<Vec<u8>> {
    let end = question_end(answer)?;
    let mut own = answer.get(..end)?.to_vec();
    own[2] |= 0x02;
    own[6..HEADER_BYTES].fill(0);
    Some(own)
}

/// Where the first question of a message ends. `None` if it has none that is written out.
pub(crate) fn question_end(message: &[u8]) -> Option<usize> {
    if message.get(4..6)? != [0, 1] {
        return None;
    }
    let mut at = HEADER_BYTES;
    loop {
        match *message.get(at)? {
            0 => return message.get(at..at + 5).map(|_| at + 5),
            length @ 1..64 => at += usize::from(length) + 1,
            // A pointer, to which nothing comes before it.
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use concord_runtime::SeededEntropy;

    use super::*;

    #[test]
    fn n_21_a_network_gets_a_limited_number_of_large_answers_each_second() {
        let own = Sparing::new(&SeededEntropy::new(3));
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        for at in 0..AMPLIFIED_PER_SECOND {
            assert!(own.allows(address((at % 256) as u8), 9));
        }
        assert!(!own.allows(address(7), 9) && !own.allows("::ffff:192.0.2.9".parse().unwrap(), 9));
        assert!(own.allows(address(7), 10));
        let six = |net: u16, host: u16| IpAddr::from([0x2001, 0xdb8, 0, net, 0, 0, 0, host]);
        for at in 0..AMPLIFIED_PER_SECOND {
            assert!(own.allows(six(0, at as u16), 9));
        }
        assert!(!own.allows(six(1, 1), 9), "the same /56");
        assert!(own.allows(six(0x100, 1), 9));
        for _ in 0..2 * AMPLIFIED_PER_SECOND {
            assert!(own.allows(IpAddr::from([127, 0, 0, 1]), 9));
        }
    }

    #[test]
    fn an_answer_is_cut_to_its_question() {
        let question = [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1];
        let mut answer = question.to_vec();
        answer[2] = 0x85;
        answer[7] = 1;
        answer.extend([0; 40]);
        let own = cut(&answer).expect("an answer");
        assert_eq!(own.len(), question.len());
        assert_eq!((own[2], &own[6..12]), (0x87, [0; 6].as_slice()));
        assert!(amplifies(question.len(), answer.len()) && !amplifies(question.len(), own.len()));
        assert!(cut(&answer[..15]).is_none() && cut(&[]).is_none());
        answer[12] = 0xc0;
        assert!(cut(&answer).is_none());
    }
}
