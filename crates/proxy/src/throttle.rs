//! Limits the log lines about refusals: the first few of each kind are logged in full, then only their number.
//!
//! ```text
//!            refused: told in full                    refused, more than so many: counted
//!   (none) ─────────────────────► Window, told < most ───────────────────────────────────► Window, held > 0
//!     ▲                                 │ its time is over                                     │ its time is over
//!     └─────────────────────────────────┴──────────────────────────────── one line with the ───┘
//!                                                                          number held back
//! ```
//!
//! So a flood of refusals does not fill the log, and its reader still learns what happens, how often, and with a few
//! examples. A window begins with the first refusal of its kind, so that a quiet proxy logs each one. Metrics are
//! counted elsewhere, and count all. There is no clock here: the time is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use concord_runtime::Instant;

use crate::events::Direction;

/// Refusals that are counted together. There is a fixed number of kinds, because reasons have fixed names.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Kind {
    pub(crate) direction: Direction,
    /// The fixed name of the reason.
    pub(crate) reason: &'static str,
}

/// An event for the throttle.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Event {
    /// A connection was refused.
    Refused(Kind),
    /// Time went on.
    Tick,
    /// No more refusals follow.
    End,
}

/// An action for the caller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Effect {
    /// Log this refusal in full. Without this effect it was held back.
    Tell,
    /// Log how many were held back.
    Summarise(Summary),
    /// Send [`Event::Tick`] at this time; this replaces an earlier timer.
    ArmTimer(Instant),
}

/// Refusals that were not logged one by one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Summary {
    pub(crate) kind: Kind,
    /// How many were held back.
    pub(crate) held: u64,
    /// The time in which they came.
    pub(crate) over: Duration,
}

/// How many are logged in full per window, and the length of a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) told: u64,
    pub(crate) window: Duration,
}

/// Decides what is logged.
#[derive(Debug)]
pub(crate) struct Throttle {
    bounds: Bounds,
    windows: BTreeMap<Kind, Window>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    began: Instant,
    told: u64,
    held: u64,
}

impl Effect {
    /// When the throttle has to be woken, if the effect asks for it.
    pub(crate) fn timer(&self) -> Option<Instant> {
        match self {
            Self::ArmTimer(at) => Some(*at),
            Self::Tell | Self::Summarise(_) => None,
        }
    }
}

impl Throttle {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, windows: BTreeMap::new() }
    }

    /// Handles an event. Adds the actions to `out`, in order.
    pub(crate) fn on(&mut self, now: Instant, event: Event, out: &mut Vec<Effect>) {
        match event {
            Event::Refused(kind) => self.refused(now, kind, out),
            Event::Tick => {
                let window = self.bounds.window;
                self.close(now, |began| began + window <= now, out);
                self.arm(out);
            }
            Event::End => self.close(now, |_| true, out),
        }
    }

    fn refused(&mut self, now: Instant, kind: Kind, out: &mut Vec<Effect>) {
        let length = self.bounds.window;
        // The timer may be late, or delayed by a flood, so a refusal also ends a window.
        if let Some(old) = self.windows.get(&kind).copied()
            && old.began + length <= now
        {
            self.windows.remove(&kind);
            out.extend(old.summary(kind, now));
        }
        let window = self.windows.entry(kind).or_insert(Window { began: now, told: 0, held: 0 });
        if window.told < self.bounds.told {
            window.told += 1;
            out.push(Effect::Tell);
            return;
        }
        window.held += 1;
        if window.held == 1 {
            self.arm(out);
        }
    }

    /// Ends the windows for which `over` is true of their start.
    fn close(&mut self, now: Instant, over: impl Fn(Instant) -> bool, out: &mut Vec<Effect>) {
        self.windows.retain(|kind, window| {
            let over = over(window.began);
            if over {
                out.extend(window.summary(*kind, now));
            }
            !over
        });
    }

    /// Sets the timer to the end of the first window that has something to report.
    fn arm(&self, out: &mut Vec<Effect>) {
        let waiting = self.windows.values().filter(|window| window.held > 0);
        out.extend(
            waiting.map(|window| window.began).min().map(|at| Effect::ArmTimer(at + self.bounds.window)),
        );
    }
}

impl Window {
    fn summary(&self, kind: Kind, now: Instant) -> Option<Effect> {
        let Self { began, told: _, held } = *self;
        (held > 0).then(|| Effect::Summarise(Summary { kind, held, over: now.saturating_since(began) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { told: 3, window: Duration::from_secs(10) };
    const HANDSHAKE: Kind = Kind { direction: Direction::Inbound, reason: "handshake" };
    const NO_LEAF: Kind = Kind { direction: Direction::Inbound, reason: "no_leaf" };

    fn at(millis: u64) -> Instant {
        Instant::from_epoch(Duration::from_secs(1_000) + Duration::from_millis(millis))
    }

    fn on(throttle: &mut Throttle, millis: u64, event: Event) -> Vec<Effect> {
        let mut out = Vec::new();
        throttle.on(at(millis), event, &mut out);
        out
    }

    fn held(kind: Kind, held: u64, millis: u64) -> Effect {
        Effect::Summarise(Summary { kind, held, over: Duration::from_millis(millis) })
    }

    #[test]
    fn the_first_are_told_and_then_how_many_more_there_were() {
        let mut throttle = Throttle::new(BOUNDS);
        for millis in 0..3 {
            assert_eq!(on(&mut throttle, millis, Event::Refused(HANDSHAKE)), [Effect::Tell]);
        }
        assert_eq!(on(&mut throttle, 3, Event::Refused(HANDSHAKE)), [Effect::ArmTimer(at(10_000))]);
        for millis in 4..9_999 {
            assert_eq!(on(&mut throttle, millis, Event::Refused(HANDSHAKE)), []);
        }
        assert_eq!(on(&mut throttle, 10_000, Event::Tick), [held(HANDSHAKE, 9_996, 10_000)]);
        assert_eq!(on(&mut throttle, 10_001, Event::Refused(HANDSHAKE)), [Effect::Tell], "a new window");
    }

    #[test]
    fn what_comes_slowly_is_told_each_time_and_never_summed_up() {
        let mut throttle = Throttle::new(BOUNDS);
        for turn in 0..100 {
            assert_eq!(on(&mut throttle, turn * 4_000, Event::Refused(HANDSHAKE)), [Effect::Tell]);
        }
        assert_eq!(on(&mut throttle, 1_000_000, Event::Tick), []);
        assert!(throttle.windows.is_empty(), "what is over takes no memory");
    }

    #[test]
    fn kinds_do_not_take_each_other_s_room() {
        let mut throttle = Throttle::new(BOUNDS);
        for millis in 0..100 {
            on(&mut throttle, millis, Event::Refused(HANDSHAKE));
        }
        assert_eq!(on(&mut throttle, 100, Event::Refused(NO_LEAF)), [Effect::Tell]);
        let upstream = Kind { direction: Direction::Upstream, ..HANDSHAKE };
        assert_eq!(on(&mut throttle, 100, Event::Refused(upstream)), [Effect::Tell]);
        for millis in 101..104 {
            on(&mut throttle, millis, Event::Refused(NO_LEAF));
        }
        // One window after the other: the timer is set for the next.
        assert_eq!(
            on(&mut throttle, 10_000, Event::Tick),
            [held(HANDSHAKE, 97, 10_000), Effect::ArmTimer(at(10_100))]
        );
        assert_eq!(on(&mut throttle, 10_100, Event::Tick), [held(NO_LEAF, 1, 10_000)]);
    }

    #[test]
    fn a_late_timer_loses_nothing() {
        let mut throttle = Throttle::new(BOUNDS);
        for _ in 0..5 {
            on(&mut throttle, 0, Event::Refused(HANDSHAKE));
        }
        assert_eq!(on(&mut throttle, 9_999, Event::Tick), [Effect::ArmTimer(at(10_000))], "too early");
        let next = on(&mut throttle, 12_000, Event::Refused(HANDSHAKE));
        assert_eq!(next, [held(HANDSHAKE, 2, 12_000), Effect::Tell]);
        assert_eq!(on(&mut throttle, 12_001, Event::Tick), []);
    }

    #[test]
    fn at_the_end_what_was_held_back_is_told() {
        let mut throttle = Throttle::new(BOUNDS);
        for _ in 0..4 {
            on(&mut throttle, 0, Event::Refused(HANDSHAKE));
            on(&mut throttle, 0, Event::Refused(NO_LEAF));
        }
        assert_eq!(on(&mut throttle, 500, Event::End), [held(HANDSHAKE, 1, 500), held(NO_LEAF, 1, 500)]);
        assert_eq!(on(&mut throttle, 500, Event::End), []);
    }

    #[test]
    fn every_refusal_is_told_or_counted_once_whatever_the_order() {
        let mut throttle = Throttle::new(BOUNDS);
        // Uneven steps from a fixed sequence, so that windows end in every way.
        let (mut millis, mut step, mut refused, mut known) = (0u64, 1u64, 0u64, 0u64);
        let mut count = |effects: Vec<Effect>| {
            effects.into_iter().for_each(|effect| match effect {
                Effect::Tell => known += 1,
                Effect::Summarise(summary) => known += summary.held,
                Effect::ArmTimer(_) => {}
            });
        };
        for turn in 0..20_000u64 {
            step = step.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            millis += step >> 54;
            let kind = if turn % 3 == 0 { NO_LEAF } else { HANDSHAKE };
            let event = if step & 64 == 0 { Event::Tick } else { Event::Refused(kind) };
            refused += u64::from(event != Event::Tick);
            count(on(&mut throttle, millis, event));
        }
        count(on(&mut throttle, millis, Event::End));
        assert_eq!(known, refused);
    }
}
