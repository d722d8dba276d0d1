//! Seeded randomness, so that a failed run can be repeated as far as real processes allow.

use std::time::SystemTime;

/// A small random number generator (SplitMix64).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// A generator with the seed from `CONCORD_E2E_SEED`, or else from the clock. The seed is printed.
    pub fn from_env() -> Self {
        let clock = || {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_nanos() & u128::from(u64::MAX)).unwrap_or(1)
        };
        Self::told(given().unwrap_or_else(clock))
    }

    /// A generator with the seed from `CONCORD_E2E_SEED`, or else with this one. The seed is printed.
    pub fn from_env_or(seed: u64) -> Self {
        Self::told(given().unwrap_or(seed))
    }

    fn told(seed: u64) -> Self {
        eprintln!("CONCORD_E2E_SEED={seed}");
        Self(seed)
    }

    /// A generator with this seed.
    pub fn of_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// A random element.
    pub fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.index(of.len())]
    }

    /// A generator with a sequence of its own.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A random number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// A random index into a collection of `len` elements.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).expect("an index is an index")
    }

    /// True with this probability, in percent.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A random UUID.
    pub fn uuid(&mut self) -> String {
        let (a, b) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xffff,
            b >> 48,
            b & 0xffff_ffff_ffff
        )
    }
}

fn given() -> Option<u64> {
    std::env::var("CONCORD_E2E_SEED").ok()?.parse().ok()
}
