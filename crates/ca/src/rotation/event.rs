//! What the machine is told and what it asks for.

use std::collections::BTreeSet;
use std::time::Duration;

use concord_model::Timestamp;
use concord_model::ca::{CaConfig, CaRoot, CaRoots, ProviderRecord};
use concord_model::proxy::Settings;

use super::alarm::Alarm;
use crate::der::time::shown;
use crate::limits::INACTIVE_ROOTS_MAX;
use crate::provider::Kinds;

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
    /// Ids of the roots for which providers keep something.
    pub records: BTreeSet<String>,
    /// Life of leaves under the configuration; `None` if its settings cannot be read.
    pub leaf_life: Option<Duration>,
    /// Whether the operator has brought the active root along. Then it is not ours to replace.
    pub supplied: bool,
}

impl Persisted {
    /// With what the provider's kind reads in the configuration.
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

/// A change of configuration, validated.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// The kind of provider.
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
    /// What the provider keeps for a new root.
    pub record: Option<ProviderRecord>,
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
    Generated(Step, Box<CaRoot>, Option<ProviderRecord>),
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
    /// Delete what a provider keeps for the root of this id.
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
