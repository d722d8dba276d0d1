//! The leaf manager: a state machine that keeps one identity supplied with a valid leaf.
//!
//! ```text
//!            Wanted             Signed
//!   Empty ──────────► Trying ────────────► Until the renewal: 60-90 % of life, or earlier if the
//!                     │    ▲                 │  root changed, or the leaf expired or is not valid yet
//!   failed or too late│    │ the time is up  │
//!                     ▼    └─────────────────┤
//!                   Until a pause ends ──────┘
//! ```
//!
//! Timers drive the manager, so it renews a leaf even if nobody reads it. Every user of a leaf runs the manager in a
//! [`Host`], which performs the effects in order and keeps the key of the running attempt. The host makes a new key for
//! each leaf; keys never enter the manager. The manager drops an answer for an attempt that it has given up.
//!
//! The wall clock decides whether a leaf is valid. Pauses and deadlines use the uptime, which only goes forward. So
//! after somebody has set the wall clock, the next event of any kind withdraws an expired leaf, and replaces a leaf
//! that is not valid yet.

use std::time::Duration;

use concord_model::ca::LeafCertificate;
use concord_model::{Now, Timestamp};

use crate::der::time::shown;
use crate::limits::{
    ALARM_AFTER_FAILURES, RENEW_AT_ONCE_BELOW, RENEW_FROM_PERCENT, RENEW_PAUSE_MIN, RENEW_UNTIL_PERCENT,
    RETRY_MAX, RETRY_MIN, ROOT_CHANGE_JITTER, SIGN_TIMEOUT,
};

mod host;
#[cfg(test)]
mod tests;

pub use self::host::{Host, Input, Task};

/// The number of an attempt. An answer carries the number of its attempt.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Attempt(pub u64);

/// The facts about a leaf that the manager needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Issued {
    /// First second of the leaf's life.
    pub not_before: Timestamp,
    /// Last second of the leaf's life.
    pub not_after: Timestamp,
    /// Key id of the certificate that signed it, colon-separated hexadecimal.
    pub authority_key_id: String,
}

impl From<&LeafCertificate> for Issued {
    fn from(leaf: &LeafCertificate) -> Self {
        Self {
            not_before: leaf.valid_after,
            not_after: leaf.valid_before,
            authority_key_id: leaf.authority_key_id.clone(),
        }
    }
}

/// Why an attempt got no leaf.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SignFailure {
    /// The servers sign too much already; try again later.
    #[error("Rate limit reached, try again later")]
    RateLimited,
    /// No server answered in time.
    #[error("no server signed the certificate in time")]
    Unreachable,
    /// The token does not allow the identity.
    #[error("the token does not allow this identity")]
    Denied,
    /// No key could be made.
    #[error("no key could be made")]
    NoKey,
    /// The certificate in the answer is not valid now.
    #[error("the certificate signed is not valid now; compare the clocks of this machine and the servers")]
    NotValidNow,
}

/// An input of the manager.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// Somebody needs the leaf. The first such event starts the manager; later ones have no effect.
    Wanted,
    /// The certificate with this key id now signs leaves.
    RootsChanged {
        /// Colon-separated hexadecimal.
        signing_key_id: String,
    },
    /// The key for an attempt has been made.
    KeyMade(Attempt),
    /// The certificate for an attempt has arrived.
    Signed(Attempt, Issued),
    /// An attempt failed.
    Failed(Attempt, SignFailure),
    /// The timer fired. Also allowed at any other time.
    Tick,
}

/// A request of the manager to its host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Effect {
    /// Make a key for an attempt; answer with [`Event::KeyMade`] or [`Event::Failed`].
    MakeKey(Attempt),
    /// Request a signature for the attempt's key; answer with [`Event::Signed`] or [`Event::Failed`].
    RequestSignature(Attempt),
    /// Present the attempt's leaf from now on and forget the previous key.
    Publish(Attempt),
    /// Forget the attempt's key: the attempt failed, or its answer came too late.
    Forget(Attempt),
    /// Present nothing: the leaf has expired.
    Withdraw,
    /// Tell those who wait for a leaf that there is none now.
    Fail(SignFailure),
    /// Send [`Event::Tick`] at this uptime. Replaces the previous timer.
    ArmTimer(Duration),
    /// Tell the operator about a problem.
    Alarm(Alarm),
    /// Tell the operator that the problem is over.
    AlarmOver,
}

/// A problem that an operator should look at.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Alarm {
    /// Several attempts have failed in a row, or one has failed for a reason that does not go away by itself.
    #[error("the leaf certificate cannot be renewed ({failures} failures): {last}")]
    Failing {
        /// The number of failures in a row.
        failures: u32,
        /// Why the last one failed.
        last: SignFailure,
    },
    /// The leaf should have been replaced by now.
    #[error("the leaf certificate should have been renewed by now; it is valid until {}", shown(*not_after))]
    Overdue {
        /// When it expires.
        not_after: Timestamp,
    },
    /// The leaf has expired; nothing is presented.
    #[error("the leaf certificate has expired and nothing is presented")]
    Expired,
    /// The leaf is not valid yet; the manager requests another.
    #[error(
        "the leaf certificate is not valid before {}: the clock of this machine was set back since, or is wrong; \
         another leaf is asked for",
        shown(*not_before)
    )]
    NotYetValid {
        /// When it becomes valid.
        not_before: Timestamp,
    },
}

impl Alarm {
    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Failing { .. } => "leaf_failing",
            Self::Overdue { .. } => "leaf_overdue",
            Self::Expired => "leaf_expired",
            Self::NotYetValid { .. } => "leaf_not_yet_valid",
        }
    }
}

/// The settings of a manager.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Config {
    /// After a change of the root, managers spread their re-issues over this time.
    pub root_change_jitter: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { root_change_jitter: ROOT_CHANGE_JITTER }
    }
}

impl Config {
    /// The settings for `-dev` (D26): half a second.
    pub fn dev() -> Self {
        Self { root_change_jitter: Duration::from_millis(500) }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Nobody has wanted a leaf yet.
    Empty,
    /// Do nothing until this uptime or wall-clock time, whichever is first: a leaf is held, or an attempt has failed.
    Until { uptime: Duration, wall: Timestamp },
    /// The host makes a key or waits for a signature, until the deadline (an uptime).
    Trying { attempt: Attempt, deadline: Duration },
}

impl Phase {
    /// A pause that the wall clock does not affect.
    fn pause(now: Now, pause: Duration) -> Self {
        Self::Until { uptime: now.uptime.saturating_add(pause), wall: Timestamp::FAR_FUTURE }
    }

    /// Ends when the wall clock reaches this time, or would have reached it if nobody had set the clock.
    fn until(now: Now, wall: Timestamp) -> Self {
        Self::Until { uptime: now.uptime_at(wall), wall }
    }

    /// Makes a pause end at this uptime at the latest.
    fn bring_forward(&mut self, to: Duration) {
        if let Self::Until { uptime, .. } = self {
            *uptime = to.min(*uptime);
        }
    }

    fn is_over(self, now: Now) -> bool {
        matches!(self, Self::Until { uptime, wall } if uptime <= now.uptime || wall <= now.wall)
    }
}

/// The state machine; see the module's description.
#[derive(Clone, Debug)]
pub struct Manager {
    config: Config,
    phase: Phase,
    attempts: u64,
    leaf: Option<Issued>,
    signing_key_id: Option<String>,
    failures: u32,
    /// How many re-issues in a row were not signed by the active root.
    stale: u32,
    /// The last event found that the leaf is not valid yet.
    early: bool,
    alarmed: Option<Alarm>,
    armed: Option<Duration>,
}

impl Manager {
    /// A manager that nobody has asked for a leaf yet.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            phase: Phase::Empty,
            attempts: 0,
            leaf: None,
            signing_key_id: None,
            failures: 0,
            stale: 0,
            early: false,
            alarmed: None,
            armed: None,
        }
    }

    /// Handles an event and adds the effects to `out`, in order. `random` returns any 64 bits.
    pub fn on(&mut self, now: Now, event: Event, random: &mut dyn FnMut() -> u64, out: &mut Vec<Effect>) {
        self.withdraw_expired(now, out);
        self.replace_early(now, out);
        match event {
            Event::Wanted => {
                if self.phase == Phase::Empty {
                    self.phase = Phase::pause(now, Duration::ZERO);
                }
            }
            Event::RootsChanged { signing_key_id } => self.roots_changed(now, signing_key_id, random),
            Event::KeyMade(attempt) if self.is_running(attempt) => {
                out.push(Effect::RequestSignature(attempt))
            }
            Event::Signed(attempt, leaf) if self.is_running(attempt) => {
                self.signed(now, attempt, leaf, random, out)
            }
            Event::Failed(attempt, why) if self.is_running(attempt) => {
                self.failed(now, attempt, why, random, out)
            }
            Event::KeyMade(late) | Event::Signed(late, _) => out.push(Effect::Forget(late)),
            Event::Failed(..) | Event::Tick => {}
        }
        self.act(now, random, out);
        self.watch(now, out);
        self.arm(now, out);
    }

    /// The leaf that is presented now.
    pub fn leaf(&self) -> Option<&Issued> {
        self.leaf.as_ref()
    }

    /// How many attempts have failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether an attempt is running.
    pub fn is_trying(&self) -> bool {
        matches!(self.phase, Phase::Trying { .. })
    }

    fn is_running(&self, attempt: Attempt) -> bool {
        matches!(self.phase, Phase::Trying { attempt: own, .. } if own == attempt)
    }

    fn withdraw_expired(&mut self, now: Now, out: &mut Vec<Effect>) {
        if self.leaf.as_ref().is_some_and(|leaf| leaf.not_after <= now.wall) {
            self.leaf = None;
            out.push(Effect::Withdraw);
            self.alarm(Alarm::Expired, out);
            // The pause was chosen while the leaf was valid, so it may be too long now.
            self.phase.bring_forward(now.uptime.saturating_add(RETRY_MIN));
        }
    }

    /// Requests another leaf at once if the current one is not valid yet: the clock was set back, and no peer with such
    /// a clock accepts the leaf. The current leaf is kept until then, because the clock may be set forward again.
    fn replace_early(&mut self, now: Now, out: &mut Vec<Effect>) {
        let not_before = self.leaf.as_ref().map(|leaf| leaf.not_before).filter(|from| now.wall < *from);
        let was_early = std::mem::replace(&mut self.early, not_before.is_some());
        match not_before {
            Some(not_before) if !was_early => {
                self.alarm(Alarm::NotYetValid { not_before }, out);
                self.phase.bring_forward(now.uptime);
            }
            None if was_early && self.alarmed.take().is_some() => out.push(Effect::AlarmOver),
            Some(_) | None => {}
        }
    }

    fn roots_changed(&mut self, now: Now, signing_key_id: String, random: &mut dyn FnMut() -> u64) {
        if self.signing_key_id.as_ref() != Some(&signing_key_id) {
            self.signing_key_id = Some(signing_key_id);
            self.stale = 0;
            self.replace_if_stale(now, random);
            if self.leaf.is_none() || self.early {
                // The manager may be pausing after failures under the old root. The new root may be able to sign.
                let soon = share(self.config.root_change_jitter, random);
                self.phase.bring_forward(now.uptime.saturating_add(soon));
            }
        }
    }

    /// Brings the next attempt forward if the active root has not signed the current leaf.
    fn replace_if_stale(&mut self, now: Now, random: &mut dyn FnMut() -> u64) {
        let (Some(active), Some(leaf), Phase::Until { .. }) = (&self.signing_key_id, &self.leaf, self.phase)
        else {
            return;
        };
        if leaf.authority_key_id == *active {
            self.stale = 0;
            return;
        }
        // The first re-issue comes at a random time within the jitter. Each further one waits longer.
        let pause = if self.stale == 0 { Duration::ZERO } else { backoff(self.stale) };
        let pause = pause.saturating_add(share(self.config.root_change_jitter, random));
        self.phase.bring_forward(now.uptime.saturating_add(pause));
    }

    fn signed(
        &mut self,
        now: Now,
        attempt: Attempt,
        leaf: Issued,
        random: &mut dyn FnMut() -> u64,
        out: &mut Vec<Effect>,
    ) {
        if leaf.not_after <= now.wall || now.wall < leaf.not_before {
            self.failed(now, attempt, SignFailure::NotValidNow, random, out);
            return;
        }
        let (from, until) = renewal_window(now.wall, &leaf);
        self.phase = Phase::until(now, from.plus(share(until.since(from), random)));
        let again = self.signing_key_id.as_ref().is_some_and(|active| *active != leaf.authority_key_id);
        self.stale = if again { self.stale.saturating_add(1) } else { 0 };
        self.leaf = Some(leaf);
        self.early = false;
        self.failures = 0;
        out.push(Effect::Publish(attempt));
        if self.alarmed.take().is_some() {
            out.push(Effect::AlarmOver);
        }
        self.replace_if_stale(now, random);
    }

    fn failed(
        &mut self,
        now: Now,
        attempt: Attempt,
        why: SignFailure,
        random: &mut dyn FnMut() -> u64,
        out: &mut Vec<Effect>,
    ) {
        self.failures = self.failures.saturating_add(1);
        let mut pause = backoff(self.failures);
        if why == SignFailure::RateLimited && self.leaf.is_some() {
            // The first leaf of another identity is more urgent than this renewal.
            pause = pause.saturating_add(share(self.config.root_change_jitter, random));
        }
        if let Some(leaf) = &self.leaf {
            // The nearer the leaf's end, the shorter the pause.
            pause = pause.min(leaf.not_after.since(now.wall) / 10).max(RETRY_MIN);
        }
        pause = pause.saturating_add(share(pause / 4, random));
        self.phase = Phase::pause(now, pause);
        out.push(Effect::Forget(attempt));
        if self.leaf.is_none() || self.early {
            out.push(Effect::Fail(why));
        }
        // Wrong clocks do not correct themselves, so the operator must know at once.
        let clocks = why == SignFailure::NotValidNow && !matches!(self.alarmed, Some(Alarm::Failing { .. }));
        if clocks || self.failures >= ALARM_AFTER_FAILURES && self.alarmed.is_none() {
            self.alarm(Alarm::Failing { failures: self.failures, last: why }, out);
        }
    }

    /// Gives up an attempt whose deadline has passed, and starts an attempt that is due.
    fn act(&mut self, now: Now, random: &mut dyn FnMut() -> u64, out: &mut Vec<Effect>) {
        if let Phase::Trying { attempt, deadline } = self.phase
            && deadline <= now.uptime
        {
            self.failed(now, attempt, SignFailure::Unreachable, random, out);
        }
        if self.phase.is_over(now) {
            self.attempts += 1;
            let attempt = Attempt(self.attempts);
            self.phase = Phase::Trying { attempt, deadline: now.uptime.saturating_add(SIGN_TIMEOUT) };
            out.push(Effect::MakeKey(attempt));
        }
    }

    /// Raises an alarm if the leaf should have been replaced by now.
    fn watch(&mut self, now: Now, out: &mut Vec<Effect>) {
        let overdue =
            self.leaf.as_ref().filter(|leaf| overdue_at(leaf) <= now.wall).map(|leaf| leaf.not_after);
        if let Some(not_after) = overdue
            && !matches!(self.alarmed, Some(Alarm::Overdue { .. } | Alarm::Expired))
        {
            self.alarm(Alarm::Overdue { not_after }, out);
        }
    }

    fn alarm(&mut self, alarm: Alarm, out: &mut Vec<Effect>) {
        self.alarmed = Some(alarm);
        out.push(Effect::Alarm(alarm));
    }

    fn arm(&mut self, now: Now, out: &mut Vec<Effect>) {
        let next = match self.phase {
            Phase::Empty => return,
            Phase::Until { uptime, .. } => uptime,
            Phase::Trying { deadline, .. } => deadline,
        };
        let told = matches!(self.alarmed, Some(Alarm::Overdue { .. } | Alarm::Expired));
        let next = match &self.leaf {
            Some(leaf) if !told => next.min(now.uptime_at(leaf.not_after.min(overdue_at(leaf)))),
            Some(leaf) => next.min(now.uptime_at(leaf.not_after)),
            None => next,
        };
        if self.armed != Some(next) {
            self.armed = Some(next);
            out.push(Effect::ArmTimer(next));
        }
    }
}

/// The first and the last time for a renewal.
fn renewal_window(now: Timestamp, leaf: &Issued) -> (Timestamp, Timestamp) {
    let life = leaf.not_after.since(leaf.not_before);
    if life < RENEW_AT_ONCE_BELOW {
        // Renew soon, but not in a loop: after a tenth of the remaining life, and at least a second.
        let at = now.plus((leaf.not_after.since(now) / 10).max(RENEW_PAUSE_MIN));
        return (at, at);
    }
    let until = leaf.not_before.plus(percent(life, RENEW_UNTIL_PERCENT));
    let from = leaf.not_before.plus(percent(life, RENEW_FROM_PERCENT)).max(now.plus(RENEW_PAUSE_MIN));
    (from, until.max(from))
}

/// Halfway between the end of the renewal window and the end of the leaf's life. From then on a renewal is urgent.
fn overdue_at(leaf: &Issued) -> Timestamp {
    let life = leaf.not_after.since(leaf.not_before);
    leaf.not_before.plus(percent(life, RENEW_UNTIL_PERCENT + (100 - RENEW_UNTIL_PERCENT) / 2))
}

fn percent(of: Duration, percent: u32) -> Duration {
    of / 100 * percent
}

/// A random part of a duration.
fn share(of: Duration, random: &mut dyn FnMut() -> u64) -> Duration {
    // A float represents 53 bits exactly.
    let fraction = (random() >> 11) as f64 / (1u64 << 53) as f64;
    of.mul_f64(fraction)
}

/// Doubles the pause with each failure, up to a limit.
fn backoff(failures: u32) -> Duration {
    RETRY_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(RETRY_MAX)
}
