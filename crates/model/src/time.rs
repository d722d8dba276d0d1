//! Points in time, as records contain them. Nothing here reads a clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A time of the wall clock: nanoseconds since 1970-01-01T00:00:00Z.
///
/// It covers the years 1678 to 2262. Arithmetic saturates at the limits.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// The last representable time, which means "never".
    pub const FAR_FUTURE: Self = Self(i64::MAX);

    /// Builds it from nanoseconds since the epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Builds it from whole seconds since the epoch.
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since the epoch.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded towards the past.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// The time `by` later.
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(nanos(by)))
    }

    /// The time `by` earlier.
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(by)))
    }

    /// The duration since `earlier`. Zero if this time is not later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }

    /// This time without its fraction of a second, as X.509 stores it.
    pub const fn truncated_to_seconds(self) -> Self {
        Self::from_secs(self.secs())
    }
}

/// A duration as a user writes it: nanoseconds, as in Go.
///
/// API bodies and files may also write it as text (`1m30s`): their decoder recognizes this type by its name.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Span(i64);

impl Span {
    /// The name of this type in serde.
    pub const NAME: &str = "Span";

    /// Builds it from nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The nanoseconds. They may be negative.
    pub const fn nanos(self) -> i64 {
        self.0
    }
}

/// A duration that the API shows as text (`1m30s`), where it shows a [`Span`] as a number. It is written and stored
/// like one.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Timeout(pub Span);

impl Timeout {
    /// The name of this type in serde, by which the API knows it.
    pub const NAME: &str = "Timeout";

    /// Builds it from nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(Span::from_nanos(nanos))
    }

    /// The nanoseconds. They may be negative.
    pub const fn nanos(self) -> i64 {
        self.0.nanos()
    }
}

/// Both clocks, read at the same time.
///
/// The wall clock may be set in either direction at any time; it is for certificates and records. The uptime counts
/// from a fixed time in this process and only goes forward; it is for pauses, deadlines and periods.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Now {
    /// The wall clock.
    pub wall: Timestamp,
    /// The time since a fixed time in this process. It only goes forward.
    pub uptime: Duration,
}

impl Now {
    /// The uptime at which the wall clock reaches `at`, if nobody sets it before.
    pub fn uptime_at(self, at: Timestamp) -> Duration {
        self.uptime.saturating_add(at.since(self.wall))
    }

    /// How far somebody has set the wall clock forward since an `earlier` reading; otherwise zero.
    pub fn set_forward_since(self, earlier: Self) -> Duration {
        self.wall.since(earlier.expected_at(self.uptime))
    }

    /// How far somebody has set the wall clock back since an `earlier` reading; otherwise zero.
    pub fn set_back_since(self, earlier: Self) -> Duration {
        earlier.expected_at(self.uptime).since(self.wall)
    }

    fn expected_at(self, uptime: Duration) -> Timestamp {
        self.wall.plus(uptime.saturating_sub(self.uptime))
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::FAR_FUTURE.plus(Duration::from_secs(1)), Timestamp::FAR_FUTURE);
        assert_eq!(Timestamp::EPOCH.since(Timestamp::from_secs(5)), Duration::ZERO);
        assert_eq!(Timestamp::from_secs(5).since(Timestamp::EPOCH), Duration::from_secs(5));
        assert_eq!(Timestamp::from_nanos(-1).secs(), -1);
    }

    #[test]
    fn a_wall_clock_that_was_set_shows_beside_the_uptime() {
        let at =
            |wall: i64, uptime| Now { wall: Timestamp::from_secs(wall), uptime: Duration::from_secs(uptime) };
        let (secs, before) = (Duration::from_secs, at(1_000, 10));
        assert_eq!(
            (at(1_005, 15).set_forward_since(before), at(1_005, 15).set_back_since(before)),
            (secs(0), secs(0))
        );
        assert_eq!(at(2_005, 15).set_forward_since(before), secs(1_000));
        assert_eq!(at(5, 15).set_back_since(before), secs(1_000));
        assert_eq!(before.uptime_at(Timestamp::from_secs(1_007)), secs(17));
        assert_eq!(before.uptime_at(Timestamp::EPOCH), secs(10));
    }
}
