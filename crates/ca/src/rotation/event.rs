//! The machine's events and effects.

use std::collections::BTreeSet;
use std::time::Duration;

use concord_model::Timestamp;
use concord_model::ca::{CaConfig, CaRoot, CaRoots, ProviderRecord};
use concord_model::proxy::Settings;

use super::alarm::Alarm;
use crate::der::time::shown;
use crate::limits::INACTIVE_ROOTS_MAX;
use crate::provider::Kinds;

/// The number of an effect. An answer carries the number of its effect.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Step(pub u64);

/// Identifies an operator's request, so that its answer can be delivered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RequestId(pub u64);

/// The CA's records in the log.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Persisted {
    /// The published roots.
    pub roots: Option<CaRoots>,
    /// The configuration.
    pub config: Option<CaConfig>,
    /// Ids of the roots for which a provider's record is kept.
    pub records: BTreeSet<String>,
    /// Life of leaves under the configuration. `None` if its settings cannot be read.
    pub leaf_life: Option<Duration>,
    /// Whether the operator supplied the active root. Then the machine does not replace it.
    pub supplied: bool,
}

impl Persisted {
    /// Builds the value. The provider's kind reads the configuration's settings.
    pub fn read(
        roots: Option<CaRoots>,
        config: Option<CaConfig>,
        records: BTreeSet<String>,
        kinds: &Kinds,
    ) -> Self {
        let parsed = config
            .as_ref()
            .and_then(|config| kinds.find(&config.provider).ok()?.parse(&config.settings).ok());
        Self {
            roots,
            config,
            records,
            leaf_life: parsed.as_ref().map(|parsed| parsed.common.life.leaf),
            supplied: parsed.is_some_and(|parsed| parsed.supplied),
        }
    }
}

/// A validated change of the configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// The kind of provider.
    pub provider: String,
    /// Its settings, without secrets.
    pub settings: Settings,
    /// Rotate even if the old root cannot cross-sign the new one.
    pub force_without_cross_signing: bool,
    /// Life of leaves.
    pub leaf_life: Duration,
    /// Whether the change requires another root.
    pub rotates: bool,
    /// If the maximum number of inactive roots is reached, remove the oldest one, even if leaves may depend on it.
    pub force_without_oldest_root: bool,
    /// Inactive roots that have signed no leaf that is still valid.
    pub idle: BTreeSet<String>,
}

/// A write, which is applied as a whole or not at all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proposal {
    /// The roots, exactly one of them active.
    pub roots: CaRoots,
    /// Applied only if the roots last changed at this index. 0 means: only if there are no roots.
    pub roots_cas: u64,
    /// The configuration.
    pub config: CaConfig,
    /// Applied only if the configuration last changed at this index. 0 means: only if there is none.
    pub config_cas: u64,
    /// What the provider of a new root keeps.
    pub record: Option<ProviderRecord>,
}

/// Why a step or a request failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Failure {
    /// Another change is running.
    #[error("the CA is being changed; try again when that is done")]
    Busy,
    /// The provider did not answer, or refused.
    #[error("the CA provider did not do its part; see the log of the leader")]
    Provider,
    /// The old root cannot cross-sign the new one.
    #[error(
        "the current CA cannot cross-sign the new root, so connections would fail during the rotation; \
         set ForceWithoutCrossSigning to rotate all the same"
    )]
    NoCrossSigning,
    /// The maximum number of inactive roots is reached, and leaves may depend on each of them.
    #[error(
        "{INACTIVE_ROOTS_MAX} earlier roots are kept for leaves that are still valid, and none of them is free before \
         {}; wait, or set ForceWithoutOldestRoot: the oldest root goes at once, and whoever presents a leaf that it \
         signed is refused until it has a new one",
        shown(*free_at)
    )]
    RootsInUse {
        /// When the first of them can be removed.
        free_at: Timestamp,
    },
    /// Another write came in between.
    #[error("the CA's configuration was changed by somebody else; read it again")]
    Conflict,
    /// It is unknown whether the write was applied.
    #[error("the outcome is not known; read the CA's configuration again")]
    Unknown,
}

/// An input of the machine.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The contents of the log. Answers [`Effect::Load`].
    Loaded(Step, Persisted),
    /// An operator changes the configuration.
    Configure(RequestId, Change),
    /// The new root and its record. Answers [`Effect::GenerateRoot`].
    Generated(Step, Box<CaRoot>, Option<ProviderRecord>),
    /// The new root cross-signed by the old one, as PEM. Answers [`Effect::CrossSign`].
    CrossSigned(Step, String),
    /// A proposal was applied. Contains the new contents of the log.
    Applied(Step, Persisted),
    /// The provider is ready. Answers [`Effect::UseProvider`].
    ProviderReady(Step),
    /// The effect with this number failed.
    Failed(Step, Failure),
    /// Every live subscriber has confirmed that it trusts this root.
    Confirmed {
        /// Id of the root.
        root_id: String,
    },
    /// The timer fired.
    Tick,
}

/// A request of the machine to its host.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Read the log and answer with [`Event::Loaded`].
    Load(Step),
    /// Configure a provider beside the current one, and let it make its root or use the supplied one.
    GenerateRoot(Step, Change),
    /// Let the current provider cross-sign this root, given as PEM.
    CrossSign(Step, String),
    /// Propose this write.
    Propose(Step, Box<Proposal>),
    /// From now on sign leaves with the provider of this root, under this configuration. Open it from its record if it
    /// is not open yet, and release the previous provider.
    UseProvider(Step, String, Box<CaConfig>),
    /// Release the provider that was configured last. It will not be used.
    DropProvider,
    /// Delete the record of the provider of the root with this id.
    ForgetRecord(String),
    /// Wait until every live subscriber trusts this root, and send [`Event::Confirmed`].
    AwaitConfirmation(String),
    /// Answer an operator's request.
    Answer(RequestId, Result<(), Failure>),
    /// Send [`Event::Tick`] at this uptime. Replaces the previous timer.
    ArmTimer(Duration),
    /// Tell the operator about a problem.
    Alarm(Alarm),
}
