//! Time: a monotonic clock with timers, and the wall clock.
//!
//! Intervals and deadlines use [`Instant`] only. The wall clock is for time stamps and the validity of certificates;
//! it may jump in both directions.

use std::fmt;
use std::future::Future;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::pin::pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::limits::EPOCH_LEAD;

/// A point of a clock's monotonic time: the duration since that clock's epoch.
///
/// Points of two clocks are not comparable, except that all [`TokioClock`]s of a process share one epoch.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

/// The clock and the timers of a node.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The monotonic time; never goes backwards.
    fn now(&self) -> Instant;

    /// The wall clock in nanoseconds since the Unix epoch; may jump, never measures an interval.
    fn wall_nanos(&self) -> i64;

    /// Both times, read together: nanoseconds on the wall, and since this clock's epoch.
    fn both(&self) -> (i64, Duration) {
        (self.wall_nanos(), self.now().since_epoch())
    }

    /// A future that completes once [`Clock::now`] has reached `deadline`.
    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()>;

    /// A future that completes `duration` from now.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.sleep_until(self.now() + duration)
    }
}

/// The error of [`timeout`]: the time was over before the future completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("deadline has elapsed")]
pub struct Elapsed;

/// Awaits `future` for at most `duration`; a future that is ready at once wins over a zero duration.
///
/// # Errors
/// [`Elapsed`] when the time was over first; the future is dropped then.
pub async fn timeout<F: Future>(
    clock: &(impl Clock + ?Sized),
    duration: Duration,
    future: F,
) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    // Work that is ready at once needs no timer.
    if let Poll::Ready(output) = futures::poll!(future.as_mut()) {
        return Ok(output);
    }
    let sleep = clock.sleep(duration);
    tokio::select! {
        // Poll the work first, so that a result that is ready is not lost because the timer fired as well.
        biased;
        output = future => Ok(output),
        () = sleep => Err(Elapsed),
    }
}

/// The real clock, following tokio's time: with a paused tokio runtime it is virtual.
///
/// The wall clock is the system's, read anew each time, unless made by [`TokioClock::with_wall`].
#[derive(Clone, Copy, Debug, Default)]
pub struct TokioClock {
    virtual_wall: Option<VirtualWall>,
}

#[derive(Clone, Copy, Debug)]
struct VirtualWall {
    at: Instant,
    wall_nanos: i64,
}

/// Tokio's time, with a wall clock that somebody may set in either direction; for tests. Clones share the wall clock.
#[derive(Clone, Debug)]
pub struct SetClock {
    time: TokioClock,
    set_by: Arc<AtomicI64>,
}

/// A clock that tests move by hand.
///
/// Clones share one time. Sleepers wake inside [`ManualClock::advance`].
#[derive(Clone, Default)]
pub struct ManualClock {
    inner: Arc<Mutex<Manual>>,
}

#[derive(Default)]
struct Manual {
    now: Instant,
    wall_nanos: i64,
    sleepers: Vec<(Instant, oneshot::Sender<()>)>,
}

// === impl Instant ===

impl Instant {
    /// The clock's epoch itself.
    pub const EPOCH: Self = Self(Duration::ZERO);

    /// The point `duration` after the epoch.
    #[must_use]
    pub const fn from_epoch(duration: Duration) -> Self {
        Self(duration)
    }

    /// How long after the epoch this is.
    #[must_use]
    pub const fn since_epoch(self) -> Duration {
        self.0
    }

    /// The time from `earlier` to this, zero when `earlier` is later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{:?}", self.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration))
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

impl Sub for Instant {
    type Output = Duration;
    fn sub(self, earlier: Self) -> Duration {
        self.saturating_since(earlier)
    }
}

// === impl TokioClock ===

impl TokioClock {
    /// The clock with the system's wall clock.
    #[must_use]
    pub const fn new() -> Self {
        Self { virtual_wall: None }
    }

    /// A clock whose wall time is `wall_nanos` now and moves with the monotonic time, for virtual worlds.
    #[must_use]
    pub fn with_wall(wall_nanos: i64) -> Self {
        Self { virtual_wall: Some(VirtualWall { at: Self::monotonic(), wall_nanos }) }
    }

    /// The monotonic time of every tokio clock of the process; for engines that ask for time without a handle.
    #[must_use]
    pub fn monotonic() -> Instant {
        Instant(tokio::time::Instant::now().saturating_duration_since(epoch()))
    }

    /// A timer at `deadline` of [`TokioClock::monotonic`]; for engines that ask for timers without a handle.
    pub fn timer(deadline: Instant) -> tokio::time::Sleep {
        tokio::time::sleep_until(Self::tokio_instant(deadline))
    }

    pub(crate) fn tokio_instant(at: Instant) -> tokio::time::Instant {
        epoch() + at.0
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Instant {
        Self::monotonic()
    }

    fn wall_nanos(&self) -> i64 {
        match self.virtual_wall {
            Some(wall) => wall.wall_nanos.saturating_add(nanos(self.now() - wall.at)),
            None => match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(after) => nanos(after),
                Err(before) => -nanos(before.duration()),
            },
        }
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        Self::timer(deadline).boxed()
    }
}

// === impl SetClock ===

impl SetClock {
    /// A clock whose wall time is `wall_nanos` now.
    #[must_use]
    pub fn new(wall_nanos: i64) -> Self {
        Self { time: TokioClock::with_wall(wall_nanos), set_by: Arc::default() }
    }

    /// Sets the wall clock alone.
    pub fn set_wall_nanos(&self, wall_nanos: i64) {
        self.set_by.store(wall_nanos.saturating_sub(self.time.wall_nanos()), Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Instant {
        self.time.now()
    }

    fn wall_nanos(&self) -> i64 {
        self.time.wall_nanos().saturating_add(self.set_by.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        self.time.sleep_until(deadline)
    }
}

fn epoch() -> tokio::time::Instant {
    static EPOCH: OnceLock<tokio::time::Instant> = OnceLock::new();
    *EPOCH.get_or_init(|| {
        let real = std::time::Instant::now();
        tokio::time::Instant::from_std(real.checked_sub(EPOCH_LEAD).unwrap_or(real))
    })
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

// === impl ManualClock ===

impl ManualClock {
    /// A clock at its epoch, with the wall clock at `wall_nanos` since the Unix epoch.
    #[must_use]
    pub fn new(wall_nanos: i64) -> Self {
        let clock = Self::default();
        clock.set_wall_nanos(wall_nanos);
        clock
    }

    /// Moves both times forward and wakes everyone whose deadline has come, earliest first.
    pub fn advance(&self, duration: Duration) {
        let mut due = {
            let mut inner = self.inner.lock();
            inner.now += duration;
            inner.wall_nanos = inner.wall_nanos.saturating_add(nanos(duration));
            let now = inner.now;
            let (due, rest) = std::mem::take(&mut inner.sleepers).into_iter().partition(|(at, _)| *at <= now);
            inner.sleepers = rest;
            let due: Vec<(Instant, oneshot::Sender<()>)> = due;
            due
        };
        due.sort_by_key(|(at, _)| *at);
        for (_, wake) in due {
            // The receiver is gone if the sleeper was dropped.
            let _ = wake.send(());
        }
    }

    /// Sets the wall clock alone, in either direction, as an operator or NTP would.
    pub fn set_wall_nanos(&self, wall_nanos: i64) {
        self.inner.lock().wall_nanos = wall_nanos;
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.inner.lock();
        f.debug_struct("ManualClock")
            .field("now", &inner.now)
            .field("wall_nanos", &inner.wall_nanos)
            .field("sleepers", &inner.sleepers.len())
            .finish()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.inner.lock().now
    }

    fn wall_nanos(&self) -> i64 {
        self.inner.lock().wall_nanos
    }

    fn sleep_until(&self, deadline: Instant) -> BoxFuture<'static, ()> {
        let mut inner = self.inner.lock();
        if inner.now >= deadline {
            return futures::future::ready(()).boxed();
        }
        let (wake, woken) = oneshot::channel();
        inner.sleepers.retain(|(_, wake)| !wake.is_closed());
        inner.sleepers.push((deadline, wake));
        let clock = Arc::clone(&self.inner);
        async move {
            // The sender lives in the clock, so the future keeps the clock alive.
            let _clock = clock;
            let _ = woken.await;
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_tokio_clock_follows_paused_time() {
        let clock = TokioClock::with_wall(1_000);
        let (before, wall) = (clock.now(), clock.wall_nanos());
        clock.sleep(Duration::from_secs(3600)).await;
        assert_eq!(clock.now() - before, Duration::from_secs(3600));
        assert_eq!(clock.wall_nanos() - wall, 3_600_000_000_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wall_clock_is_set_without_the_time_that_passes() {
        let clock = SetClock::new(1_000);
        let before = clock.now();
        clock.set_wall_nanos(-5);
        assert_eq!(clock.both(), (-5, before.since_epoch()));
        clock.sleep(Duration::from_nanos(5_000_000)).await;
        assert_eq!(clock.wall_nanos(), 4_999_995);
        clock.set_wall_nanos(i64::MAX);
        clock.sleep(Duration::from_secs(1)).await;
        assert_eq!(clock.wall_nanos(), i64::MAX, "the end of representable time");
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_reports_which_came_first() {
        let clock = TokioClock::new();
        assert_eq!(timeout(&clock, Duration::ZERO, async { 7 }).await, Ok(7));
        let never = futures::future::pending::<()>();
        assert_eq!(timeout(&clock, Duration::from_secs(5), never).await, Err(Elapsed));
        let slow = clock.sleep(Duration::from_secs(4));
        assert_eq!(timeout(&clock, Duration::from_secs(5), slow).await, Ok(()));
    }

    #[test]
    fn a_manual_clock_wakes_only_those_due() {
        let clock = ManualClock::new(5);
        let mut early = clock.sleep(Duration::from_secs(1));
        let mut late = clock.sleep(Duration::from_secs(3));
        clock.advance(Duration::from_secs(2));
        assert!((&mut early).now_or_never().is_some());
        assert!((&mut late).now_or_never().is_none());
        clock.set_wall_nanos(-9);
        assert_eq!((clock.now(), clock.wall_nanos()), (Instant::from_epoch(Duration::from_secs(2)), -9));
        clock.advance(Duration::from_secs(1));
        assert!(late.now_or_never().is_some());
    }

    #[test]
    fn differences_of_instants_saturate() {
        let (a, b) =
            (Instant::from_epoch(Duration::from_secs(1)), Instant::from_epoch(Duration::from_secs(2)));
        assert_eq!(b - a, Duration::from_secs(1));
        assert_eq!(a - b, Duration::ZERO);
        assert_eq!(a - Duration::from_secs(9), Instant::EPOCH);
    }
}
