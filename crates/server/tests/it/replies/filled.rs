//! A server that is full of things, each of which says in its own text what it is: `[node n2]`, `[check disk]`.
//!
//! So whatever an answer shows is recognised by what stands in it, wherever it stands.

use std::collections::{BTreeMap, BTreeSet};

use concord_ca::Csr;
use concord_model::catalog::{CheckStatus, Registration};
use concord_model::entry::{
    Entry, EntryKind, EntryName, MeshTransparentProxy, Protocol, Record, ServiceDefaults, ServiceSplitter,
    Split, Weight,
};
use concord_model::intention::{
    Action, Decision, HttpPermission, Permission, ServiceIntentions, Source, SourceIntention,
};
use concord_model::proxy::{ProxyConfig, ServiceKind};
use concord_model::token::ANONYMOUS_ACCESSOR;
use concord_model::{Secret, Stamp, Uuid};
use concord_rpc::Head;
use concord_rpc::request::{
    ApplyEntry, CreateIntention, DeleteEntry, ListIntentions, PlainIntention, PolicyChoice, ReadPolicy,
    ReadToken, Register, SetPolicy, SetToken,
};
use serde_json::{Value, json};

use super::oracle::{Needs, Right, Rules};
use crate::ca::{identity, key};
use crate::intention::{from, to};
use crate::world::{Host, ROOT, Setup, check, instance, new_token, node, policy, service};

/// An instance in the catalog.
pub(crate) struct Instance {
    pub(crate) node: &'static str,
    pub(crate) id: &'static str,
    pub(crate) service: &'static str,
    /// The service that it takes mesh traffic for; empty if none.
    pub(crate) target: &'static str,
}

/// A check: its node, its id, its instance if it has one.
pub(crate) struct Check {
    pub(crate) node: &'static str,
    pub(crate) id: &'static str,
    pub(crate) instance: &'static str,
    pub(crate) service: &'static str,
}

pub(crate) const NODES: [&str; 3] = ["n1", "n2", "m1"];

/// The first is the server's own.
pub(crate) const INSTANCES: [Instance; 7] = [
    Instance { node: "n1", id: "consul", service: "consul", target: "" },
    Instance { node: "n1", id: "web-1", service: "web", target: "" },
    Instance { node: "n1", id: "db-1", service: "db", target: "" },
    Instance { node: "n2", id: "web-2", service: "web", target: "" },
    Instance { node: "n2", id: "web-2-proxy", service: "web-proxy", target: "web" },
    Instance { node: "m1", id: "admin", service: "web-admin", target: "web-admin" },
    Instance { node: "m1", id: "db-m", service: "db", target: "" },
];

/// The first is the server's own.
pub(crate) const CHECKS: [Check; 7] = [
    Check { node: "n1", id: "serfHealth", instance: "", service: "" },
    Check { node: "n1", id: "disk", instance: "", service: "" },
    Check { node: "n1", id: "web-ttl", instance: "web-1", service: "web" },
    Check { node: "n2", id: "n2-node", instance: "", service: "" },
    Check { node: "n2", id: "web-2-check", instance: "web-2", service: "web" },
    Check { node: "n2", id: "proxy-check", instance: "web-2-proxy", service: "web-proxy" },
    Check { node: "m1", id: "db-check", instance: "db-m", service: "db" },
];

/// Source and destination. A source at a peer begins with `peer:`.
pub(crate) const INTENTIONS: [(&str, &str); 8] = [
    ("web", "db"),
    ("web-admin", "db"),
    ("peer:web", "db"),
    ("*", "web"),
    ("web", "*"),
    ("web-proxy", "*"),
    ("web", "api"),
    ("db", "web-admin"),
];

/// The one that was made by the older API, and by its id alone is edited.
pub(crate) const BY_ID: (&str, &str) = ("db", "web-admin");

/// Entries but intentions: kind and name.
pub(crate) const ENTRIES: [(EntryKind, &str); 16] = [
    (EntryKind::ServiceDefaults, "api"),
    (EntryKind::ServiceDefaults, "db"),
    (EntryKind::ServiceDefaults, "web"),
    (EntryKind::ProxyDefaults, "global"),
    (EntryKind::Mesh, "mesh"),
    (EntryKind::ServiceResolver, "web"),
    (EntryKind::ServiceRouter, "api"),
    (EntryKind::ServiceSplitter, "api"),
    (EntryKind::JwtProvider, "okta"),
    (EntryKind::IngressGateway, "web-proxy"),
    (EntryKind::TerminatingGateway, "db"),
    (EntryKind::ExportedServices, "default"),
    (EntryKind::FileSystemCertificate, "own"),
    (EntryKind::ApiGateway, "web-proxy"),
    (EntryKind::HttpRoute, "shop"),
    (EntryKind::TcpRoute, "data"),
];

/// Accessor of a token that is there to be changed and removed.
pub(crate) const VICTIM: Uuid = Uuid([0x5a; 16]);

/// The node id of every server of the tests, by which the server's own node is recognised.
const OWN_NODE: &str = "11111111-0000-4000-8000-000000000001";

/// Who asks.
#[derive(Clone)]
pub(crate) struct Caller {
    /// `nobody`, `unknown`, `root`, or the name of a token of ours.
    pub(crate) name: String,
    pub(crate) secret: Option<String>,
    pub(crate) accessor: Option<Uuid>,
    pub(crate) policy: Option<Uuid>,
    pub(crate) rules: Rules,
}

impl Caller {
    pub(crate) fn head(&self) -> Head {
        Head::with_token(self.secret.clone().map(Secret::new))
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.name == name
    }
}

pub(crate) struct Filled {
    pub(crate) host: Host,
    pub(crate) callers: Vec<Caller>,
    /// Of the intention that has one.
    pub(crate) id: Uuid,
    /// The policy of the token that is there to be changed.
    pub(crate) victims_policy: Uuid,
    /// Requests for leaves, by service.
    pub(crate) csrs: Vec<(&'static str, String)>,
}

/// What a record says of itself.
pub(crate) fn mark(what: &str) -> String {
    format!("[{what}]")
}

fn marked(what: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("is".to_owned(), mark(what))])
}

pub(crate) fn entry_mark(kind: EntryKind, name: &str) -> String {
    format!("entry {kind}/{name}")
}

// === impl Filled ===

impl Filled {
    pub(crate) async fn new() -> Self {
        let host = Setup::guarded().start().await.with_ca().await;
        let domain = host.roots().await.trust_domain;
        let csr = |of| (of, Csr::build(&*key(), &identity(&domain, of)).unwrap());
        let (callers, csrs) = (Vec::new(), ["web", "db"].map(csr).into());
        let mut filled = Self { host, callers, id: VICTIM, victims_policy: VICTIM, csrs };
        filled.fill().await;
        let someone = |name: &str, secret: Option<&str>, rules| Caller {
            name: name.to_owned(),
            secret: secret.map(ToOwned::to_owned),
            accessor: None,
            policy: None,
            rules,
        };
        filled.callers.push(someone("nobody", None, Rules(Vec::new())));
        let unknown = "99999999-9d5f-4c60-9d0e-0a1b2c3d4e5f";
        filled.callers.push(someone("unknown", Some(unknown), Rules(Vec::new())));
        filled.callers.push(someone("root", Some(ROOT), Rules::management()));
        for (number, rules) in Rules::narrow().into_iter().enumerate() {
            let caller = filled.token(format!("t{number}"), rules).await;
            filled.callers.push(caller);
        }
        filled
    }

    /// A token with a policy of its own.
    async fn token(&self, name: String, rules: Rules) -> Caller {
        let own = SetPolicy { description: mark(&format!("policy {name}")), ..policy(&name, &rules.text()) };
        let made = self.host.ask_as(ROOT, own).await.unwrap();
        let policies = vec![PolicyChoice::Id(made.id)];
        let token = SetToken { policies, description: mark(&format!("token {name}")), ..new_token() };
        let token = self.host.ask_as(ROOT, token).await.unwrap();
        let (secret, accessor) = (Some(token.secret), Some(token.accessor));
        Caller { name, secret, accessor, policy: Some(made.id), rules }
    }

    /// Gives the anonymous token this policy and no other.
    pub(crate) async fn for_nobody(&self, policy: Uuid) {
        let policies = vec![PolicyChoice::Id(policy)];
        let anonymous = SetToken { accessor: Some(ANONYMOUS_ACCESSOR), policies, ..new_token() };
        self.host.ask_as(ROOT, anonymous).await.unwrap();
    }

    pub(crate) fn caller(&self, name: &str) -> &Caller {
        self.callers.iter().find(|caller| caller.is(name)).unwrap()
    }

    /// Writes whatever is missing or has been changed; what is there beside stays.
    pub(crate) async fn fill(&mut self) {
        for one in &INSTANCES[1..] {
            self.host.ask_as(ROOT, registration(one)).await.unwrap();
        }
        for (kind, name) in ENTRIES {
            self.write(plain_entry(kind, name)).await;
        }
        for destination in ["db", "web", "*", "api"] {
            self.write(intentions(destination)).await;
        }
        let of_id = self.host.ask_as(ROOT, ListIntentions {}).await.unwrap();
        let of_id = of_id.into_iter().find(|entry| entry.destination.name.as_str() == BY_ID.1);
        let standing = of_id.as_ref().filter(|entry| entry.sources.len() == 1);
        let standing = standing.and_then(|entry| entry.sources[0].legacy.clone()).map(|legacy| legacy.id);
        if let Some(entry) = of_id.filter(|_| standing.is_none()) {
            let name = EntryName::intentions(&entry.destination);
            assert!(self.host.ask_as(ROOT, DeleteEntry { name, cas: None }).await.unwrap());
        }
        self.id = match standing {
            Some(id) => id,
            None => self.host.ask_as(ROOT, CreateIntention { intention: by_id() }).await.unwrap(),
        };
        self.fill_victim().await;
    }

    /// The token that is there to be changed, and its policy.
    async fn fill_victim(&mut self) {
        let which = PolicyChoice::Name("victim".to_owned());
        let standing = self.host.ask_as(ROOT, ReadPolicy { which: which.clone() }).await.unwrap();
        self.victims_policy = match standing {
            Some(policy) => policy.id,
            None => self.host.ask_as(ROOT, policy("victim", "")).await.unwrap().id,
        };
        if self.host.ask_as(ROOT, ReadToken { accessor: VICTIM }).await.unwrap().is_none() {
            let token = SetToken { new_accessor: Some(VICTIM), policies: vec![which], ..new_token() };
            self.host.ask_as(ROOT, token).await.unwrap();
        }
    }

    async fn write(&self, entry: Entry) {
        assert!(self.host.ask_as(ROOT, ApplyEntry { entry, cas: None }).await.unwrap());
    }

    /// The things that show in these texts.
    pub(crate) fn shown(&self, texts: &BTreeSet<String>) -> BTreeSet<String> {
        let mut shown = BTreeSet::new();
        for text in texts {
            for part in text.split('[').skip(1) {
                shown.extend(part.split_once(']').map(|(thing, _)| thing.to_owned()));
            }
            match text.as_str() {
                OWN_NODE => _ = shown.insert("node n1".to_owned()),
                "consul" => _ = shown.insert("instance consul".to_owned()),
                "serfHealth" => _ = shown.insert("check serfHealth".to_owned()),
                _ => {}
            }
            let owner = self.callers.iter().find(|caller| caller.secret.as_ref() == Some(text));
            shown.extend(owner.map(|caller| format!("secret {}", caller.name)));
        }
        shown
    }
}

/// All texts of a value, keys of maps as well.
pub(crate) fn texts(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => _ = into.insert(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, into)),
        Value::Object(fields) => {
            into.extend(fields.keys().cloned());
            fields.values().for_each(|field| texts(field, into));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What it takes to be told a name, in whatever answer it stands; none of these for what is no name of ours.
pub(crate) fn needs_of_name(text: &str) -> Option<Needs> {
    let mut needs: Needs = Vec::new();
    needs.extend(NODES.iter().filter(|node| **node == text).map(|node| vec![("node", *node, "read")]));
    for one in INSTANCES.iter().filter(|one| one.id == text) {
        needs.push(vec![("node", one.node, "read"), ("service", one.service, "read")]);
    }
    for one in CHECKS.iter().filter(|one| one.id == text) {
        needs.push(needs_of_check(one));
    }
    let services = INSTANCES.iter().map(|one| one.service).chain(["api"]);
    needs.extend(services.filter(|name| *name == text).map(|name| vec![("service", name, "read")]));
    for (source, destination) in INTENTIONS.iter().filter(|(a, b)| [*a, *b].contains(&text) && text != "*") {
        needs.extend(needs_of_intention(source, destination));
    }
    (!needs.is_empty()).then_some(needs)
}

pub(crate) fn needs_of_check(one: &Check) -> Vec<Right> {
    let service = (!one.service.is_empty()).then_some(("service", one.service, "read"));
    std::iter::once(("node", one.node, "read")).chain(service).collect()
}

/// Either end opens an intention, but nobody has rights to a source at a peer.
pub(crate) fn needs_of_intention(source: &'static str, destination: &'static str) -> Needs {
    let mut needs = vec![vec![("intention", destination, "read")]];
    needs.extend((!source.starts_with("peer:")).then(|| vec![("intention", source, "read")]));
    needs
}

// === What is written ===

/// An instance with its node and its checks; the checks of the node come with the node's first instance.
pub(crate) fn registration(one: &Instance) -> Register {
    let mut on = node(one.node);
    if one.node == "n1" {
        // The server's own node stays as it is.
        on.address = "127.0.0.1".to_owned();
    } else {
        on.meta = marked(&format!("node {}", one.node));
        on.meta.insert("rack".to_owned(), if one.node == "n2" { "a" } else { "b" }.to_owned());
    }
    let mut own = instance(one.id, one.service);
    own.meta = marked(&format!("instance {}", one.id));
    own.tags = vec![mark(&format!("tag {}", one.id))];
    own.native = one.target == one.service;
    if !one.target.is_empty() && one.target != one.service {
        let destination_service = Some(service(one.target));
        own.kind = ServiceKind::ConnectProxy;
        own.proxy = Some(ProxyConfig { destination_service, ..ProxyConfig::default() });
    }
    let first = INSTANCES.iter().filter(|other| other.id != "consul").find(|other| other.node == one.node);
    let of_node = first.is_some_and(|first| first.id == one.id);
    let checks = CHECKS.iter().filter(|check| {
        let mine = check.instance == one.id || (check.instance.is_empty() && of_node);
        check.node == one.node && mine && check.id != "serfHealth"
    });
    let checks = checks.map(|own| {
        let of = (!own.instance.is_empty()).then_some(own.instance);
        let mut check = check(own.id, of, CheckStatus::Passing);
        check.output = mark(&format!("check {}", own.id));
        check
    });
    Register(Registration {
        node: on,
        skip_node_update: one.node == "n1",
        service: Some(own),
        checks: checks.collect(),
    })
}

pub(crate) fn plain_entry(kind: EntryKind, name: &str) -> Entry {
    fn record<T>(kind: EntryKind, name: &str, said: T) -> Record<T> {
        let scope = EntryName::parse(kind, name).unwrap().scope;
        Record { scope, said, meta: marked(&entry_mark(kind, name)), stamp: Stamp::default() }
    }
    match kind {
        EntryKind::ServiceIntentions => intentions(name),
        EntryKind::ServiceDefaults => {
            let protocol = if name == "api" { Protocol::Http } else { Protocol::Tcp };
            Entry::ServiceDefaults(record(kind, name, ServiceDefaults { protocol, ..Default::default() }))
        }
        EntryKind::ProxyDefaults => Entry::ProxyDefaults(record(kind, name, Default::default())),
        EntryKind::ServiceResolver => Entry::ServiceResolver(record(kind, name, Default::default())),
        EntryKind::ServiceRouter => Entry::ServiceRouter(record(kind, name, Default::default())),
        EntryKind::ServiceSplitter => Entry::ServiceSplitter(record(kind, name, whole_split())),
        EntryKind::Mesh => {
            let transparent_proxy = MeshTransparentProxy { mesh_destinations_only: true };
            Entry::Mesh(record(
                kind,
                name,
                concord_model::entry::Mesh { transparent_proxy, ..Default::default() },
            ))
        }
        EntryKind::FileSystemCertificate => {
            let said = json!({ "certificate": "/cert", "private_key": "/key" });
            Entry::FileSystemCertificate(record(kind, name, settings(said)))
        }
        EntryKind::ApiGateway => {
            let said = json!({ "listeners": [{ "name": "web", "port": 8080, "protocol": "http" }] });
            Entry::ApiGateway(record(kind, name, settings(said)))
        }
        EntryKind::HttpRoute => Entry::HttpRoute(record(kind, name, Default::default())),
        EntryKind::TcpRoute => Entry::TcpRoute(record(kind, name, Default::default())),
        // The first has a certificate that must be one, and the second is written by the servers alone.
        EntryKind::InlineCertificate | EntryKind::BoundApiGateway => {
            panic!("{kind} is not among the entries")
        }
        EntryKind::IngressGateway => Entry::IngressGateway(record(kind, name, Default::default())),
        EntryKind::TerminatingGateway => {
            let said = json!({ "services": [{ "name": "*" }] });
            Entry::TerminatingGateway(record(kind, name, settings(said)))
        }
        EntryKind::ExportedServices => {
            let said = json!({ "services": [{ "name": "*", "consumers": [{ "peer": "east" }] }] });
            Entry::ExportedServices(record(kind, name, settings(said)))
        }
        EntryKind::JwtProvider => Entry::JwtProvider(record(
            kind,
            name,
            settings(json!({ "json_web_key_set": { "local": { "jwks": "e30=" } } })),
        )),
    }
}

/// All requests stay at the service.
fn whole_split() -> ServiceSplitter {
    ServiceSplitter { splits: vec![Split { weight: Weight::WHOLE, ..Split::default() }] }
}

/// The settings of a kind, as the log writes them.
fn settings<T: serde::de::DeserializeOwned>(written: Value) -> T {
    serde_json::from_value(written).unwrap()
}

fn intention_source(text: &str) -> Source {
    match text.strip_prefix("peer:") {
        Some(name) => Source { peer: Some("east".parse().unwrap()), ..from(name) },
        None => from(text),
    }
}

pub(crate) fn intentions(destination: &str) -> Entry {
    let own = INTENTIONS.iter().filter(|(_, to)| *to == destination);
    let sources = own.map(|(source, to)| SourceIntention {
        source: intention_source(source),
        decision: match *to {
            "api" => {
                let http = HttpPermission { methods: vec!["GET".to_owned()], ..HttpPermission::default() };
                Decision::Requests(vec![Permission { action: Action::Allow, http: Some(http), jwt: None }])
            }
            _ => Decision::Connection(Action::Allow),
        },
        description: mark(&format!("intention {source}>{to}")),
        legacy: None,
    });
    Entry::ServiceIntentions(ServiceIntentions {
        destination: to(destination),
        sources: sources.collect(),
        jwt: None,
        meta: marked(&entry_mark(EntryKind::ServiceIntentions, destination)),
        stamp: Stamp::default(),
    })
}

pub(crate) fn by_id() -> PlainIntention {
    let (source, destination) = BY_ID;
    PlainIntention {
        destination: to(destination),
        source: from(source),
        action: Action::Allow,
        description: mark(&format!("intention {source}>{destination}")),
        meta: BTreeMap::new(),
    }
}
