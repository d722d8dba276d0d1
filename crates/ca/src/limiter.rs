//! Limits the signing of certificates: by a rate with a short wait, or by the number of concurrent requests.
//!
//! The limiter has no clock: the caller passes the time, and itself waits or refuses the request (N-61).

use std::time::Duration;

use crate::limits::CSR_WAIT_MAX;

/// Consul's answer when the limit is reached. Clients compare this text.
pub const RATE_LIMIT_TEXT: &str = "Rate limit reached, try again later";

/// The configured limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CsrLimits {
    /// `CSRMaxPerSecond`. With 0, `max_concurrent` applies instead.
    pub max_per_second: f64,
    /// `CSRMaxConcurrent`. 0 means unlimited.
    pub max_concurrent: u32,
}

impl Default for CsrLimits {
    /// Consul's defaults: 50 a second.
    fn default() -> Self {
        Self { max_per_second: 50.0, max_concurrent: 0 }
    }
}

/// The decision about a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Admission {
    /// The request may run after this time, which may be zero. Its turn is reserved.
    After(Duration),
    /// The request is refused with [`RATE_LIMIT_TEXT`].
    Refused,
}

/// Applies the limits to requests.
#[derive(Clone, Debug)]
pub struct CsrLimiter {
    limits: CsrLimits,
    /// The uptime at which the next turn is free. A wall clock that is set back would block all requests.
    next: Duration,
    in_flight: u32,
}

impl CsrLimiter {
    /// A limiter that has seen no request.
    pub fn new(limits: CsrLimits) -> Self {
        Self { limits, next: Duration::ZERO, in_flight: 0 }
    }

    /// Applies new limits. Turns that were already given out stay valid. If the limits differ, the next turn is free at
    /// once; otherwise a rate that was too low would delay requests for up to an hour after its correction.
    pub fn configure(&mut self, limits: CsrLimits) {
        if self.limits != limits {
            self.next = Duration::ZERO;
        }
        self.limits = limits;
    }

    /// Asks for a turn under the rate limit at this uptime. Reserves the next turn if the wait is short enough.
    pub fn admit(&mut self, now: Duration) -> Admission {
        if self.limits.max_per_second <= 0.0 {
            return Admission::After(Duration::ZERO);
        }
        let interval = Duration::from_secs_f64((1.0 / self.limits.max_per_second).min(3600.0));
        let wait = self.next.saturating_sub(now);
        if wait > CSR_WAIT_MAX {
            return Admission::Refused;
        }
        self.next = self.next.max(now).saturating_add(interval);
        Admission::After(wait)
    }

    /// Asks for a place under the limit of concurrent requests, and returns whether there is one. If not, the caller
    /// may wait up to [`CSR_WAIT_MAX`] for a [`CsrLimiter::leave`] and ask again.
    pub fn enter(&mut self) -> bool {
        let by_number = self.limits.max_per_second <= 0.0 && self.limits.max_concurrent > 0;
        if by_number && self.in_flight >= self.limits.max_concurrent {
            return false;
        }
        self.in_flight += 1;
        true
    }

    /// Ends a request that has entered.
    pub fn leave(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);
    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn n_61_ten_thousand_requests_a_second_are_held_to_fifty() {
        let mut limiter = CsrLimiter::new(CsrLimits::default());
        let mut admitted = 0;
        for request in 0..100_000u32 {
            let now = NOW + Duration::from_micros(100) * request;
            match limiter.admit(now) {
                Admission::After(wait) => {
                    assert!(wait <= CSR_WAIT_MAX);
                    admitted += 1;
                }
                Admission::Refused => {}
            }
        }
        // Ten seconds at the rate, and the turns of half a second of waiting.
        assert!((500..=527).contains(&admitted), "{admitted}");
    }

    #[test]
    fn turns_come_one_after_the_other() {
        let mut limiter = CsrLimiter::new(CsrLimits::default());
        for turn in 0..=25 {
            assert_eq!(limiter.admit(NOW), Admission::After(MILLI * 20 * turn));
        }
        assert_eq!(limiter.admit(NOW), Admission::Refused);
        assert_eq!(limiter.admit(NOW + MILLI * 20), Admission::After(MILLI * 500));
    }

    #[test]
    fn a_rate_that_was_too_low_and_is_mended_holds_nobody_up() {
        let limits = |max_per_second| CsrLimits { max_per_second, max_concurrent: 0 };
        let mut limiter = CsrLimiter::new(limits(0.0001));
        assert_eq!(limiter.admit(NOW), Admission::After(Duration::ZERO));
        assert_eq!(limiter.admit(NOW + MILLI), Admission::Refused);
        // The same limits again change nothing, so that a caller cannot get free turns by changing another setting.
        limiter.configure(limits(0.0001));
        assert_eq!(limiter.admit(NOW + MILLI), Admission::Refused);
        limiter.configure(CsrLimits::default());
        assert_eq!(limiter.admit(NOW + MILLI), Admission::After(Duration::ZERO));
        assert_eq!(limiter.admit(NOW + MILLI), Admission::After(MILLI * 20));
    }

    #[test]
    fn without_a_rate_the_number_at_a_time_counts() {
        let mut limiter = CsrLimiter::new(CsrLimits { max_per_second: 0.0, max_concurrent: 2 });
        assert!(limiter.enter() && limiter.enter());
        assert!(!limiter.enter());
        limiter.leave();
        assert!(limiter.enter());
        let mut open = CsrLimiter::new(CsrLimits { max_per_second: 0.0, max_concurrent: 0 });
        assert!((0..1000).all(|_| open.enter()));
    }
}
