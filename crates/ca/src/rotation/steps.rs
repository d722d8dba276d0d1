//! The steps of the machine: how it reacts to each event.

use std::time::Duration;

use concord_model::Now;
use concord_model::ca::{CaRoot, ProviderRecord};

use super::event::{Change, Effect, Failure, Persisted, Proposal, RequestId, Step};
use super::progress::Pending;
use super::{Machine, Phase, Using};
use crate::limits::{DISTRIBUTION_WAIT_FORCED, ROTATION_RETRY};

impl Machine {
    fn step(&mut self) -> Step {
        self.steps += 1;
        Step(self.steps)
    }

    pub(super) fn load(&mut self, out: &mut Vec<Effect>) {
        let step = self.step();
        self.phase = Phase::Loading(step);
        out.push(Effect::Load(step));
    }

    /// Continues from the contents of the log: after the start, after each write and after a failure.
    pub(super) fn resume(&mut self, now: Now, persisted: Persisted, out: &mut Vec<Effect>) {
        let was_active = self.active_id();
        let had_config = self.persisted.config.as_ref().map(|config| config.stamp.modify);
        self.persisted = persisted;
        let (Some(_), Some(config)) = (&self.persisted.roots, &self.persisted.config) else {
            let change = self.first_change();
            let step = self.step();
            self.phase = Phase::GeneratingFirst(step);
            out.push(Effect::GenerateRoot(step, change));
            return;
        };
        let changed = was_active != self.active_id() || had_config != Some(config.stamp.modify);
        if changed || self.using == Using::Not {
            self.use_provider(out);
        }
        for id in self.orphaned_records() {
            out.push(Effect::ForgetRecord(id));
        }
        match self.progress().pending {
            Some(pending) if self.staged(&pending.root_id).is_some() => {
                let Pending { root_id, confirm_by, .. } = pending;
                out.push(Effect::AwaitConfirmation(root_id.clone()));
                // If this leader's clock is behind, `confirm_by` may be days away.
                let wait = confirm_by.since(now.wall).min(DISTRIBUTION_WAIT_FORCED);
                let confirm_by = now.uptime.saturating_add(wait);
                self.phase = Phase::Distributing { root_id, confirm_by };
            }
            _ => {
                self.phase = Phase::Steady;
                if let Some(request) = self.request.take() {
                    out.push(Effect::Answer(request, Ok(())));
                }
            }
        }
    }

    pub(super) fn use_provider(&mut self, out: &mut Vec<Effect>) {
        let (Some(id), Some(config)) = (self.active_id(), self.persisted.config.clone()) else {
            return;
        };
        let step = self.step();
        self.using = Using::Asked(step);
        out.push(Effect::UseProvider(step, id, Box::new(config)));
    }

    pub(super) fn configure(&mut self, now: Now, request: RequestId, change: Change, out: &mut Vec<Effect>) {
        if !self.accepts(change.rotates && change.force_without_cross_signing) {
            out.push(Effect::Answer(request, Err(Failure::Busy)));
            return;
        }
        if let (true, Err(full)) = (change.rotates, self.leaving(now.wall, &change)) {
            out.push(Effect::Answer(request, Err(full)));
            return;
        }
        self.request = Some(request);
        if !change.rotates {
            self.propose_config(&change, None, out);
            return;
        }
        self.rotate(change, out);
    }

    pub(super) fn rotate(&mut self, change: Change, out: &mut Vec<Effect>) {
        let step = self.step();
        self.phase = Phase::Generating(step, change.clone());
        out.push(Effect::GenerateRoot(step, change));
    }

    pub(super) fn generated(
        &mut self,
        step: Step,
        root: Box<CaRoot>,
        record: Option<ProviderRecord>,
        out: &mut Vec<Effect>,
    ) {
        match self.phase.clone() {
            Phase::GeneratingFirst(own) if own == step => {
                let proposal = self.first_proposal(*root, record);
                self.propose(proposal, out);
            }
            Phase::Generating(own, change) if own == step => {
                if self.active_id().as_ref() == Some(&root.id) {
                    self.propose_config(&change, record, out);
                    return;
                }
                let next = self.step();
                out.push(Effect::CrossSign(next, root.root_cert.clone()));
                self.phase = Phase::CrossSigning(next, change, root, record);
            }
            _ => {}
        }
    }

    pub(super) fn cross_signed(&mut self, now: Now, step: Step, pem: Option<String>, out: &mut Vec<Effect>) {
        let Phase::CrossSigning(own, change, root, record) = self.phase.clone() else {
            return;
        };
        if own == step {
            let proposal = self.stage(now.wall, &change, *root, record, pem);
            self.propose(proposal, out);
        }
    }

    pub(super) fn confirmed(&mut self, now: Now, confirmed: &str, out: &mut Vec<Effect>) {
        if matches!(&self.phase, Phase::Distributing { root_id, .. } if root_id == confirmed) {
            self.activate(now, out);
        }
    }

    pub(super) fn activate(&mut self, now: Now, out: &mut Vec<Effect>) {
        if let Some(proposal) = self.activation(now.wall) {
            self.propose(proposal, out);
        } else {
            self.load(out);
        }
    }

    fn propose_config(&mut self, change: &Change, record: Option<ProviderRecord>, out: &mut Vec<Effect>) {
        let proposal = self.reconfiguration(change, record);
        self.propose(proposal, out);
    }

    pub(super) fn propose(&mut self, proposal: Proposal, out: &mut Vec<Effect>) {
        let step = self.step();
        self.phase = Phase::Proposing(step);
        out.push(Effect::Propose(step, Box::new(proposal)));
    }

    pub(super) fn failed(&mut self, now: Now, step: Step, why: Failure, out: &mut Vec<Effect>) {
        if self.using == Using::Asked(step) {
            self.using = Using::RetryAt(now.uptime.saturating_add(ROTATION_RETRY));
            return;
        }
        match self.phase.clone() {
            Phase::Loading(own) | Phase::GeneratingFirst(own) if own == step => {
                self.phase = Phase::Waiting(now.uptime.saturating_add(ROTATION_RETRY));
            }
            Phase::CrossSigning(own, change, ..)
                if own == step
                    && why == Failure::NoCrossSigning
                    && (change.force_without_cross_signing || !self.is_valid(now.wall)) =>
            {
                self.cross_signed(now, step, None, out);
            }
            Phase::Generating(own, _) | Phase::CrossSigning(own, ..) if own == step => {
                self.phase = Phase::Steady;
                out.push(Effect::DropProvider);
                self.refuse(why, out);
            }
            // The proposal may have been applied; the log shows it. If a rotation was staged, it continues from there.
            Phase::Proposing(own) if own == step => {
                self.refuse(why, out);
                let pause = if why == Failure::Conflict { Duration::ZERO } else { ROTATION_RETRY };
                self.phase = Phase::Waiting(now.uptime.saturating_add(pause));
            }
            _ => {}
        }
    }

    fn refuse(&mut self, why: Failure, out: &mut Vec<Effect>) {
        if let Some(request) = self.request.take() {
            out.push(Effect::Answer(request, Err(why)));
        }
    }
}
