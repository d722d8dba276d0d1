//! Sample records, and a log to write them to.

use std::collections::BTreeMap;

use concord_model::ca::{CaConfig, CaRoot, CaRoots, KeyKind, KeyWrap, ProviderRecord, Sealed};
use concord_model::catalog::{
    Check, CheckStatus, Deregistration, Node, NodeScope, Registered, Registration, ServiceInstance,
};
use concord_model::intention::{Action, Decision, Destination, Source, SourceIntention};
use concord_model::proxy::{ProxyConfig, ServiceKind, Settings};
use concord_model::token::{AclPolicy, Identities, PolicyLink, Token};
use concord_model::{
    CheckId, Datacenter, InstanceId, Namespace, NodeName, Partition, Pattern, ServiceName, ServiceRef, Stamp,
    Timestamp, TrustDomain, Uuid,
};
use concord_state::builtin::hash_secret;
use concord_state::{Applied, Command, CommandReply, Envelope, Refusal, Store};

/// A state with its log.
pub(crate) struct Log {
    pub(crate) store: Store,
    pub(crate) index: u64,
    pub(crate) now: Timestamp,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self { store: Store::new(), index: 0, now: Timestamp::EPOCH }
    }

    /// Writes a command, and applies it as it is read from the log.
    pub(crate) fn write(&mut self, command: impl Into<Command>) -> Applied {
        self.index += 1;
        let bytes = Envelope::new(command, self.now, None).encode().expect("encodes");
        self.store.apply(self.index, &bytes).expect("applies")
    }

    #[track_caller]
    pub(crate) fn changed(&mut self, command: impl Into<Command>) -> Applied {
        let applied = self.write(command);
        assert_eq!(applied.reply, CommandReply::Done { changed: true });
        assert!(!applied.changes.is_empty());
        applied
    }

    #[track_caller]
    pub(crate) fn unchanged(&mut self, command: impl Into<Command>) {
        let applied = self.write(command);
        assert_eq!(applied.reply, CommandReply::Done { changed: false });
        assert!(applied.changes.is_empty());
    }

    #[track_caller]
    pub(crate) fn refused(&mut self, command: impl Into<Command>) -> Refusal {
        let applied = self.write(command);
        assert!(applied.changes.is_empty());
        match applied.reply {
            CommandReply::Refused(refusal) => refusal,
            other => panic!("must be refused: {other:?}"),
        }
    }
}

// === Catalog ===

pub(crate) fn node_name(name: &str) -> NodeName {
    NodeName::parse(name).unwrap()
}

pub(crate) fn service_ref(name: &str) -> ServiceRef {
    ServiceRef::local(ServiceName::parse(name).unwrap())
}

pub(crate) fn uuid(byte: u8) -> Uuid {
    Uuid([byte; 16])
}

pub(crate) fn node(name: &str, id: Option<Uuid>) -> Node {
    Node {
        scope: NodeScope::default(),
        name: node_name(name),
        id,
        address: "10.0.0.1".to_owned(),
        datacenter: Datacenter::parse("dc1").unwrap(),
        tagged_addresses: BTreeMap::new(),
        meta: BTreeMap::new(),
        locality: None,
        stamp: Stamp::default(),
    }
}

pub(crate) fn instance(id: &str, service: &str) -> ServiceInstance {
    ServiceInstance {
        port: 8080,
        ..ServiceInstance::of(InstanceId::parse(id).unwrap(), ServiceName::parse(service).unwrap())
    }
}

pub(crate) fn sidecar(id: &str, service: &str) -> ServiceInstance {
    let destination_service = Some(ServiceName::parse(service).unwrap());
    ServiceInstance {
        kind: ServiceKind::ConnectProxy,
        proxy: Some(ProxyConfig { destination_service, ..ProxyConfig::default() }),
        ..instance(id, &format!("{service}-sidecar-proxy"))
    }
}

pub(crate) fn check(id: &str, service: Option<&str>, status: CheckStatus) -> Check {
    Check {
        id: CheckId::parse(id).unwrap(),
        name: id.to_owned(),
        status,
        notes: String::new(),
        output: String::new(),
        service_id: service.map(|id| InstanceId::parse(id).unwrap()),
        service_name: None,
        namespace: Namespace::default(),
        service_tags: Vec::new(),
        kind: "ttl".to_owned(),
        interval: String::new(),
        timeout: String::new(),
        definition: Default::default(),
        stamp: Stamp::default(),
    }
}

/// Registers a node alone.
pub(crate) fn register(node: Node) -> Registration {
    Registration::of(node)
}

/// Registers something on a node. An existing node is not changed.
pub(crate) fn register_on(name: &str, service: Option<ServiceInstance>, checks: Vec<Check>) -> Registration {
    Registration { node: node(name, None), skip_node_update: true, service, checks }
}

pub(crate) fn deregister(node: &str, what: Registered) -> Deregistration {
    Deregistration { scope: NodeScope::default(), node: node_name(node), what }
}

// === Intentions ===

pub(crate) fn destination(name: &str) -> Destination {
    Destination {
        partition: Partition::default(),
        namespace: Pattern::Exact(Namespace::default()),
        name: Pattern::parse(name).unwrap(),
    }
}

pub(crate) fn source(name: &str) -> Source {
    Source {
        partition: Partition::default(),
        namespace: Pattern::Exact(Namespace::default()),
        peer: None,
        name: Pattern::parse(name).unwrap(),
    }
}

pub(crate) fn intention(from: &str, action: Action) -> SourceIntention {
    SourceIntention {
        source: source(from),
        decision: Decision::Connection(action),
        description: String::new(),
        legacy: None,
    }
}

// === Certificate authority ===

pub(crate) fn root(id: &str, active: bool) -> CaRoot {
    CaRoot {
        id: id.to_owned(),
        name: "Consul CA Primary Cert".to_owned(),
        serial: 7,
        signing_key_id: "aa:bb".to_owned(),
        external_trust_domain: uuid(9).to_string(),
        not_before: Timestamp::from_secs(1),
        not_after: Timestamp::from_secs(1000),
        root_cert: "not a certificate".to_owned(),
        intermediate_certs: Vec::new(),
        active,
        rotated_out_at: None,
        key_kind: KeyKind::EcP256,
        stamp: Stamp::default(),
    }
}

pub(crate) fn roots(roots: Vec<CaRoot>) -> CaRoots {
    let active = roots.iter().find(|root| root.active).map_or(String::new(), |root| root.id.clone());
    CaRoots { active_root_id: active, trust_domain: TrustDomain::of_cluster(uuid(9)), roots, index: 0 }
}

pub(crate) fn ca_config(provider: &str) -> CaConfig {
    CaConfig {
        cluster_id: uuid(9),
        provider: provider.to_owned(),
        settings: Settings::from([("LeafCertTTL".to_owned(), serde_json::json!("72h"))]),
        state: BTreeMap::new(),
        force_without_cross_signing: false,
        stamp: Stamp::default(),
    }
}

/// In the form of records from before they named their kind.
pub(crate) fn provider_state(id: &str) -> ProviderRecord {
    ProviderRecord {
        id: id.to_owned(),
        kind: String::new(),
        sealed: sealed("ca-key"),
        stamp: Stamp::default(),
    }
}

pub(crate) fn sealed(purpose: &str) -> Sealed {
    Sealed {
        purpose: purpose.to_owned(),
        nonce: vec![1; 12],
        ciphertext: vec![2; 40],
        wraps: vec![KeyWrap { kek_id: "kek-1".to_owned(), nonce: vec![3; 12], ciphertext: vec![4; 48] }],
    }
}

// === Tokens ===

pub(crate) fn token(accessor: Uuid, secret: &str) -> Token {
    Token {
        accessor,
        secret_hash: hash_secret(secret),
        secret: None,
        description: String::new(),
        policies: Vec::new(),
        identities: Identities::default(),
        local: false,
        expires_at: None,
        created_at: Timestamp::EPOCH,
        stamp: Stamp::default(),
    }
}

pub(crate) fn link(policy: &AclPolicy) -> PolicyLink {
    PolicyLink { id: policy.id, name: policy.name.clone() }
}

pub(crate) fn policy(id: Uuid, name: &str) -> AclPolicy {
    AclPolicy {
        id,
        name: name.to_owned(),
        description: String::new(),
        rules: "node_prefix \"\" { policy = \"read\" }".to_owned(),
        datacenters: Vec::new(),
        stamp: Stamp::default(),
    }
}
