//! The CA's life on the leader: first root, change of configuration, rotation, retirement of old
//! roots; a machine that may be killed between any two steps.
//!
//! ```text
//!  Loading ──► GeneratingFirst ──► Proposing ──► Steady ◄────────────────────────────┐
//!     │                                            │ configure                       │
//!     │                            ┌───────────────┴──────────────┐                  │
//!     │                        same root                      new root               │
//!     │                            │                              ▼                  │
//!     │                            │                    Generating ─► CrossSigning   │
//!     │                            │                              │                  │
//!     │ a rotation was begun       │              stage: both roots published        │
//!     └──────────────────────────────────────────────► Distributing                  │
//!                                  │                              │ all confirm, or  │
//!                                  │                              ▼ time is up       │
//!                                  └──────────────────────► activate ────────────────┘
//! ```
//!
//! What counts is in the log: the set of roots, the configuration and, inside it under
//! [`PROGRESS_KEY`], how far a rotation has come. Each step is one proposal, applied as a whole or
//! not at all, and only if nothing has changed since; after a failure of unknown outcome the machine
//! loads and goes on from what it finds. Before `stage` nothing has been published, and a crash drops
//! the request. After it a new leader completes the rotation.
//!
//! Why no handshake fails: until `activate` leaves come from the old root, which everybody trusts.
//! After it they carry the old root's signature over the new one, so that those who have not heard
//! verify them too. An old root goes when every leaf it signed has long expired. For that the host
//! must sign leaves only while its provider's certificate is the active root's signing certificate
//! ([`may_sign`]); in between it answers that signing is closed for a moment.
//!
//! The wall clock may be set in either direction. Pauses and periods go by the time that only goes forward. A root of
//! our own that is not valid by the clock of the moment (made under a wrong one, or over), or that is old, is
//! replaced without being asked for; and no root is removed for a day after the clock was set.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use concord_model::ca::{BuiltinCaState, CaConfig, CaRoot, CaRoots};
use concord_model::proxy::Settings;
use concord_model::{Now, Timestamp, TrustDomain};
use serde::{Deserialize, Serialize};

use crate::der::time::shown;
use crate::limits::{
    CLOCK_STEP_MIN, DISTRIBUTION_WAIT_FORCED, INACTIVE_ROOTS_MAX, PRUNE_AFTER_STEP, PRUNE_CHECK,
    ROOT_RENEW_RETRY, ROOT_REPLACE_RETRY, ROTATION_RETRY,
};
use crate::x509::Certificate;

mod alarm;
mod records;

pub use self::alarm::Alarm;

/// Where in the configuration's state the progress of a rotation is kept; not shown to users.
pub const PROGRESS_KEY: &str = "rotation";

/// Counts effects; answers carry the number of the effect they are for.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Step(pub u64);

/// Names a request of an operator, so that its answer finds it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RequestId(pub u64);

/// What the log holds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Persisted {
    /// The published roots.
    pub roots: Option<CaRoots>,
    /// The configuration.
    pub config: Option<CaConfig>,
    /// Ids of the records the built-in provider keeps.
    pub records: BTreeSet<String>,
}

/// How far a rotation has come, and when old roots go.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Progress {
    /// A root that is published but not active yet, and the configuration that comes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// When each root that was rotated out goes.
    #[serde(default)]
    pub retire_at: BTreeMap<String, Timestamp>,
    /// Longest life of leaves since the active root became active, in seconds: a life lowered later
    /// does not shorten the leaves already out.
    #[serde(default)]
    pub longest_leaf_life: u64,
}

/// A rotation between `stage` and `activate`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Pending {
    /// Id of the new root.
    pub root_id: String,
    /// The provider to come.
    pub provider: String,
    /// Its settings, without secrets.
    pub settings: Settings,
    /// Whether the new root may lack the old one's signature.
    pub force_without_cross_signing: bool,
    /// Life of leaves to come, in seconds.
    pub leaf_life: u64,
    /// When it is activated even if not all have confirmed.
    pub confirm_by: Timestamp,
}

/// A change of configuration, validated.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// The provider.
    pub provider: String,
    /// Its settings, without secrets.
    pub settings: Settings,
    /// Rotate even if the old root cannot sign the new one.
    pub force_without_cross_signing: bool,
    /// Life of leaves.
    pub leaf_life: Duration,
    /// Whether it asks for another root.
    pub rotates: bool,
    /// Let the oldest root go if there are as many as can be kept, whether or not leaves depend on it.
    pub force_without_oldest_root: bool,
    /// Inactive roots known not to have signed a leaf that is still valid.
    pub idle: BTreeSet<String>,
}

/// What is to be written, all of it or nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proposal {
    /// The roots, exactly one of them active.
    pub roots: CaRoots,
    /// Only if the roots last changed at this index; 0: only if there are none.
    pub roots_cas: u64,
    /// The configuration.
    pub config: CaConfig,
    /// Only if the configuration last changed at this index; 0: only if there is none.
    pub config_cas: u64,
    /// What the built-in provider keeps for a new root.
    pub record: Option<BuiltinCaState>,
}

/// Why something was not done.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Failure {
    /// Another operation is under way.
    #[error("the CA is being changed; try again when that is done")]
    Busy,
    /// The provider does not answer, or refuses.
    #[error("the CA provider did not do its part; see the log of the leader")]
    Provider,
    /// The old root cannot sign the new one.
    #[error(
        "the current CA cannot cross-sign the new root, so connections would fail during the rotation; \
         set ForceWithoutCrossSigning to rotate all the same"
    )]
    NoCrossSigning,
    /// As many inactive roots are kept as can be, and leaves may depend on all of them.
    #[error(
        "{INACTIVE_ROOTS_MAX} earlier roots are kept for leaves that are still valid, and none of them is free before \
         {}; wait, or set ForceWithoutOldestRoot: the oldest root goes at once, and whoever presents a leaf that it \
         signed is refused until it has a new one",
        shown(*free_at)
    )]
    RootsInUse {
        /// When the first of them is free.
        free_at: Timestamp,
    },
    /// Something else was written in between.
    #[error("the CA's configuration was changed by somebody else; read it again")]
    Conflict,
    /// Nobody knows whether it was written.
    #[error("the outcome is not known; read the CA's configuration again")]
    Unknown,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// What the log holds; answers [`Effect::Load`].
    Loaded(Step, Persisted),
    /// An operator changes the configuration.
    Configure(RequestId, Change),
    /// The new root; answers [`Effect::GenerateRoot`].
    Generated(Step, Box<CaRoot>, Option<BuiltinCaState>),
    /// The new root under the old one's signature, PEM; answers [`Effect::CrossSign`].
    CrossSigned(Step, String),
    /// A proposal was applied; this is what the log holds now.
    Applied(Step, Persisted),
    /// The provider is ready; answers [`Effect::UseProvider`].
    ProviderReady(Step),
    /// An effect failed.
    Failed(Step, Failure),
    /// Every live subscriber of roots has confirmed that it trusts this root.
    Confirmed {
        /// Id of the root.
        root_id: String,
    },
    /// The timer fired.
    Tick,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Read what the log holds, answer with [`Event::Loaded`].
    Load(Step),
    /// Configure a provider beside the one in use and let it make its root, or take the one supplied.
    GenerateRoot(Step, Change),
    /// Let the provider in use sign this root, PEM.
    CrossSign(Step, String),
    /// Write.
    Propose(Step, Box<Proposal>),
    /// Sign leaves with the provider of this root under this configuration from now on; opens it from
    /// its record if it is not at hand, lets go of the one used before.
    UseProvider(Step, String, Box<CaConfig>),
    /// Let go of the provider configured last; it is not going to be used.
    DropProvider,
    /// Delete what the built-in provider keeps under this id.
    ForgetRecord(String),
    /// Find out when every live subscriber trusts this root, tell with [`Event::Confirmed`].
    AwaitConfirmation(String),
    /// Answer an operator.
    Answer(RequestId, Result<(), Failure>),
    /// Wake the machine at this uptime, and no longer at an earlier one.
    ArmTimer(Duration),
    /// Tell the operator.
    Alarm(Alarm),
}

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    /// The log is being read.
    Loading(Step),
    /// Something failed; the log is read again at this uptime.
    Waiting(Duration),
    /// The very first root is being made.
    GeneratingFirst(Step),
    /// The root of a rotation is being made.
    Generating(Step, Change),
    /// The new root is being signed by the old one.
    CrossSigning(Step, Change, Box<CaRoot>, Option<BuiltinCaState>),
    /// Something is being written.
    Proposing(Step),
    /// Both roots are published; waiting for proof.
    Distributing { root_id: String, confirm_by: Duration },
    /// Nothing is under way.
    Steady,
}

/// Whether the provider of the active root signs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Using {
    Not,
    Asked(Step),
    RetryAt(Duration),
    Ready,
}

/// The CA's life on the leader. Made when leadership begins, dropped when it ends.
#[derive(Clone, Debug)]
pub struct Machine {
    trust_domain: TrustDomain,
    /// The configuration of a cluster without one.
    initial: CaConfig,
    initial_leaf_life: Duration,
    steps: u64,
    phase: Phase,
    using: Using,
    persisted: Persisted,
    request: Option<RequestId>,
    prune_check: Duration,
    /// The next look at the life of the active root.
    life_check: Duration,
    /// Whether the active root was valid when it was looked at last.
    was_valid: bool,
    /// What the operator was told last, and when he is told again.
    told: Option<(Alarm, Duration)>,
    /// The clocks when they were looked at last.
    seen: Now,
    armed: Option<Duration>,
}

impl Machine {
    /// A machine of a new leader; begins with reading the log. `initial` is what a cluster without a
    /// CA starts with.
    pub fn start(
        now: Now,
        trust_domain: TrustDomain,
        initial: CaConfig,
        initial_leaf_life: Duration,
        out: &mut Vec<Effect>,
    ) -> Self {
        let mut own = Self {
            trust_domain,
            initial,
            initial_leaf_life,
            steps: 0,
            phase: Phase::Steady,
            using: Using::Not,
            persisted: Persisted::default(),
            request: None,
            // The clock may be set in the first hour of a machine.
            prune_check: now.uptime.saturating_add(PRUNE_CHECK),
            life_check: Duration::ZERO,
            was_valid: true,
            told: None,
            seen: now,
            armed: None,
        };
        own.load(out);
        own
    }

    /// Takes an event and says what is to be done, in order. Answers to effects that are no longer
    /// awaited change nothing.
    pub fn on(&mut self, now: Now, event: Event, out: &mut Vec<Effect>) {
        self.look_at_the_clock(now, out);
        match event {
            Event::Configure(request, change) => self.configure(now, request, change, out),
            Event::Loaded(step, persisted) if self.phase == Phase::Loading(step) => {
                self.resume(now, persisted, out)
            }
            Event::Generated(step, root, record) => self.generated(step, root, record, out),
            Event::CrossSigned(step, pem) => self.cross_signed(now, step, Some(pem), out),
            Event::Applied(step, persisted) if self.phase == Phase::Proposing(step) => {
                self.resume(now, persisted, out);
            }
            Event::ProviderReady(step) if self.using == Using::Asked(step) => self.using = Using::Ready,
            Event::Failed(step, why) => self.failed(now, step, why, out),
            Event::Confirmed { root_id } => self.confirmed(now, &root_id, out),
            Event::Tick => {}
            Event::Loaded(..) | Event::Applied(..) | Event::ProviderReady(_) => {}
        }
        self.act(now, out);
        self.arm(out);
    }

    /// What is under way, for status displays.
    pub fn phase(&self) -> &'static str {
        match self.phase {
            Phase::Loading(_) | Phase::Waiting(_) => "loading",
            Phase::GeneratingFirst(_) => "generating the first root",
            Phase::Generating(..) => "generating a root",
            Phase::CrossSigning(..) => "cross-signing",
            Phase::Proposing(_) => "writing",
            Phase::Distributing { .. } => "distributing",
            Phase::Steady => "steady",
        }
    }

    /// Whether nothing is under way and the active root's provider signs.
    pub fn is_steady(&self) -> bool {
        self.phase == Phase::Steady && self.using == Using::Ready
    }

    /// Whether a change may begin now. Where the active root's key is lost nothing will ever sign with it: a rotation
    /// without its signature over the new root is the way out, and needs no more than that nothing else is under way.
    pub fn accepts(&self, without_cross_signing: bool) -> bool {
        self.is_steady() || self.phase == Phase::Steady && without_cross_signing
    }

    /// Notices that somebody has set the wall clock.
    fn look_at_the_clock(&mut self, now: Now, out: &mut Vec<Effect>) {
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

    fn step(&mut self) -> Step {
        self.steps += 1;
        Step(self.steps)
    }

    fn load(&mut self, out: &mut Vec<Effect>) {
        let step = self.step();
        self.phase = Phase::Loading(step);
        out.push(Effect::Load(step));
    }

    /// Goes on from what the log holds: after the start, after each write, after a failure.
    fn resume(&mut self, now: Now, persisted: Persisted, out: &mut Vec<Effect>) {
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
                // A leader whose clock is behind must not wait for days.
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

    fn use_provider(&mut self, out: &mut Vec<Effect>) {
        let (Some(id), Some(config)) = (self.active_id(), self.persisted.config.clone()) else {
            return;
        };
        let step = self.step();
        self.using = Using::Asked(step);
        out.push(Effect::UseProvider(step, id, Box::new(config)));
    }

    fn configure(&mut self, now: Now, request: RequestId, change: Change, out: &mut Vec<Effect>) {
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

    fn rotate(&mut self, change: Change, out: &mut Vec<Effect>) {
        let step = self.step();
        self.phase = Phase::Generating(step, change.clone());
        out.push(Effect::GenerateRoot(step, change));
    }

    fn generated(
        &mut self,
        step: Step,
        root: Box<CaRoot>,
        record: Option<BuiltinCaState>,
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

    fn cross_signed(&mut self, now: Now, step: Step, pem: Option<String>, out: &mut Vec<Effect>) {
        let Phase::CrossSigning(own, change, root, record) = self.phase.clone() else {
            return;
        };
        if own == step {
            let proposal = self.stage(now.wall, &change, *root, record, pem);
            self.propose(proposal, out);
        }
    }

    fn confirmed(&mut self, now: Now, confirmed: &str, out: &mut Vec<Effect>) {
        if matches!(&self.phase, Phase::Distributing { root_id, .. } if root_id == confirmed) {
            self.activate(now, out);
        }
    }

    fn activate(&mut self, now: Now, out: &mut Vec<Effect>) {
        if let Some(proposal) = self.activation(now.wall) {
            self.propose(proposal, out);
        } else {
            self.load(out);
        }
    }

    fn propose_config(&mut self, change: &Change, record: Option<BuiltinCaState>, out: &mut Vec<Effect>) {
        let proposal = self.reconfiguration(change, record);
        self.propose(proposal, out);
    }

    fn propose(&mut self, proposal: Proposal, out: &mut Vec<Effect>) {
        let step = self.step();
        self.phase = Phase::Proposing(step);
        out.push(Effect::Propose(step, Box::new(proposal)));
    }

    fn failed(&mut self, now: Now, step: Step, why: Failure, out: &mut Vec<Effect>) {
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
            // Written or not: the log says. A rotation that was staged goes on from there.
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

    /// What the clock asks for.
    fn act(&mut self, now: Now, out: &mut Vec<Effect>) {
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

    /// Replaces a root of our own that is not valid now or old, and tells of what the operator has to replace.
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

    /// Tells what is wrong with the active root: when it begins, and every hour.
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

    fn arm(&mut self, out: &mut Vec<Effect>) {
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

/// Whether a provider whose certificate this is may sign leaves: it is the active root's.
pub fn may_sign(signing: &Certificate, roots: &CaRoots) -> bool {
    roots.active().is_some_and(|active| active.signing_key_id == signing.key_id_text())
}

/// The configuration's state as users may see it: without our own notes.
pub fn public_state(config: &CaConfig) -> BTreeMap<String, String> {
    config
        .state
        .iter()
        .filter(|(key, _)| *key != PROGRESS_KEY)
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
