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

use std::time::Duration;

use concord_model::ca::{CaConfig, CaRoot, CaRoots, ProviderRecord};
use concord_model::{Now, TrustDomain};

use crate::limits::PRUNE_CHECK;
use crate::x509::Certificate;

mod alarm;
mod clock;
mod event;
mod progress;
mod records;
mod steps;

pub use self::alarm::Alarm;
pub use self::event::{Change, Effect, Event, Failure, Persisted, Proposal, RequestId, Step};
pub use self::progress::{PROGRESS_KEY, Pending, Progress, public_state};

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
    CrossSigning(Step, Change, Box<CaRoot>, Option<ProviderRecord>),
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
}

/// Whether a provider whose certificate this is may sign leaves: it is the active root's.
pub fn may_sign(signing: &Certificate, roots: &CaRoots) -> bool {
    roots.active().is_some_and(|active| active.signing_key_id == signing.key_id_text())
}
