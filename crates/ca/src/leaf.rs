//! The leaf manager: keeps one identity supplied with a leaf that is valid, as a machine.
//!
//! ```text
//!            Wanted              KeyMade             Issued
//!   Empty ───────────► MakingKey ───────► Signing ───────────► Resting
//!     ▲                    │ failed          │ refused, late      │ 60-90 % of life, or
//!     │                    └───────┬─────────┘                    │ the root changed
//!     │ the leaf expired           ▼                              ▼
//!     └──────────────────────── Pausing ◄──────────────────── MakingKey
//! ```
//!
//! It runs by the clock, not only when somebody reads. [`Host`] is what everybody who keeps a leaf runs it in: it performs
//! the effects in order and keeps the key of the running attempt. Keys are made anew for each leaf and never enter the
//! machine. An answer that comes for an attempt given up is dropped.
//!
//! The wall clock says whether a leaf is valid; pauses and deadlines go by the time that only goes forward. So the
//! first event after the wall clock was set, of any kind, withdraws what has expired and asks for another leaf in
//! place of one that is not valid yet.

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

/// Counts attempts; answers carry the number of the attempt they are for.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Attempt(pub u64);

/// What the machine has to know of a leaf.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Issued {
    /// First second of its life.
    pub not_before: Timestamp,
    /// Last second of its life.
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

/// Why there was no signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SignFailure {
    /// The servers have enough to do; try again later.
    #[error("Rate limit reached, try again later")]
    RateLimited,
    /// No server answered.
    #[error("no server signed the certificate in time")]
    Unreachable,
    /// The token does not allow the identity.
    #[error("the token does not allow this identity")]
    Denied,
    /// No key could be made.
    #[error("no key could be made")]
    NoKey,
    /// What came is not valid now.
    #[error("the certificate signed is not valid now; compare the clocks of this machine and the servers")]
    NotValidNow,
}

/// What happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// Somebody needs the leaf. The first one starts the machine, further ones change nothing.
    Wanted,
    /// The certificate that signs leaves is now the one with this key id.
    RootsChanged {
        /// Colon-separated hexadecimal.
        signing_key_id: String,
    },
    /// The key for an attempt is there.
    KeyMade(Attempt),
    /// The certificate for an attempt is there.
    Signed(Attempt, Issued),
    /// An attempt failed.
    Failed(Attempt, SignFailure),
    /// The timer fired, or any other moment.
    Tick,
}

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Effect {
    /// Make a key for an attempt, answer with [`Event::KeyMade`].
    MakeKey(Attempt),
    /// Request a signature for the attempt's key, answer with [`Event::Signed`] or [`Event::Failed`].
    RequestSignature(Attempt),
    /// Present the attempt's leaf from now on; forget the key presented so far.
    Publish(Attempt),
    /// Forget the attempt's key: its answer came too late or was of no use.
    Forget(Attempt),
    /// Present nothing: the leaf has expired.
    Withdraw,
    /// Tell those who wait for the first leaf that there is none now.
    Fail(SignFailure),
    /// Wake the machine with [`Event::Tick`] at this uptime, and no longer at an earlier one.
    ArmTimer(Duration),
    /// Tell the operator.
    Alarm(Alarm),
    /// What the operator was told of is over.
    AlarmOver,
}

/// What an operator should look at.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Alarm {
    /// Several attempts have failed in a row, or one in a way that does not pass by itself.
    #[error("the leaf certificate cannot be renewed ({failures} failures): {last}")]
    Failing {
        /// How many.
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
    /// The leaf is not valid yet; another is asked for.
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

/// How a manager behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Config {
    /// Spread of re-issues after a change of the root.
    pub root_change_jitter: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { root_change_jitter: ROOT_CHANGE_JITTER }
    }
}

impl Config {
    /// As for `-dev` (D26): half a second.
    pub fn dev() -> Self {
        Self { root_change_jitter: Duration::from_millis(500) }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Nobody has wanted a leaf yet.
    Empty,
    /// Nothing to do before this uptime, or this moment on the wall if that is first: a leaf is held, or an attempt
    /// has failed.
    Until { uptime: Duration, wall: Timestamp },
    /// A key is being made, or a signature awaited, until the deadline.
    Trying { attempt: Attempt, deadline: Duration },
}

impl Phase {
    /// A pause, whatever becomes of the wall clock.
    fn pause(now: Now, pause: Duration) -> Self {
        Self::Until { uptime: now.uptime.saturating_add(pause), wall: Timestamp::FAR_FUTURE }
    }

    /// Until a moment on the wall: when it is there, or when it would have been had nobody set the clock.
    fn until(now: Now, wall: Timestamp) -> Self {
        Self::Until { uptime: now.uptime_at(wall), wall }
    }

    /// Ends a pause at this uptime at the latest.
    fn bring_forward(&mut self, to: Duration) {
        if let Self::Until { uptime, .. } = self {
            *uptime = to.min(*uptime);
        }
    }

    fn is_over(self, now: Now) -> bool {
        matches!(self, Self::Until { uptime, wall } if uptime <= now.uptime || wall <= now.wall)
    }
}

/// Keeps one identity supplied.
#[derive(Clone, Debug)]
pub struct Manager {
    config: Config,
    phase: Phase,
    attempts: u64,
    leaf: Option<Issued>,
    signing_key_id: Option<String>,
    failures: u32,
    /// Re-issues in a row that came from another than the active root.
    stale: u32,
    /// The leaf is not valid yet, and has been found so.
    early: bool,
    alarmed: Option<Alarm>,
    armed: Option<Duration>,
}

impl Manager {
    /// A manager nobody has asked yet.
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

    /// Takes an event and says what is to be done, in order. `random` gives any 64 bits.
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

    /// The leaf presented.
    pub fn leaf(&self) -> Option<&Issued> {
        self.leaf.as_ref()
    }

    /// How many attempts have failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether an attempt runs.
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
            // A pause chosen for a leaf that was still good must not outlive it.
            self.phase.bring_forward(now.uptime.saturating_add(RETRY_MIN));
        }
    }

    /// Asks for another leaf at once when the one held is not valid yet: the clock was set back, and nobody who goes by
    /// it accepts the leaf. It is kept meanwhile, in case the clock is set forward again.
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
                // A pause after failures under the old root: the new one may sign.
                let soon = share(self.config.root_change_jitter, random);
                self.phase.bring_forward(now.uptime.saturating_add(soon));
            }
        }
    }

    /// Brings the next attempt forward if the active root has not signed the leaf.
    fn replace_if_stale(&mut self, now: Now, random: &mut dyn FnMut() -> u64) {
        let (Some(active), Some(leaf), Phase::Until { .. }) = (&self.signing_key_id, &self.leaf, self.phase)
        else {
            return;
        };
        if leaf.authority_key_id == *active {
            self.stale = 0;
            return;
        }
        // The first time at a random moment of the jitter; if that did not help, ever later.
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
            // Somebody else's first leaf is more urgent than this renewal.
            pause = pause.saturating_add(share(self.config.root_change_jitter, random));
        }
        if let Some(leaf) = &self.leaf {
            // The nearer the end, the shorter the pause.
            pause = pause.min(leaf.not_after.since(now.wall) / 10).max(RETRY_MIN);
        }
        pause = pause.saturating_add(share(pause / 4, random));
        self.phase = Phase::pause(now, pause);
        out.push(Effect::Forget(attempt));
        if self.leaf.is_none() || self.early {
            out.push(Effect::Fail(why));
        }
        // Clocks that disagree do not agree by themselves.
        let clocks = why == SignFailure::NotValidNow && !matches!(self.alarmed, Some(Alarm::Failing { .. }));
        if clocks || self.failures >= ALARM_AFTER_FAILURES && self.alarmed.is_none() {
            self.alarm(Alarm::Failing { failures: self.failures, last: why }, out);
        }
    }

    /// Gives up a late attempt, begins one that is due.
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

    /// Tells of a leaf that should have been replaced by now.
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

/// The first and the last moment for a renewal.
fn renewal_window(now: Timestamp, leaf: &Issued) -> (Timestamp, Timestamp) {
    let life = leaf.not_after.since(leaf.not_before);
    if life < RENEW_AT_ONCE_BELOW {
        // At once, but not in a loop: a tenth of what is left, a second at least.
        let at = now.plus((leaf.not_after.since(now) / 10).max(RENEW_PAUSE_MIN));
        return (at, at);
    }
    let until = leaf.not_before.plus(percent(life, RENEW_UNTIL_PERCENT));
    let from = leaf.not_before.plus(percent(life, RENEW_FROM_PERCENT)).max(now.plus(RENEW_PAUSE_MIN));
    (from, until.max(from))
}

/// Half of what is left after the renewal window: from here on it is urgent.
fn overdue_at(leaf: &Issued) -> Timestamp {
    let life = leaf.not_after.since(leaf.not_before);
    leaf.not_before.plus(percent(life, RENEW_UNTIL_PERCENT + (100 - RENEW_UNTIL_PERCENT) / 2))
}

fn percent(of: Duration, percent: u32) -> Duration {
    of / 100 * percent
}

/// A random part of a time.
fn share(of: Duration, random: &mut dyn FnMut() -> u64) -> Duration {
    // 53 bits are what a float carries exactly.
    let fraction = (random() >> 11) as f64 / (1u64 << 53) as f64;
    of.mul_f64(fraction)
}

/// Doubles with each failure, up to a limit.
fn backoff(failures: u32) -> Duration {
    RETRY_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(RETRY_MAX)
}
