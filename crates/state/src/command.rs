//! Commands: everything that can change the state, in the form in which the log holds it.
//!
//! The leader validates and normalises a command before it proposes it. Applying it checks again only what concurrent
//! commands can have changed. A command carries everything that does not follow from the log: identifiers, encrypted
//! keys, certificates. Fields are added and never renamed. A new field is used only after [`SetRuleSet`] has recorded
//! that every voter knows it.

use std::net::Ipv4Addr;

use concord_model::ca::{CaConfig, CaRoots, ProviderRecord};
use concord_model::catalog::{Deregistration, Registration};
use concord_model::entry::{Entry, EntryName, Status};
use concord_model::intention::{Destination, Source, SourceIntention};
use concord_model::token::{AclPolicy, Token};
use concord_model::{ServiceRef, Uuid};
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
    /// Gives the cluster its id.
    SetClusterId,
    /// Raises the rule set by which commands are applied.
    SetRuleSet,
    /// Registers a node, a service instance and checks.
    Register,
    /// Removes a node, a service instance or a check.
    Deregister,
    /// Sets the addresses that an operator gives a service.
    SetManualAddresses,
    /// Stores a configuration entry.
    SetEntry,
    /// Stores what the leader says of a configuration entry.
    SetEntryStatus,
    /// Removes a configuration entry.
    DeleteEntry,
    /// Stores one source of a destination's intentions.
    UpsertIntention,
    /// Removes one source of a destination's intentions.
    DeleteIntention,
    /// Changes one source of a destination's intentions, if the entry has not changed in the meantime.
    EditIntention,
    /// Stores the configuration of the certificate authority.
    SetCaConfig,
    /// Publishes a set of roots.
    SetCaRoots,
    /// Stores the data that a CA provider keeps for one root.
    SetCaProviderState,
    /// Removes the data that a CA provider kept for a removed root.
    DeleteCaProviderState,
    /// Allocates certificate serial numbers.
    AllocateSerials,
    /// Creates the first management token.
    BootstrapAcl,
    /// Creates the built-in policies and tokens.
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

/// Changes nothing. A leader proposes it to find out whether it leads.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Noop {}

/// Gives the cluster its id. Once set, it never changes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SetClusterId {
    /// The cluster id.
    pub id: Uuid,
}

/// Raises the rule set by which commands are applied, once every voter supports it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SetRuleSet {
    /// Number of the rule set; at least the current one.
    pub rule_set: u32,
}

/// Sets the addresses that an operator gives a service, and takes them from other services. A service without a
/// virtual address of its own gets none.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SetManualAddresses {
    /// The service.
    pub service: ServiceRef,
    /// All of its addresses from now on.
    pub addresses: Vec<Ipv4Addr>,
}

/// Adds to the catalog.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Register(pub Registration);

/// Removes from the catalog.
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
    /// Only if the entry last changed at this index; 0: only if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cas: Option<u64>,
}

/// Stores what the leader says of a configuration entry.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SetEntryStatus {
    /// The entry.
    pub entry: EntryName,
    /// Only if the entry last changed at this index: the status is about this content.
    pub modify: u64,
    /// The status, with the times of its conditions by the leader's clock.
    pub status: Status,
}

/// Removes a configuration entry.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DeleteEntry {
    /// The name of the entry.
    pub entry: EntryName,
    /// Only if the entry last changed at this index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cas: Option<u64>,
}

/// Stores one source of a destination's intentions. The other sources do not change.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct UpsertIntention {
    /// The called service.
    pub destination: Destination,
    /// The calling service, and what applies to its calls.
    pub intention: SourceIntention,
}

/// Removes one source of a destination's intentions. Removing the last source removes the entry.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DeleteIntention {
    /// The called service.
    pub destination: Destination,
    /// The calling service.
    pub source: Source,
}

/// Changes one source of a destination's intentions, if the entry is still the one that the writer read. The other
/// sources do not change. Removing the last source removes the entry.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct EditIntention {
    /// The called service.
    pub destination: Destination,
    /// The index at which the entry last changed; 0: there is none.
    pub cas: u64,
    /// The source to remove; it need not exist.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remove: Option<Source>,
    /// The source to store; it replaces an existing one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put: Option<SourceIntention>,
}

/// Stores the configuration of the certificate authority.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SetCaConfig {
    /// The configuration.
    pub config: CaConfig,
    /// Only if it last changed at this index; 0: only if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cas: Option<u64>,
}

/// Publishes a set of roots, with the configuration and the provider data that belong to it. All of it or nothing.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SetCaRoots {
    /// The roots, exactly one of them active.
    pub roots: CaRoots,
    /// Only if the set last changed at this index; 0: only if there is none.
    pub cas: u64,
    /// The configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<SetCaConfig>,
    /// The provider's data for a new root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_state: Option<ProviderRecord>,
}

/// Stores the data that a CA provider keeps for one root.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SetCaProviderState {
    /// The provider's data.
    pub state: ProviderRecord,
}

/// Removes the data that a CA provider kept for a removed root.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DeleteCaProviderState {
    /// Id of the root.
    pub id: String,
}

/// Allocates serial numbers. Roots, intermediates and leaves share one counter.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AllocateSerials {
    /// How many, from 1 to [`SERIALS_MAX`](crate::limits::SERIALS_MAX).
    pub count: u32,
}

/// Creates the first management token. It succeeds once. It succeeds again only if the command names the index at
/// which it last succeeded.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct BootstrapAcl {
    /// The token.
    pub token: Token,
    /// The reset index read from the leader's disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_reset_index: Option<u64>,
}

/// Creates missing built-in policies and tokens, and updates the rules of built-in policies. An existing token is not
/// changed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct EnsureBuiltins {
    /// Policies, all with reserved ids.
    #[serde(default)]
    pub policies: Vec<AclPolicy>,
    /// Tokens, all with reserved accessors.
    #[serde(default)]
    pub tokens: Vec<Token>,
}

/// Whether the record must already exist.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SetMode {
    /// It must not exist.
    Create,
    /// It must exist.
    Update,
    /// Either is allowed; replication uses this.
    Upsert,
}

/// Stores tokens, all or none. The secret of an existing token cannot change.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SetTokens {
    /// The tokens.
    pub tokens: Vec<Token>,
    /// Whether they must already exist.
    pub mode: SetMode,
}

/// Removes tokens. A missing token counts as removed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DeleteTokens {
    /// Their accessors.
    pub accessors: Vec<Uuid>,
}

/// Removes those of the named tokens that have expired at the command's time.
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
    /// Whether they must already exist.
    pub mode: SetMode,
}

/// Removes a policy. Tokens keep their link to it, which then grants nothing.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DeletePolicy {
    /// Its id.
    pub id: Uuid,
}
