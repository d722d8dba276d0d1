//! The work of the rotation machine that depends on the clocks.

use std::time::Duration;

use concord_model::Now;

use super::alarm::Alarm;
use super::event::Effect;
use super::{Machine, Phase, Using};
use crate::limits::{CLOCK_STEP_MIN, PRUNE_AFTER_STEP, PRUNE_CHECK, ROOT_RENEW_RETRY, ROOT_REPLACE_RETRY};

impl Machine {
    /// Detects that somebody has set the wall clock.
    pub(super) fn look_at_the_clock(&mut self, now: Now, out: &mut Vec<Effect>) {
        let (forward, back) = (now.set_forward_since(self.seen), now.set_back_since(self.seen));
        self.seen = now;
        if forward.max(back) >= CLOCK_STEP_MIN {
            self.prune_check = self.prune_check.max(now.uptime.saturating_add(PRUNE_AFTER_STEP));
            self.life_check = Duration::ZERO;
            out.push(Effect::Alarm(Alarm::ClockSet { forward, back }));
        }
        let valid = self.is_valid(now.wall);
        if std::mem::replace(&mut self.was_valid, valid) != valid {
            self.life_check = Duration::ZERO;
        }
    }

    /// Starts the work that is due.
    pub(super) fn act(&mut self, now: Now, out: &mut Vec<Effect>) {
        if matches!(self.using, Using::RetryAt(at) if at <= now.uptime) {
            self.use_provider(out);
        }
        match self.phase {
            Phase::Waiting(at) if at <= now.uptime => self.load(out),
            Phase::Distributing { confirm_by, .. } if confirm_by <= now.uptime => self.activate(now, out),
            Phase::Steady if self.using == Using::Ready => {
                if self.life_check <= now.uptime {
                    self.look_at_the_root(now, out);
                }
                if self.phase == Phase::Steady && self.prune_check <= now.uptime {
                    self.prune(now, out);
                }
            }
            _ => {}
        }
    }

    fn prune(&mut self, now: Now, out: &mut Vec<Effect>) {
        self.prune_check = now.uptime.saturating_add(PRUNE_CHECK);
        if let Some(proposal) = self.pruning(now.wall) {
            self.propose(proposal, out);
        }
    }

    /// Replaces a root of our own that is old or not valid now, and raises an alarm about a problem of the active root.
    fn look_at_the_root(&mut self, now: Now, out: &mut Vec<Effect>) {
        let valid = self.is_valid(now.wall);
        let pause = if valid { ROOT_RENEW_RETRY } else { ROOT_REPLACE_RETRY };
        let due = self.renewal_due().map(|due| now.uptime_at(due)).filter(|due| *due > now.uptime);
        self.life_check = now.uptime.saturating_add(pause).min(due.unwrap_or(Duration::MAX));
        self.tell_of_the_root(now, out);
        if let Some(change) = self.renewal(now.wall) {
            self.rotate(change, out);
        }
    }

    /// Raises an alarm about the active root when a problem begins, and every hour while it lasts.
    fn tell_of_the_root(&mut self, now: Now, out: &mut Vec<Effect>) {
        let alarm = self.root_alarm(now.wall);
        let told = self.told.filter(|(told, again)| alarm == Some(*told) && now.uptime < *again);
        if let (Some(alarm), None) = (alarm, told) {
            self.told = Some((alarm, now.uptime.saturating_add(ROOT_RENEW_RETRY)));
            out.push(Effect::Alarm(alarm));
        } else if alarm.is_none() {
            self.told = None;
        }
    }

    pub(super) fn arm(&mut self, out: &mut Vec<Effect>) {
        let by_phase = match self.phase {
            Phase::Waiting(at) => Some(at),
            Phase::Distributing { confirm_by, .. } => Some(confirm_by),
            Phase::Steady if self.using == Using::Ready => Some(self.prune_check.min(self.life_check)),
            _ => None,
        };
        let by_use = match self.using {
            Using::RetryAt(at) => Some(at),
            _ => None,
        };
        let Some(next) = by_phase.into_iter().chain(by_use).min() else {
            return;
        };
        if self.armed != Some(next) {
            self.armed = Some(next);
            out.push(Effect::ArmTimer(next));
        }
    }
}
