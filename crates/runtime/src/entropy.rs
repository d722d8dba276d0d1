//! Randomness: from the operating system in production, from a seed in tests and simulation.
//!
//! Keys are not created here: the certificate crates have their own port for that.

use std::fmt;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::{OsRng, StdRng};
use rand::{RngCore as _, SeedableRng as _, TryRngCore as _};

/// A source of random bytes, good enough for identifiers and secrets when it is [`OsEntropy`].
pub trait Entropy: fmt::Debug + Send + Sync + 'static {
    /// Fills the buffer with random bytes.
    fn fill(&self, buffer: &mut [u8]);

    /// A random number from the full range.
    fn u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A random number below `bound`, each equally likely. 0 if `bound` is 0.
    fn below(&self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        // Draw again if the value is beyond the last whole multiple of the bound. Otherwise small numbers would be
        // more likely.
        let excess = (u64::MAX % bound + 1) % bound;
        loop {
            let value = self.u64();
            if value <= u64::MAX - excess {
                return value % bound;
            }
        }
    }

    /// A duration from zero to `max`, both included, in nanosecond steps.
    fn jitter(&self, max: Duration) -> Duration {
        let nanos = u64::try_from(max.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.below(nanos.saturating_add(1)))
    }

    /// 128 random bits in the text form of a UUID. No version or variant bits are set, as in Consul.
    fn uuid(&self) -> String {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        let n = u128::from_be_bytes(bytes);
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            n >> 96,
            (n >> 80) & 0xffff,
            (n >> 64) & 0xffff,
            (n >> 48) & 0xffff,
            n & 0xffff_ffff_ffff
        )
    }
}

/// The operating system's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

/// A reproducible generator: the same seed gives the same bytes. Never use it for secrets.
pub struct SeededEntropy {
    rng: Mutex<StdRng>,
}

impl Entropy for OsEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        OsRng.try_fill_bytes(buffer).expect("the operating system has a random generator");
    }
}

impl SeededEntropy {
    /// A generator that starts from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { rng: Mutex::new(StdRng::seed_from_u64(seed)) }
    }
}

impl fmt::Debug for SeededEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SeededEntropy")
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        self.rng.lock().fill_bytes(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_a_history() {
        let (a, b, c) = (SeededEntropy::new(7), SeededEntropy::new(7), SeededEntropy::new(8));
        let draw = |e: &SeededEntropy| (e.u64(), e.below(1000), e.jitter(Duration::from_secs(9)), e.uuid());
        let first = draw(&a);
        assert_eq!(first, draw(&b));
        assert_ne!(first, draw(&c));
        assert_ne!(first, draw(&a));
    }

    #[test]
    fn bounds_hold() {
        let entropy = SeededEntropy::new(1);
        assert_eq!(entropy.below(0), 0);
        assert_eq!(entropy.below(1), 0);
        let mut seen = [false; 3];
        for _ in 0..200 {
            seen[usize::try_from(entropy.below(3)).expect("small")] = true;
            assert!(entropy.jitter(Duration::from_nanos(2)) <= Duration::from_nanos(2));
        }
        assert_eq!(seen, [true; 3]);
        assert_eq!(entropy.jitter(Duration::ZERO), Duration::ZERO);
        let _ = entropy.below(u64::MAX);
    }

    #[test]
    fn a_uuid_has_the_text_form() {
        let uuid = OsEntropy.uuid();
        let groups: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12]);
        assert!(uuid.chars().all(|c| c == '-' || c.is_ascii_digit() || ('a'..='f').contains(&c)));
        assert_ne!(uuid, OsEntropy.uuid());
    }
}
