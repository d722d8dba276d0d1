//! A small world in which random commands meet: strategies for all commands, and all queries.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::Ipv4Addr;
use std::sync::Arc;

use concord_mesh::chain::{Overrides, Request as ChainRequest, VirtualIps, compile, gather};
use concord_model::ca::{CaConfig, CaRoot, CaRoots, KeyKind, ProviderRecord, Sealed};
use concord_model::catalog::{
    Check, CheckStatus, Deregistration, Node, NodeScope, Registered, Registration, ServiceInstance,
};
use concord_model::entry::{Entry, EntryKind, EntryName};
use concord_model::intention::{
    Action, Decision, Destination, LegacyFields, ServiceIntentions, Source, SourceIntention,
};
use concord_model::proxy::{ProxyConfig, ServiceKind, Upstream, UpstreamKind};
use concord_model::token::{AclPolicy, Identities, PolicyLink, Token};
use concord_model::{
    CheckId, Datacenter, InstanceId, Namespace, NodeName, Partition, Pattern, PeerName, ServiceName,
    ServiceRef, Stamp, Timestamp, TrustDomain, Uuid,
};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use crate::builtin::hash_secret;
use crate::command::*;
use crate::read::Reader;
use crate::row::ServiceScope;

const NODES: [&str; 3] = ["n1", "n2", "n3"];
const SERVICES: [&str; 3] = ["web", "api", "db"];
const INSTANCES: [&str; 2] = ["i1", "i2"];
const CHECKS: [&str; 3] = ["c1", "c2", "serfHealth"];
const STATUSES: [CheckStatus; 3] = [CheckStatus::Passing, CheckStatus::Warning, CheckStatus::Critical];

// === Names ===

fn scopes() -> Vec<NodeScope> {
    let peer = PeerName::parse("p").unwrap();
    vec![
        NodeScope::default(),
        NodeScope { partition: Partition::parse("other").unwrap(), peer: None },
        NodeScope { partition: Partition::default(), peer: Some(peer) },
    ]
}

fn namespaces() -> Vec<Namespace> {
    vec![Namespace::default(), Namespace::parse("other").unwrap()]
}

fn node_name() -> impl Strategy<Value = NodeName> {
    select(&NODES[..]).prop_map(|name| NodeName::parse(name).unwrap())
}

fn service_name() -> impl Strategy<Value = ServiceName> {
    select(&SERVICES[..]).prop_map(|name| ServiceName::parse(name).unwrap())
}

fn instance_id() -> impl Strategy<Value = InstanceId> {
    select(&INSTANCES[..]).prop_map(|id| InstanceId::parse(id).unwrap())
}

fn check_id() -> impl Strategy<Value = CheckId> {
    select(&CHECKS[..]).prop_map(|id| CheckId::parse(id).unwrap())
}

/// A few identifiers, none of them reserved.
fn uuid() -> impl Strategy<Value = Uuid> {
    (0xa0..0xa4u8).prop_map(|byte| Uuid([byte; 16]))
}

fn cas() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![3 => Just(None), 1 => (0..40u64).prop_map(Some)]
}

// === Catalog ===

fn node(scope: NodeScope, name: NodeName) -> impl Strategy<Value = Node> {
    (option::of(uuid()), 0..2u8).prop_map(move |(id, address)| Node {
        scope: scope.clone(),
        name: name.clone(),
        id,
        address: format!("10.0.0.{address}"),
        datacenter: Datacenter::parse("dc1").unwrap(),
        tagged_addresses: BTreeMap::new(),
        meta: BTreeMap::new(),
        locality: None,
        stamp: Stamp::default(),
    })
}

fn instance() -> impl Strategy<Value = ServiceInstance> {
    let kinds = vec![ServiceKind::Typical, ServiceKind::Typical, ServiceKind::IngressGateway];
    let upstreams = prop::collection::vec(service_name(), 0..3);
    (
        select(namespaces()),
        instance_id(),
        service_name(),
        option::of((service_name(), upstreams)),
        any::<bool>(),
        (0..3u8, select(kinds)),
    )
        .prop_map(|(namespace, id, service, proxied, native, (tags, kind))| ServiceInstance {
            namespace,
            kind: if proxied.is_some() { ServiceKind::ConnectProxy } else { kind },
            tags: (0..tags).map(|tag| format!("t{tag}")).collect(),
            port: u16::from(native),
            proxy: proxied.map(|(service, upstreams)| ProxyConfig {
                destination_service: Some(service),
                upstreams: upstreams.into_iter().map(upstream).collect(),
                ..ProxyConfig::default()
            }),
            native,
            ..ServiceInstance::of(id, service)
        })
}

fn upstream(name: ServiceName) -> Upstream {
    Upstream {
        kind: UpstreamKind::Service,
        partition: Partition::default(),
        namespace: Namespace::default(),
        peer: None,
        name: Pattern::Exact(name),
        datacenter: None,
        local_bind_address: String::new(),
        local_bind_port: 9000,
        local_bind_socket_path: String::new(),
        local_bind_socket_mode: String::new(),
        config: Default::default(),
        mesh_gateway_mode: String::new(),
        centrally_configured: false,
    }
}

fn check() -> impl Strategy<Value = Check> {
    let named = option::of(service_name());
    (check_id(), select(&STATUSES[..]), option::of(instance_id()), named, select(namespaces())).prop_map(
        |(id, status, service_id, service_name, namespace)| Check {
            name: id.to_string(),
            id,
            status,
            notes: String::new(),
            output: String::new(),
            service_id,
            service_name,
            namespace,
            service_tags: Vec::new(),
            kind: String::new(),
            interval: String::new(),
            timeout: String::new(),
            definition: Default::default(),
            stamp: Stamp::default(),
        },
    )
}

fn register() -> impl Strategy<Value = Command> {
    (
        select(scopes()),
        node_name(),
        prop::collection::vec(check(), 0..2),
        option::of(instance()),
        any::<bool>(),
    )
        .prop_flat_map(|(scope, name, mut checks, service, skip_node_update)| {
            // A check that is named twice would change twice within one command.
            checks.dedup_by(|one, other| one.id == other.id);
            node(scope, name).prop_map(move |node| {
                let (service, checks) = (service.clone(), checks.clone());
                Registration { node, skip_node_update, service, checks }.into()
            })
        })
}

fn deregister() -> impl Strategy<Value = Command> {
    let what = prop_oneof![
        Just(Registered::Node),
        (select(namespaces()), instance_id())
            .prop_map(|(namespace, id)| Registered::Service { namespace, id }),
        check_id().prop_map(|id| Registered::Check { id }),
    ];
    (select(scopes()), node_name(), what)
        .prop_map(|(scope, node, what)| Deregistration { scope, node, what }.into())
}

fn manual_addresses() -> impl Strategy<Value = Command> {
    let addresses = prop::collection::vec((0..3u8).prop_map(|last| Ipv4Addr::new(10, 0, 0, last)), 0..3);
    (select(services()), addresses)
        .prop_map(|(service, addresses)| SetManualAddresses { service, addresses }.into())
}

// === Intentions ===

fn pattern<T: Clone + Debug>(exact: impl Strategy<Value = T>) -> impl Strategy<Value = Pattern<T>> {
    option::weighted(0.7, exact).prop_map(|exact| exact.map_or(Pattern::Any, Pattern::Exact))
}

fn destination() -> impl Strategy<Value = Destination> {
    (select(scopes()), pattern(select(namespaces())), pattern(service_name()))
        .prop_map(|(scope, namespace, name)| Destination { partition: scope.partition, namespace, name })
}

fn source() -> impl Strategy<Value = Source> {
    (select(scopes()), pattern(select(namespaces())), pattern(service_name())).prop_map(
        |(scope, namespace, name)| Source { partition: scope.partition, namespace, peer: scope.peer, name },
    )
}

fn intention() -> impl Strategy<Value = SourceIntention> {
    let action = select(vec![Action::Allow, Action::Deny]);
    (source(), action, option::weighted(0.3, uuid())).prop_map(|(source, action, id)| SourceIntention {
        source,
        decision: Decision::Connection(action),
        description: String::new(),
        legacy: id.map(|id| LegacyFields {
            id,
            meta: BTreeMap::new(),
            create_time: Timestamp::EPOCH,
            update_time: Timestamp::EPOCH,
        }),
    })
}

fn entry() -> impl Strategy<Value = Command> {
    let set = (destination(), prop::collection::vec(intention(), 0..3), cas()).prop_map(
        |(destination, sources, cas)| {
            let (jwt, meta, stamp) = (None, BTreeMap::new(), Stamp::default());
            let entry =
                Entry::ServiceIntentions(ServiceIntentions { destination, sources, jwt, meta, stamp });
            SetEntry { entry, cas }.into()
        },
    );
    let delete = (destination(), cas())
        .prop_map(|(to, cas)| DeleteEntry { entry: EntryName::intentions(&to), cas }.into());
    let upsert = (destination(), intention())
        .prop_map(|(destination, intention)| UpsertIntention { destination, intention }.into());
    let remove = (destination(), source())
        .prop_map(|(destination, source)| DeleteIntention { destination, source }.into());
    let edit = (destination(), 0..40u64, option::of(source()), option::of(intention()))
        .prop_map(|(destination, cas, remove, put)| EditIntention { destination, cas, remove, put }.into());
    prop_oneof![1 => set, 1 => delete, 3 => upsert, 2 => remove, 3 => edit]
}

/// What decides where requests for a service go. Few services, so that chains are of several.
fn routing() -> impl Strategy<Value = Command> {
    let said = (service_name(), 0..8u8).prop_map(|(to, which)| match which {
        0 => ("service-resolver", json!({ "redirect": { "service": to } })),
        1 => ("service-resolver", json!({ "failover": { "*": { "service": to } } })),
        2 => ("service-resolver", json!({})),
        3 => ("service-splitter", json!({ "splits": [{ "weight": 50 }, { "weight": 50, "service": to }] })),
        4 => ("service-router", json!({ "routes": [{ "destination": { "service": to } }] })),
        5 => ("service-defaults", json!({ "protocol": "tcp" })),
        _ => ("service-defaults", json!({ "protocol": "http" })),
    });
    (service_name(), said, cas(), any::<bool>()).prop_map(|(of, (kind, said), cas, there)| {
        let scope = json!({ "namespace": "default", "name": of });
        let entry: Entry = serde_json::from_value(json!({ kind: { "scope": scope, "said": said } })).unwrap();
        match there {
            true => SetEntry { entry, cas }.into(),
            false => DeleteEntry { entry: entry.name(), cas }.into(),
        }
    })
}

// === Certificate authority ===

fn sealed() -> Sealed {
    Sealed { purpose: "test".to_owned(), nonce: vec![0; 12], ciphertext: vec![1, 2, 3], wraps: Vec::new() }
}

fn root(id: u8, active: bool) -> CaRoot {
    CaRoot {
        id: format!("root-{id}"),
        name: "test".to_owned(),
        serial: u64::from(id),
        signing_key_id: String::new(),
        external_trust_domain: String::new(),
        not_before: Timestamp::EPOCH,
        not_after: Timestamp::FAR_FUTURE,
        root_cert: String::new(),
        intermediate_certs: Vec::new(),
        active,
        rotated_out_at: None,
        key_kind: KeyKind::EcP256,
        stamp: Stamp::default(),
    }
}

fn config(force: bool) -> CaConfig {
    CaConfig {
        cluster_id: Uuid([7; 16]),
        provider: "consul".to_owned(),
        settings: Default::default(),
        state: BTreeMap::new(),
        force_without_cross_signing: force,
        stamp: Stamp::default(),
    }
}

fn provider_state() -> impl Strategy<Value = ProviderRecord> {
    (0..2u8, 0..2u8).prop_map(|(id, kind)| ProviderRecord {
        id: format!("state-{id}"),
        kind: format!("kind-{kind}"),
        sealed: sealed(),
        stamp: Stamp::default(),
    })
}

fn ca() -> impl Strategy<Value = Command> {
    let roots = (0..3u8, any::<bool>(), 0..40u64, option::of(any::<bool>()), option::of(provider_state()))
        .prop_map(|(active, both, cas, force, provider_state)| {
            let mut roots = vec![root(active, true)];
            roots.extend(both.then(|| root(active + 1, false)));
            let trust_domain = TrustDomain::parse("test.consul").unwrap();
            let roots = CaRoots { active_root_id: roots[0].id.clone(), trust_domain, roots, index: 0 };
            let config = force.map(|force| SetCaConfig { config: config(force), cas: None });
            // A random index would make most commands fail, so 0 stands for the current one.
            SetCaRoots { roots, cas: if cas < 30 { 0 } else { cas }, config, provider_state }.into()
        });
    prop_oneof![
        roots,
        (any::<bool>(), cas()).prop_map(|(force, cas)| SetCaConfig { config: config(force), cas }.into()),
        provider_state().prop_map(|state| SetCaProviderState { state }.into()),
        (0..2u8).prop_map(|id| DeleteCaProviderState { id: format!("state-{id}") }.into()),
        (0..3u32).prop_map(|count| AllocateSerials { count }.into()),
    ]
}

// === Tokens ===

fn token() -> impl Strategy<Value = Token> {
    (uuid(), 0..4u8, option::of(uuid()), option::of(0..8i64)).prop_map(
        |(accessor, secret, policy, expires)| Token {
            accessor,
            secret_hash: hash_secret(&format!("secret-{secret}")),
            secret: None,
            description: String::new(),
            policies: policy.into_iter().map(|id| PolicyLink { id, name: String::new() }).collect(),
            identities: Identities::default(),
            local: false,
            expires_at: expires.map(|at| Timestamp::from_secs(at * 10)),
            created_at: Timestamp::EPOCH,
            stamp: Stamp::default(),
        },
    )
}

fn policy() -> impl Strategy<Value = AclPolicy> {
    (uuid(), 0..3u8, 0..2u8).prop_map(|(id, name, rules)| AclPolicy {
        id,
        name: format!("policy-{name}"),
        description: String::new(),
        rules: format!("rules {rules}"),
        datacenters: Vec::new(),
        stamp: Stamp::default(),
    })
}

fn mode() -> impl Strategy<Value = SetMode> {
    select(vec![SetMode::Create, SetMode::Update, SetMode::Upsert, SetMode::Upsert])
}

fn acl() -> impl Strategy<Value = Command> {
    let accessors = || prop::collection::vec(uuid(), 1..3);
    prop_oneof![
        1 => (token(), option::of(0..40u64))
            .prop_map(|(token, allowed_reset_index)| BootstrapAcl { token, allowed_reset_index }.into()),
        1 => Just(EnsureBuiltins::standard(Timestamp::EPOCH).into()),
        3 => (prop::collection::vec(token(), 1..3), mode())
            .prop_map(|(tokens, mode)| SetTokens { tokens, mode }.into()),
        1 => accessors().prop_map(|accessors| DeleteTokens { accessors }.into()),
        1 => accessors().prop_map(|accessors| ReapExpiredTokens { accessors }.into()),
        3 => (prop::collection::vec(policy(), 1..3), mode())
            .prop_map(|(policies, mode)| SetPolicies { policies, mode }.into()),
        1 => uuid().prop_map(|id| DeletePolicy { id }.into()),
    ]
}

/// Any command; frequent ones are more likely.
pub(crate) fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        8 => register(),
        4 => deregister(),
        1 => manual_addresses(),
        5 => entry(),
        4 => routing(),
        2 => ca(),
        4 => acl(),
        1 => prop_oneof![
            Just(Command::from(Noop {})),
            uuid().prop_map(|id| SetClusterId { id }.into()),
            select(vec![0, 1, 5, 6]).prop_map(|rule_set: u32| SetRuleSet { rule_set }.into()),
        ],
    ]
}

// === Queries ===

/// An answer in a form that can be compared.
pub(crate) type Answer = String;
pub(crate) type Query = Box<dyn Fn(&mut Reader) -> Answer>;

fn query<T: Debug>(ask: impl Fn(&mut Reader) -> T + 'static) -> Query {
    Box::new(move |reader| format!("{:?}", ask(reader)))
}

/// The chain of a service, or why there is none, and the entries that were read for it.
fn chain(reader: &mut Reader, service: &ServiceRef) -> Answer {
    let mut seen = Vec::new();
    let gathered = gather(service, |name| {
        seen.push(reader.entry(name));
        seen.last().cloned().flatten()
    });
    let request = ChainRequest {
        service: service.clone(),
        datacenter: Datacenter::parse("dc1").unwrap(),
        trust_domain: TrustDomain::parse("test.consul").unwrap(),
        overrides: Overrides::default(),
        virtual_ips: VirtualIps::default(),
    };
    format!("{:?} {seen:?}", gathered.and_then(|gathered| compile(&gathered, &request)))
}

pub(crate) fn services() -> Vec<ServiceRef> {
    let mut services = Vec::new();
    for scope in scopes() {
        for namespace in namespaces() {
            for name in SERVICES {
                services.push(ServiceRef {
                    partition: scope.partition.clone(),
                    namespace: namespace.clone(),
                    peer: scope.peer.clone(),
                    name: ServiceName::parse(name).unwrap(),
                });
            }
        }
    }
    services
}

/// Every query about everything in this world.
pub(crate) fn queries(now: Timestamp) -> Vec<Query> {
    let mut queries = vec![
        query(|reader| reader.cluster_id()),
        query(|reader| reader.rule_set()),
        query(|reader| {
            let rows = reader.entry_rows(EntryKind::ServiceIntentions);
            rows.iter().map(|row| reader.whole_entry(row)).collect::<Vec<_>>()
        }),
        query(|reader| reader.virtual_addresses()),
        query(|reader| reader.ca_roots()),
        query(|reader| reader.ca_config()),
        query(|reader| reader.ca_provider_states()),
        query(|reader| reader.ca_provider_state("state-0")),
        query(|reader| reader.next_serial()),
        query(move |reader| reader.tokens(now)),
        query(move |reader| reader.expired_tokens(now, 2)),
        query(|reader| reader.policies()),
        query(|reader| reader.acl_bootstrap()),
    ];
    for service in services() {
        let service = Arc::new(service);
        let about = |ask: fn(&mut Reader, &ServiceRef) -> Answer| -> Query {
            let service = Arc::clone(&service);
            Box::new(move |reader| ask(reader, &service))
        };
        queries.extend([
            about(|reader, service| format!("{:?}", reader.virtual_address(service))),
            about(|reader, service| format!("{:?}", reader.service(service))),
            about(|reader, service| format!("{:?}", reader.service_traits(service))),
            about(|reader, service| format!("{:?}", reader.upstream_uses(service))),
            about(|reader, service| format!("{:?}", reader.service_instances(service))),
            about(|reader, service| format!("{:?}", reader.connect_instances(service))),
            about(|reader, service| format!("{:?}", reader.health_service(service))),
            about(|reader, service| format!("{:?}", reader.health_connect(service))),
            about(|reader, service| format!("{:?}", reader.checks_of_service(service))),
            about(|reader, service| format!("{:?}", reader.intentions_to(service))),
            about(|reader, service| format!("{:?}", reader.intentions_from(service))),
        ]);
    }
    for name in SERVICES {
        let service = ServiceRef::local(ServiceName::parse(name).unwrap());
        for kind in [EntryKind::ServiceIntentions, EntryKind::ServiceDefaults] {
            let name = EntryName::of_service(kind, &service);
            queries.push(query(move |reader| reader.entry_time(&name)));
        }
        queries.push(Box::new(move |reader| chain(reader, &service)));
    }
    for scope in scopes() {
        queries.extend(queries_about_nodes(&scope));
        for namespace in namespaces() {
            let scope =
                ServiceScope { partition: scope.partition.clone(), namespace, peer: scope.peer.clone() };
            let (names, traits) = (scope.clone(), scope.clone());
            queries.push(query(move |reader| reader.all_traits(&traits)));
            queries.push(query(move |reader| reader.services(&names)));
            queries.push(query(move |reader| reader.instances(&scope)));
        }
    }
    for byte in 0xa0..0xa4u8 {
        let id = Uuid([byte; 16]);
        let secret = hash_secret(&format!("secret-{}", byte - 0xa0));
        let name = format!("policy-{}", byte - 0xa0);
        queries.push(query(move |reader| reader.intention_by_id(id)));
        queries.push(query(move |reader| reader.token_by_accessor(id, now)));
        queries.push(query(move |reader| reader.token_by_secret_hash(&secret, now)));
        queries.push(query(move |reader| reader.policy_by_id(id)));
        queries.push(query(move |reader| reader.policy_by_name(&name)));
    }
    queries
}

fn queries_about_nodes(scope: &NodeScope) -> Vec<Query> {
    let all = scope.clone();
    let any_state = scope.clone();
    let mut queries = vec![
        query(move |reader| reader.nodes(&all)),
        query(move |reader| reader.checks_in_state(&any_state, None)),
    ];
    for status in STATUSES {
        let scope = scope.clone();
        queries.push(query(move |reader| reader.checks_in_state(&scope, Some(status))));
    }
    for name in NODES {
        let at = Arc::new((scope.clone(), NodeName::parse(name).unwrap()));
        let about = |ask: fn(&mut Reader, &NodeScope, &NodeName) -> Answer| -> Query {
            let at = Arc::clone(&at);
            Box::new(move |reader| ask(reader, &at.0, &at.1))
        };
        queries.extend([
            about(|reader, scope, node| format!("{:?}", reader.node(scope, node))),
            about(|reader, scope, node| format!("{:?}", reader.node_services(scope, node))),
            about(|reader, scope, node| format!("{:?}", reader.checks_of_node(scope, node))),
            about(|reader, scope, node| {
                let id = InstanceId::parse(INSTANCES[0]).unwrap();
                format!("{:?}", reader.node_service(scope, node, &Namespace::default(), &id))
            }),
        ]);
    }
    queries
}
