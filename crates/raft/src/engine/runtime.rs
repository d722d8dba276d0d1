//! Implements openraft's asynchronous runtime with ours: time through the clock, randomness through the node's
//! entropy.
//!
//! openraft calls its runtime statically. So each node draws a seed from its [`Entropy`] when it starts, and keeps it
//! in a task-local variable. Every task that the engine starts inherits a seed derived from it. With seeded entropy,
//! the election timeouts of a whole cluster are reproducible. Outside of such a task the operating system's generator
//! is used.

use std::cell::Cell;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

use concord_runtime::engine as host;
use concord_runtime::{Entropy, Executor, OsEntropy, TokioClock};
use openraft::async_runtime::{AsyncRuntime, Instant as EngineInstantTrait};
use openraft::{OptionalSend, async_runtime};
use rand_core::TryRng;

tokio::task_local! {
    static SEED: Cell<u64>;
}

/// The runtime openraft is instantiated with.
pub(crate) struct EngineRuntime {
    executor: Executor,
}

/// A point of the tokio clock's monotonic time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EngineInstant(pub(crate) concord_runtime::Instant);

/// Random numbers from the seed of the current task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EngineRng;

/// Runs `future`, and every task the engine starts from it, with randomness derived from `seed`.
pub(crate) async fn seeded<F: Future>(seed: u64, future: F) -> F::Output {
    SEED.scope(Cell::new(seed), future).await
}

#[allow(deprecated, reason = "the channels of openraft's own runtime are reachable through this name only")]
type Stock = openraft::impls::TokioRuntime;

impl fmt::Debug for EngineRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EngineRuntime")
    }
}

impl AsyncRuntime for EngineRuntime {
    type JoinError = host::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = host::JoinHandle<T>;
    type Sleep = host::Sleep;
    type Instant = EngineInstant;
    type TimeoutError = host::EngineElapsed;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = host::Timeout<T>;
    type ThreadLocalRng = EngineRng;
    type Mpsc = <Stock as AsyncRuntime>::Mpsc;
    type Watch = <Stock as AsyncRuntime>::Watch;
    type Oneshot = <Stock as AsyncRuntime>::Oneshot;
    type Mutex<T: OptionalSend + 'static> = <Stock as AsyncRuntime>::Mutex<T>;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        host::spawn(SEED.scope(Cell::new(EngineRng.draw()), future))
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioClock::timer(TokioClock::monotonic() + duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        TokioClock::timer(deadline.0)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(
        duration: Duration,
        future: F,
    ) -> Self::Timeout<R, F> {
        host::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(
        deadline: Self::Instant,
        future: F,
    ) -> Self::Timeout<R, F> {
        host::timeout_at(deadline.0, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        join_error.is_panic()
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        EngineRng
    }

    fn new(threads: usize) -> Self {
        Self { executor: Executor::new("raft", threads).expect("the operating system grants threads") }
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.executor.block_on(future)
    }

    async fn spawn_blocking<F, T>(f: F) -> Result<T, io::Error>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        host::spawn_blocking(f).await.map_err(io::Error::other)
    }
}

// === impl EngineInstant ===

impl Add<Duration> for EngineInstant {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

impl AddAssign<Duration> for EngineInstant {
    fn add_assign(&mut self, duration: Duration) {
        self.0 += duration;
    }
}

impl Sub<Duration> for EngineInstant {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0 - duration)
    }
}

impl Sub for EngineInstant {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        self.0 - earlier.0
    }
}

impl SubAssign<Duration> for EngineInstant {
    fn sub_assign(&mut self, duration: Duration) {
        self.0 -= duration;
    }
}

impl async_runtime::instant::Instant for EngineInstant {
    fn now() -> Self {
        Self(TokioClock::monotonic())
    }

    fn elapsed(&self) -> Duration {
        <Self as EngineInstantTrait>::now() - *self
    }
}

// === impl EngineRng ===

impl EngineRng {
    /// The next number: mixes the task's seed (SplitMix64) and advances it.
    fn draw(self) -> u64 {
        let seeded = SEED.try_with(|seed| {
            let state = seed.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
            seed.set(state);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        });
        seeded.unwrap_or_else(|_| OsEntropy.u64())
    }
}

impl TryRng for EngineRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        #[allow(clippy::cast_possible_truncation, reason = "the upper half is kept")]
        Ok((self.draw() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.draw())
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        for chunk in dst.chunks_mut(8) {
            let bytes = self.draw().to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_seed_reaches_the_tasks_the_engine_starts() {
        let draw = || async {
            let here = EngineRng.draw();
            let there = EngineRuntime::spawn(async { EngineRng.draw() }).await.expect("a task");
            (here, there)
        };
        let first = seeded(7, draw()).await;
        assert_eq!(first, seeded(7, draw()).await);
        assert_ne!(first, seeded(8, draw()).await);
        assert_ne!(first.0, first.1);
        assert_ne!(draw().await, draw().await, "without a seed it is real randomness");
    }
}
