//! The CA's life on the leader: the first root, changes of the configuration, rotation, and removal of old roots. It is
//! a state machine that may be stopped between any two steps.
//!
//! ```text
//!  Loading ──► GeneratingFirst ──► Proposing ──► Steady ◄────────────────────────────┐
//!     │                                            │ configure                       │
//!     │                            ┌───────────────┴──────────────┐                  │
//!     │                        same root                      new root               │
//!     │                            │                              ▼                  │
//!     │                            │                    Generating ─► CrossSigning   │
//!     │                            │                              │                  │
//!     │ a rotation was staged      │              stage: both roots published        │
//!     └──────────────────────────────────────────────► Distributing                  │
//!                                  │                              │ all confirm, or  │
//!                                  │                              ▼ time is up       │
//!                                  └──────────────────────► activate ────────────────┘
//! ```
//!
//! The log holds the state: the roots, the configuration and, inside the configuration under [`PROGRESS_KEY`], the
//! progress of a rotation. Each step is one proposal. It is applied as a whole or not at all, and only if nothing has
//! changed in between. After a failure with unknown outcome the machine reads the log again and continues from there.
//! Before `stage` nothing is published, and a crash drops the request. After `stage` a new leader completes the
//! rotation.
//!
//! No handshake fails during a rotation. Until `activate` the old root signs leaves, and everybody trusts it. After
//! `activate` each chain contains the new root cross-signed by the old one, so peers that do not know the new root yet
//! can verify it. An old root is removed only when all leaves that it signed expired long ago. For this the host must
//! sign leaves only while its provider's certificate is the active root's signing certificate ([`may_sign`]). In
//! between it answers that it cannot sign for a moment.
//!
//! The wall clock may be set in either direction. Pauses and periods use the uptime, which only goes forward. The
//! machine replaces a root of our own without a request if it is old, or not valid now: it has expired, or it was made
//! when the clock was wrong. After the clock was set, no root is removed for a day.

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
    /// Waiting for the contents of the log.
    Loading(Step),
    /// A step failed. The log is read again at this uptime.
    Waiting(Duration),
    /// Waiting for the very first root.
    GeneratingFirst(Step),
    /// Waiting for the new root of a rotation.
    Generating(Step, Change),
    /// Waiting for the old root to cross-sign the new one.
    CrossSigning(Step, Change, Box<CaRoot>, Option<ProviderRecord>),
    /// Waiting for a proposal to be applied.
    Proposing(Step),
    /// Both roots are published. Waiting until all subscribers confirm, at most until this uptime.
    Distributing { root_id: String, confirm_by: Duration },
    /// No change is running.
    Steady,
}

/// Whether the active root's provider is ready to sign.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Using {
    Not,
    Asked(Step),
    RetryAt(Duration),
    Ready,
}

/// The CA's life on the leader. The host starts a machine when leadership begins, and drops it when leadership ends.
#[derive(Clone, Debug)]
pub struct Machine {
    trust_domain: TrustDomain,
    /// The configuration for a cluster that has none.
    initial: CaConfig,
    initial_leaf_life: Duration,
    steps: u64,
    phase: Phase,
    using: Using,
    persisted: Persisted,
    request: Option<RequestId>,
    prune_check: Duration,
    /// The uptime of the next check of the active root's life.
    life_check: Duration,
    /// Whether the active root was valid at the last event.
    was_valid: bool,
    /// The last alarm about the root, and the uptime at which it is repeated.
    told: Option<(Alarm, Duration)>,
    /// The clocks at the last event.
    seen: Now,
    armed: Option<Duration>,
}

impl Machine {
    /// Starts the machine of a new leader; it reads the log first. A cluster without a CA gets the configuration
    /// `initial`.
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
            // The clock may have been set before this machine started, or may be set soon after.
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

    /// Handles an event and adds the effects to `out`, in order. Answers that the machine no longer awaits change
    /// nothing.
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

    /// The current phase, for status displays.
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

    /// Whether no change is running and the active root's provider signs.
    pub fn is_steady(&self) -> bool {
        self.phase == Phase::Steady && self.using == Using::Ready
    }

    /// Whether a change may start now. If the active root's key is lost, nothing can sign with it; then only a rotation
    /// without cross-signing helps. Such a rotation requires only that no other change is running.
    pub fn accepts(&self, without_cross_signing: bool) -> bool {
        self.is_steady() || self.phase == Phase::Steady && without_cross_signing
    }
}

/// Whether a provider with this signing certificate may sign leaves: it must be the active root's.
pub fn may_sign(signing: &Certificate, roots: &CaRoots) -> bool {
    roots.active().is_some_and(|active| active.signing_key_id == signing.key_id_text())
}
