//! The declaration of all tables. Everything about a table is declared once, in its entry here.
//!
//! ```text
//!   field: Id<Row> { how its rows are found and watched } { what they are in a snapshot };
//! ```
//!
//! A row is found by a key, which is built from parts (`key::part`):
//!
//! - `row(…)`: one row can be read, and is watched by its own key;
//! - `key(…)`: rows are read by class only;
//! - `unread(…)`: no query reads the table, only the code that keeps it.
//!
//! A `class` is a set of rows whose keys share a prefix. Classes can be scanned and watched; a query cannot name a
//! class that is not declared here. The whole table is a class of every table that is not `unread`. A `part` is a key
//! prefix that only the code that maintains the table scans.
//!
//! Primary tables hold what commands wrote; their declaration says which snapshot record a row is. Derived tables
//! hold the same records, arranged for one query each. `derive` maintains them, and snapshots do not contain their
//! rows. The records of a snapshot have the order of this list, so that each record comes after those it refers to.
//!
//! This file only declares. `keys` generates keys and classes from the list, `tables` the tables, and
//! `snapshot::record` the records.

/// Passes all entries of the declaration to the macro of that name.
macro_rules! each_table {
    ($then:ident) => {
        $then! {
            // Primary tables: what commands wrote.

            /// Nodes by (partition, peer, node).
            nodes: Nodes<Node> {
                row(scope: &NodeScope, name: &NodeName);
                class of_scope(scope: &NodeScope);
            } {
                record Node, saved: save_catalog; by(catalog::put_node)
            };
            /// Instances by (partition, peer, node, namespace, id).
            instances: Instances<ServiceInstance> {
                row(scope: &NodeScope, node: &NodeName, namespace: &Namespace, id: &InstanceId);
                class on_node(scope: &NodeScope, node: &NodeName);
            } {
                record Instance(RecordedInstance<'a>), saved: with_its_owner; through(restore_instance)
            };
            /// Checks by (partition, peer, node, id).
            checks: Checks<Check> {
                row(scope: &NodeScope, node: &NodeName, id: &CheckId);
                class on_node(scope: &NodeScope, node: &NodeName);
            } {
                record Check(RecordedCheck<'a>), saved: with_its_owner; through(restore_check)
            };
            /// Configuration entries by (kind, partition, namespace, name), without the sources of intentions.
            entries: Entries<EntryRow> {
                row(name: &EntryName);
                class of_kind(kind: EntryKind);
            } {
                record Entry(Entry), saved: save_entries; through(restore_entry)
            };
            /// Intentions by (partition, namespace, name of the destination; wildcards, peer, partition, namespace,
            /// name of the source), which is the order in which they are shown. A query that reads one also reads its
            /// entry's head, which changes with it.
            intentions: Intentions<SourceIntention> {
                unread(to: &Destination, source: Shown<'_>);
                part of(to: &Destination);
                part wild(to: &Destination, wildcards: u8);
            } {
                record Intention, saved: with_its_owner; through(restore_source)
            };
            /// The published roots.
            ca_roots: CaRoots<CaRoots> {
                row();
            } {
                record CaRoots; at()
            };
            /// Configuration of the certificate authority.
            ca_config: CaConfig<CaConfig> {
                row();
            } {
                record CaConfig; at()
            };
            /// Data of the CA providers, by id of the root.
            ca_provider_states: CaProviderStates<ProviderRecord> {
                row(id: &str);
            } {
                record CaProviderState; at(row => &row.id)
            };
            /// The next serial number.
            ca_serial: CaSerial<u64> {
                row();
            } {
                record CaSerial; at()
            };
            /// Policies by id.
            policies: Policies<AclPolicy> {
                row(id: Uuid);
            } {
                record Policy; by(acl::put_policy)
            };
            /// Tokens by accessor.
            tokens: Tokens<Token> {
                row(accessor: Uuid);
            } {
                record Token; by(acl::put_token)
            };
            /// Whether the ACL system was bootstrapped.
            acl_bootstrap: AclBootstrap<AclBootstrap> {
                row();
            } {
                record AclBootstrap; at()
            };
            /// The cluster id.
            cluster_id: ClusterId<Uuid> {
                row();
            } {
                record ClusterId; at()
            };
            /// Number of the rule set in force.
            rule_set: RuleSet<u32> {
                row();
            } {
                record RuleSet; at()
            };

            /// Virtual addresses by (partition, namespace, peer, service).
            virtual_addresses: VirtualAddresses<VirtualAddress> {
                row(service: &ServiceRef);
            } {
                record VirtualAddress; at(row => &row.service)
            };
            /// Virtual addresses that were given away and are free again, by their offset.
            freed_addresses: FreedAddresses<u32> {
                unread(offset: u32);
            } {
                record FreedAddress; by(address::put_freed)
            };
            /// The greatest offset of a virtual address that was ever given away.
            address_counter: AddressCounter<u32> {
                unread();
            } {
                record AddressCounter; by(address::put_counter)
            };
            /// When entries were accepted, by (kind, partition, namespace, name); of those that were since rule set 6.
            entry_times: EntryTimes<EntryTime> {
                row(name: &EntryName);
            } {
                record EntryTime; at(row => &row.name)
            };

            // Derived tables: the same records, arranged for queries.

            /// Node names by (partition, peer, node id).
            node_ids: NodeIds<Node> {
                unread(scope: &NodeScope, id: Uuid);
            } { derived };
            /// Services by (partition, namespace, peer, name).
            service_names: ServiceNames<ServiceSummary> {
                row(service: &ServiceRef);
                class of_scope(scope: &ServiceScope);
            } { derived };
            /// What is known of services by (partition, namespace, peer, name).
            service_traits: ServiceTraits<ServiceTraits> {
                row(service: &ServiceRef);
                class of_scope(scope: &ServiceScope);
            } { derived };
            /// Upstreams of proxies by (partition, namespace, peer, upstream; partition, peer, node, namespace, id of
            /// the proxy).
            upstream_uses: UpstreamUses<UpstreamUse> {
                key(upstream: &ServiceRef, scope: &NodeScope, node: &NodeName, namespace: &Namespace, id: &InstanceId);
                class of_upstream(upstream: &ServiceRef);
            } { derived };
            /// Instances with their nodes by (partition, namespace, peer, service; node, id).
            placed: Placed<Placed> {
                key(service: &ServiceRef, node: &NodeName, id: &InstanceId);
                class of_scope(scope: &ServiceScope);
                class of_service(service: &ServiceRef);
            } { derived };
            /// Instances with nodes and checks, by the same key.
            health: Health<ServiceHealth> {
                #[expect(dead_code, reason = "its rows have the keys of those of `placed`")]
                key(service: &ServiceRef, node: &NodeName, id: &InstanceId);
                #[expect(dead_code, reason = "no query scans it, but its indexes stand in snapshots")]
                class of_scope(scope: &ServiceScope);
                class of_service(service: &ServiceRef);
            } { derived };
            /// Instances taking mesh traffic for a service, by (partition, namespace, peer, service; node, id).
            connect_placed: ConnectPlaced<Placed> {
                key(service: &ServiceRef, node: &NodeName, id: &InstanceId);
                class of_service(service: &ServiceRef);
            } { derived };
            /// The same instances with their checks, by the same key.
            connect_health: ConnectHealth<ServiceHealth> {
                #[expect(dead_code, reason = "its rows have the keys of those of `connect_placed`")]
                key(service: &ServiceRef, node: &NodeName, id: &InstanceId);
                class of_service(service: &ServiceRef);
            } { derived };
            /// Checks by (partition, peer, node, namespace, instance; id); those of the node have no namespace and
            /// instance.
            instance_checks: InstanceChecks<Check> {
                unread(scope: &NodeScope, node: &NodeName, of: SpeaksFor<'_>, id: &CheckId);
                part of(scope: &NodeScope, node: &NodeName, of: SpeaksFor<'_>);
            } { derived };
            /// Checks with their nodes by (partition, namespace, peer, service; node, id).
            service_checks: ServiceChecks<NodeCheck> {
                key(service: &ServiceRef, node: &NodeName, id: &CheckId);
                class of_service(service: &ServiceRef);
            } { derived };
            /// Checks with their nodes by (partition, peer, status; node, id).
            check_states: CheckStates<NodeCheck> {
                key(scope: &NodeScope, status: CheckStatus, node: &NodeName, id: &CheckId);
                class of_scope(scope: &NodeScope);
                class in_state(scope: &NodeScope, status: CheckStatus);
            } { derived };
            /// References to intentions by (partition, namespace, peer, name) of the source; then those of the
            /// destination.
            intention_sources: IntentionSources<IntentionRef> {
                key(source: &Source, to: &Destination);
                class from(source: &Source);
            } { derived };
            /// Entries by (partition, namespace, name of a service on which they depend; kind, partition, namespace,
            /// name).
            entry_links: EntryLinks<EntryLink> {
                unread(to: Local<'_>, from: &EntryName);
                part to(service: Local<'_>);
            } { derived };
            /// Intentions of the older API by (id); then as they are shown.
            intention_ids: IntentionIds<IntentionRef> {
                key(id: Uuid, to: &Destination, source: Shown<'_>);
                class of_id(id: Uuid);
            } { derived };
            /// Tokens by hash of their secret.
            token_secrets: TokenSecrets<Token> {
                row(hash: &SecretHash);
            } { derived };
            /// Tokens that expire by (moment, accessor).
            token_expiries: TokenExpiries<Token> {
                key(at: Timestamp, accessor: Uuid);
            } { derived };
            /// Policies by name.
            policy_names: PolicyNames<AclPolicy> {
                row(name: &str);
            } { derived };
        }
    };
}
