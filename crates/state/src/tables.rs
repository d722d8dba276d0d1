//! The tables there are, and the classes of keys that can be watched in each.
//!
//! Primary tables hold what commands wrote. Derived tables hold the same records arranged for
//! one query each; `derive` keeps them, and a snapshot leaves their rows out.

use concord_model::ca::{BuiltinCaState, CaConfig, CaRoots};
use concord_model::catalog::{Check, Node, ServiceInstance};
use concord_model::intention::SourceIntention;
use concord_model::token::{AclPolicy, Token};
use concord_model::{Timestamp, Uuid};
use serde::{Deserialize, Serialize};

use crate::row::{
    AclBootstrap, EntryLink, EntryRow, IntentionRef, NodeCheck, Placed, ServiceHealth, ServiceSummary,
};
use crate::table::{Marked, Shape, Table};

macro_rules! tables {
    ($($(#[$doc:meta])* $field:ident: $id:ident<$row:ty>, exact: $exact:literal, classes: $classes:expr;)*) => {
        /// Names a table.
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum TableId {
            $($(#[$doc])* $id,)*
        }

        /// All tables at one index of the log.
        #[derive(Clone, Debug)]
        pub(crate) struct Tables {
            /// Index of the last command applied.
            pub(crate) applied: u64,
            /// The leader's clock as of that command.
            pub(crate) at: Timestamp,
            $($(#[$doc])* pub(crate) $field: Table<$row>,)*
        }

        impl Tables {
            pub(crate) fn new() -> Self {
                Self {
                    applied: 0,
                    at: Timestamp::default(),
                    $($field: {
                        static SHAPE: Shape = Shape { id: TableId::$id, exact: $exact, classes: &$classes };
                        Table::new(&SHAPE)
                    },)*
                }
            }

            pub(crate) fn each(&self) -> Vec<&dyn Marked> {
                vec![$(&self.$field,)*]
            }

            pub(crate) fn table(&self, id: TableId) -> &dyn Marked {
                match id { $(TableId::$id => &self.$field,)* }
            }

            pub(crate) fn table_mut(&mut self, id: TableId) -> &mut dyn Marked {
                match id { $(TableId::$id => &mut self.$field,)* }
            }
        }

        impl TableId {
            /// All tables.
            pub const ALL: &[Self] = &[$(Self::$id,)*];
        }
    };
}

tables! {
    // Primary: what commands wrote.

    /// Identity of the cluster.
    cluster_id: ClusterId<Uuid>, exact: true, classes: [0];
    /// Number of the rules commands are applied by.
    rule_set: RuleSet<u32>, exact: true, classes: [0];
    /// Nodes by (partition, peer, node).
    nodes: Nodes<Node>, exact: true, classes: [0, 2];
    /// Instances by (partition, peer, node, namespace, id).
    instances: Instances<ServiceInstance>, exact: true, classes: [0, 3];
    /// Checks by (partition, peer, node, id).
    checks: Checks<Check>, exact: true, classes: [0, 3];
    /// Configuration entries by (kind, partition, namespace, name), without the sources of intentions.
    entries: Entries<EntryRow>, exact: true, classes: [0, 1];
    /// Intentions by (partition, namespace, name of the destination; wildcards, peer, partition, namespace, name of the
    /// source), which is the order they are shown in. Whoever reads one reads its entry, which changes with it.
    intentions: Intentions<SourceIntention>, exact: false, classes: [];
    /// The published roots.
    ca_roots: CaRoots<CaRoots>, exact: true, classes: [0];
    /// Configuration of the certificate authority.
    ca_config: CaConfig<CaConfig>, exact: true, classes: [0];
    /// What the built-in provider keeps, by id of its configuration.
    ca_provider_states: CaProviderStates<BuiltinCaState>, exact: true, classes: [0];
    /// The next serial number.
    ca_serial: CaSerial<u64>, exact: true, classes: [0];
    /// Tokens by accessor.
    tokens: Tokens<Token>, exact: true, classes: [0];
    /// Policies by id.
    policies: Policies<AclPolicy>, exact: true, classes: [0];
    /// Whether the ACL system was bootstrapped.
    acl_bootstrap: AclBootstrap<AclBootstrap>, exact: true, classes: [0];

    // Derived: the same records, arranged for a query.

    /// Node names by (partition, peer, node id).
    node_ids: NodeIds<Node>, exact: false, classes: [];
    /// Services by (partition, namespace, peer, name).
    service_names: ServiceNames<ServiceSummary>, exact: true, classes: [0, 3];
    /// Instances with their nodes by (partition, namespace, peer, service; node, id).
    placed: Placed<Placed>, exact: false, classes: [0, 3, 4];
    /// Instances with nodes and checks by (partition, namespace, peer, service; node, id).
    health: Health<ServiceHealth>, exact: false, classes: [0, 3, 4];
    /// Instances taking mesh traffic for a service, by (partition, namespace, peer, service; node, id).
    connect_placed: ConnectPlaced<Placed>, exact: false, classes: [0, 4];
    /// Those with their checks, by the same key.
    connect_health: ConnectHealth<ServiceHealth>, exact: false, classes: [0, 4];
    /// Checks by (partition, peer, node, namespace, instance; id); those of the node have no namespace and instance.
    instance_checks: InstanceChecks<Check>, exact: false, classes: [];
    /// Checks with their nodes by (partition, namespace, peer, service; node, id).
    service_checks: ServiceChecks<NodeCheck>, exact: false, classes: [0, 4];
    /// Checks with their nodes by (partition, peer, status; node, id).
    check_states: CheckStates<NodeCheck>, exact: false, classes: [0, 2, 3];
    /// What intentions there are by (partition, namespace, peer, name) of the source; then those of the destination.
    intention_sources: IntentionSources<IntentionRef>, exact: false, classes: [0, 4];
    /// Entries by (partition, namespace, name of a service on which they depend; kind, partition, namespace, name).
    entry_links: EntryLinks<EntryLink>, exact: false, classes: [];
    /// Intentions of the older API by (id); then as they are shown.
    intention_ids: IntentionIds<IntentionRef>, exact: false, classes: [0, 1];
    /// Tokens by hash of their secret.
    token_secrets: TokenSecrets<Token>, exact: true, classes: [0];
    /// Tokens that expire by (moment, accessor).
    token_expiries: TokenExpiries<Token>, exact: false, classes: [0];
    /// Policies by name.
    policy_names: PolicyNames<AclPolicy>, exact: true, classes: [0];
}
