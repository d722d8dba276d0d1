//! Commands: everything that can change the state, as it stands in the log.
//!
//! The leader has validated and normalised a command before it proposes it; applying it checks
//! again only what concurrent commands can have changed. A command carries whatever is not a
//! function of the log: identifiers, sealed keys, certificates. Fields are added, never renamed,
//! and a new field is used only after [`SetRuleSet`] said that every voter knows it.

use concord_model::Uuid;
use concord_model::ca::{CaConfig, CaRoots, ProviderRecord};
use concord_model::catalog::{Deregistration, Registration};
use concord_model::entry::{Entry, EntryName};
use concord_model::intention::{Destination, Source, SourceIntention};
use concord_model::token::{AclPolicy, Token};
use serde::{Deserialize, Serialize};

macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A change of the state.
        #[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
        #[allow(clippy::large_enum_variant, reason = "one lives at a time, on its way into or out of the log")]
        pub enum Command {
            $($(#[$doc])* $name($name),)*
        }

        impl Command {
            /// The names of all commands this version knows.
            pub const NAMES: &[&str] = &[$(stringify!($name),)*];

            /// The command's name in the log.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)* }
            }
        }

        $(impl From<$name> for Command {
            fn from(command: $name) -> Self {
                Self::$name(command)
            }
        })*
    };
}

commands! {
    /// Changes nothing.
    Noop,
    /// Gives the cluster its identity.
    SetClusterId,
    /// Raises the rules commands are applied by.
    SetRuleSet,
    /// Registers a node, a service instance and checks.
    Register,
    /// Removes a node, a service instance or a check.
    Deregister,
    /// Stores a configuration entry.
    SetEntry,
    /// Removes a configuration entry.
    DeleteEntry,
    /// Stores one source of a destination's intentions.
    UpsertIntention,
    /// Removes one source of a destination's intentions.
    DeleteIntention,
    /// Changes one source of a destination's intentions if nothing else has changed meanwhile.
    EditIntention,
    /// Stores the configuration of the certificate authority.
    SetCaConfig,
    /// Publishes a set of roots.
    SetCaRoots,
    /// Stores what a CA provider keeps for one root.
    SetCaProviderState,
    /// Forgets what a CA provider kept for a root that is gone.
    DeleteCaProviderState,
    /// Hands out certificate serial numbers.
    AllocateSerials,
    /// Creates the first management token.
    BootstrapAcl,
    /// Creates the policies and tokens every cluster has.
    EnsureBuiltins,
    /// Stores tokens.
    SetTokens,
    /// Removes tokens.
    DeleteTokens,
    /// Removes tokens that have expired.
    ReapExpiredTokens,
    /// Stores policies.
    SetPolicies,
    /// Removes a policy.
    DeletePolicy,
}

/// Changes nothing; a leader proposes it to learn that it leads.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Noop {}

/// Gives the cluster its identity. Once set it never changes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SetClusterId {
    /// The identity.
    pub id: Uuid,
}

/// Raises the rules commands are applied by, once every voter supports them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SetRuleSet {
    /// Number of the rules; at least the number in force.
    pub rule_set: u32,
}

/// Puts something into the catalog.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Register(pub Registration);

/// Takes something out of the catalog.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Deregister(pub Deregistration);

impl From<Registration> for Command {
    fn from(registration: Registration) -> Self {
        Register(registration).into()
    }
}

impl From<Deregistration> for Command {
    fn from(deregistration: Deregistration) -> Self {
        Deregister(deregistration).into()
    }
}

/// Stores a configuration entry.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SetEntry {
    /// The entry.
    pub entry: Entry,
    /// Only if the entry last changed at that index; 0: only if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cas: Option<u64>,
}

/// Removes a configuration entry.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DeleteEntry {
    /// Which.
    pub entry: EntryName,
    /// Only if the entry last changed at that index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cas: Option<u64>,
}

/// Stores one source of a destination's intentions, leaving the others as they are.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct UpsertIntention {
    /// Who is called.
    pub destination: Destination,
    /// Who calls, and what then.
    pub intention: SourceIntention,
}

/// Removes one source of a destination's intentions; the last one takes the entry with it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DeleteIntention {
    /// Who is called.
    pub destination: Destination,
    /// Who calls.
    pub source: Source,
}

/// Changes one source of a destination's intentions, leaving the others as they are, if the entry is
/// still the one that was looked at. The last source takes the entry with it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct EditIntention {
    /// Who is called.
    pub destination: Destination,
    /// The index at which the entry last changed; 0: there is none.
    pub cas: u64,
    /// The source to take away, which may be absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove: Option<Source>,
    /// The source to store, in the place of what is said about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put: Option<SourceIntention>,
}

/// Stores the configuration of the certificate authority.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SetCaConfig {
    /// The configuration.
    pub config: CaConfig,
    /// Only if it last changed at that index; 0: only if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cas: Option<u64>,
}

/// Publishes a set of roots, with the configuration and the provider's state that belong to it;
/// all of it or nothing.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SetCaRoots {
    /// The roots, exactly one of them active.
    pub roots: CaRoots,
    /// Only if the set last changed at that index; 0: only if there is none.
    pub cas: u64,
    /// The configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<SetCaConfig>,
    /// What the provider keeps for a new root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_state: Option<ProviderRecord>,
}

/// Stores what a CA provider keeps for one root.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SetCaProviderState {
    /// What it keeps.
    pub state: ProviderRecord,
}

/// Forgets what a CA provider kept for a root that is gone.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DeleteCaProviderState {
    /// Id of the root.
    pub id: String,
}

/// Hands out serial numbers; roots, intermediates and leaves share one counter.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AllocateSerials {
    /// How many, 1 to [`SERIALS_MAX`](crate::limits::SERIALS_MAX).
    pub count: u32,
}

/// Creates the first management token. Succeeds once; once more for whoever knows the index at
/// which it succeeded last.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct BootstrapAcl {
    /// The token.
    pub token: Token,
    /// The reset index read from the leader's disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_reset_index: Option<u64>,
}

/// Creates the policies and tokens every cluster has, where they are missing, and brings the
/// rules of built-in policies up to date. A token that exists stays as it is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct EnsureBuiltins {
    /// Policies, all of reserved ids.
    #[serde(default)]
    pub policies: Vec<AclPolicy>,
    /// Tokens, all of reserved accessors.
    #[serde(default)]
    pub tokens: Vec<Token>,
}

/// Whether what is stored has to be new.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SetMode {
    /// It must not exist.
    Create,
    /// It must exist.
    Update,
    /// Either way, as replication does it.
    Upsert,
}

/// Stores tokens; all of them or none. A token keeps the secret it was created with.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SetTokens {
    /// The tokens.
    pub tokens: Vec<Token>,
    /// Whether they have to be new.
    pub mode: SetMode,
}

/// Removes tokens. Those that are not there count as removed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DeleteTokens {
    /// Their accessors.
    pub accessors: Vec<Uuid>,
}

/// Removes those of the named tokens that have expired by the command's time.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ReapExpiredTokens {
    /// Their accessors.
    pub accessors: Vec<Uuid>,
}

/// Stores policies; all of them or none.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SetPolicies {
    /// The policies.
    pub policies: Vec<AclPolicy>,
    /// Whether they have to be new.
    pub mode: SetMode,
}

/// Removes a policy. Tokens keep the dangling link, which grants nothing.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DeletePolicy {
    /// Its id.
    pub id: Uuid,
}
