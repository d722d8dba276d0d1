//! A model of an Envoy at the other end of the stream: it applies what it gets as Envoy does, asks for what follows from
//! that, and refuses what it is told to refuse. Messages wait in both directions, so that a test can choose the order
//! of events.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use concord_envoy_proto::envoy::config::core::v3::Node;
use concord_envoy_proto::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use concord_envoy_proto::google::rpc::Status;
use concord_xds::delta::{Effect, Event, State};
use concord_xds::{Name, Resource, ResourceSet, ResourceType};

/// Resources of the model are nodes: the id holds the version, the cluster the named cluster or route.
fn resource(name: &str, version: u8, names: Option<&str>, route: Option<&str>) -> Resource {
    let node = Node {
        id: version.to_string(),
        cluster: names.unwrap_or_default().to_owned(),
        user_agent_name: route.unwrap_or_default().to_owned(),
        ..Node::default()
    };
    Resource::new(name.to_owned(), &node)
}

pub(super) fn cluster(name: &str, version: u8) -> Resource {
    resource(name, version, None, None).with_child(ResourceType::Endpoint, name.to_owned())
}

pub(super) fn endpoints(name: &str, version: u8) -> Resource {
    resource(name, version, None, None)
}

pub(super) fn secret(name: &str, version: u8) -> Resource {
    resource(name, version, None, None)
}

pub(super) fn listener(name: &str, version: u8, to: Option<&str>, by: Option<&str>) -> Resource {
    let own = resource(name, version, to, by).naming(to.map(str::to_owned));
    match by {
        Some(route) => own.with_child(ResourceType::Route, route.to_owned()),
        None => own,
    }
}

pub(super) fn route(name: &str, version: u8, to: &str) -> Resource {
    resource(name, version, Some(to), None).naming([to.to_owned()])
}

/// What Envoy has of a resource.
#[derive(Clone, Debug, PartialEq)]
struct Held {
    version: String,
    node: Node,
}

#[derive(Default)]
pub(super) struct Envoy {
    state: State,
    /// Responses that have not arrived.
    to_envoy: VecDeque<DeltaDiscoveryResponse>,
    /// Requests that have not arrived.
    to_server: VecDeque<DeltaDiscoveryRequest>,
    has: BTreeMap<(ResourceType, String), Held>,
    asked: BTreeMap<ResourceType, BTreeSet<String>>,
    refuses: Option<&'static str>,
}

const KINDS: [ResourceType; 5] = ResourceType::ALL;

impl Envoy {
    pub(super) fn new(refuses: Option<&'static str>) -> Self {
        let mut own = Self { refuses, ..Self::default() };
        own.begins();
        own
    }

    fn begins(&mut self) {
        for kind in [ResourceType::Cluster, ResourceType::Listener] {
            self.request(kind, |_| {});
        }
        let mut names = std::mem::take(&mut self.asked);
        names.entry(ResourceType::Secret).or_default().insert("leaf".to_owned());
        for (kind, names) in names {
            self.asked.insert(kind, names.clone());
            if !names.is_empty() {
                self.request(kind, |request| request.resource_names_subscribe.extend(names));
            }
        }
    }

    /// A first request of a stream says what is there already.
    fn request(&mut self, kind: ResourceType, change: impl FnOnce(&mut DeltaDiscoveryRequest)) {
        let own = self.has.iter().filter(|((own, _), _)| *own == kind);
        let initial_resource_versions =
            own.map(|((_, name), held)| (name.clone(), held.version.clone())).collect();
        let mut request =
            DeltaDiscoveryRequest { type_url: kind.url(), initial_resource_versions, ..<_>::default() };
        change(&mut request);
        self.to_server.push_back(request);
    }

    pub(super) fn wants(&mut self, set: Arc<ResourceSet>) {
        self.tell(Event::Wanted(set));
    }

    fn tell(&mut self, event: Event) {
        let mut out = Vec::new();
        self.state.on(event, &mut out);
        for effect in out {
            match effect {
                Effect::Send(response) => self.to_envoy.push_back(*response),
                Effect::Refused { .. } => assert!(self.refuses.is_some()),
                Effect::Settled => assert!(self.to_envoy.is_empty(), "settled while responses wait"),
                Effect::End(error) => panic!("{error}"),
            }
        }
    }

    /// A request arrives at the server.
    pub(super) fn says_one(&mut self) {
        if let Some(request) = self.to_server.pop_front() {
            self.tell(Event::Asked(Box::new(request)));
        }
    }

    /// A response arrives at Envoy.
    pub(super) fn hears_one(&mut self) {
        let Some(response) = self.to_envoy.pop_front() else { return };
        let kind = ResourceType::of_url(&response.type_url).unwrap();
        let refuses = self.refuses;
        let is_bad = |name: &str| refuses == Some(name) && kind != ResourceType::Endpoint;
        let refused = response.resources.iter().any(|one| is_bad(&one.name));
        for resource in response.resources.into_iter().filter(|one| !is_bad(&one.name)) {
            let node: Node = {
                let body = resource.resource.unwrap();
                assert_eq!(body.type_url, "type.googleapis.com/envoy.config.core.v3.Node");
                body.to_msg().unwrap()
            };
            self.apply(kind, resource.name, Held { version: resource.version, node });
        }
        for name in response.removed_resources {
            self.forget(kind, &name);
        }
        let error_detail = refused.then(|| Status { message: "no".to_owned(), ..Status::default() });
        self.to_server.push_back(DeltaDiscoveryRequest {
            type_url: response.type_url,
            response_nonce: response.nonce,
            error_detail,
            ..<_>::default()
        });
    }

    fn apply(&mut self, kind: ResourceType, name: String, held: Held) {
        match kind {
            ResourceType::Listener | ResourceType::Route => {
                let to = &held.node.cluster;
                let is_there = |to: &String| self.has.contains_key(&(ResourceType::Cluster, to.clone()));
                assert!(to.is_empty() || is_there(to), "{kind:?} {name} names {to}, which is not here");
                let by = held.node.user_agent_name.clone();
                let before = self.has.insert((kind, name.clone()), held);
                if kind == ResourceType::Listener {
                    let earlier = before.map(|before| before.node.user_agent_name).unwrap_or_default();
                    self.replace_child(ResourceType::Route, &earlier, &by);
                }
            }
            ResourceType::Cluster => {
                if self.has.get(&(kind, name.clone())).is_some_and(|own| own.version == held.version) {
                    return;
                }
                self.has.insert((kind, name.clone()), held);
                // A changed cluster starts without endpoints, and Envoy does not ask again.
                self.has.remove(&(ResourceType::Endpoint, name.clone()));
                self.subscribe(ResourceType::Endpoint, &name);
            }
            ResourceType::Endpoint | ResourceType::Secret => {
                if self.asked.get(&kind).is_some_and(|names| names.contains(&name)) {
                    self.has.insert((kind, name), held);
                }
            }
        }
    }

    fn replace_child(&mut self, kind: ResourceType, before: &str, now: &str) {
        if before != now && !before.is_empty() {
            self.unsubscribe(kind, before);
        }
        if !now.is_empty() {
            self.has.remove(&(kind, now.to_owned()));
            self.subscribe(kind, now);
        }
    }

    fn forget(&mut self, kind: ResourceType, name: &str) {
        if kind == ResourceType::Cluster {
            let names_it = |((kind, _), held): &(&(ResourceType, String), &Held)| {
                matches!(kind, ResourceType::Listener | ResourceType::Route) && held.node.cluster == name
            };
            let user = self.has.iter().find(names_it);
            assert!(user.is_none(), "{name} goes while {user:?} names it");
        }
        let before = self.has.remove(&(kind, name.to_owned()));
        match kind {
            ResourceType::Cluster if before.is_some() => self.unsubscribe(ResourceType::Endpoint, name),
            ResourceType::Listener => {
                let by = before.map(|before| before.node.user_agent_name).unwrap_or_default();
                if !by.is_empty() {
                    self.unsubscribe(ResourceType::Route, &by);
                }
            }
            _ => {}
        }
    }

    fn subscribe(&mut self, kind: ResourceType, name: &str) {
        if self.asked.entry(kind).or_default().insert(name.to_owned()) {
            let resource_names_subscribe = vec![name.to_owned()];
            let type_url = kind.url();
            self.to_server.push_back(DeltaDiscoveryRequest {
                type_url,
                resource_names_subscribe,
                ..<_>::default()
            });
        }
    }

    fn unsubscribe(&mut self, kind: ResourceType, name: &str) {
        self.asked.entry(kind).or_default().remove(name);
        self.has.remove(&(kind, name.to_owned()));
        let resource_names_unsubscribe = vec![name.to_owned()];
        let type_url = kind.url();
        self.to_server.push_back(DeltaDiscoveryRequest {
            type_url,
            resource_names_unsubscribe,
            ..<_>::default()
        });
    }

    /// The connection breaks, and what is on its way is lost. A new server begins with what is wanted.
    pub(super) fn reconnects(&mut self, wanted: Option<Arc<ResourceSet>>) {
        self.state = State::default();
        self.to_envoy.clear();
        self.to_server.clear();
        self.begins();
        if let Some(wanted) = wanted {
            self.wants(wanted);
        }
    }

    /// Everything that is on its way arrives.
    pub(super) fn settles(&mut self) {
        for _ in 0..2_000 {
            if self.to_envoy.is_empty() && self.to_server.is_empty() {
                return;
            }
            self.hears_one();
            self.says_one();
        }
        panic!("it does not come to rest");
    }

    /// Envoy has what is wanted and nothing else, but for what it refuses and what hangs on that.
    pub(super) fn has_exactly(&self, wanted: &ResourceSet) {
        assert!(self.refuses.is_some() || self.state.is_settled());
        for kind in KINDS {
            let asked = |name: &str| match kind {
                ResourceType::Cluster | ResourceType::Listener => true,
                _ => self.asked.get(&kind).is_some_and(|names| names.contains(name)),
            };
            for resource in wanted.of(kind).filter(|resource| asked(&resource.name)) {
                let held = self.has.get(&(kind, resource.name.to_string())).map(|held| held.version.as_str());
                if !self.may_lack(wanted, kind, resource) {
                    assert_eq!(held, Some(&*resource.version), "{kind:?} {}", resource.name);
                }
            }
            if self.refuses.is_none() {
                let names = self.has.keys().filter(|(own, _)| *own == kind).map(|(_, name)| name);
                for name in names {
                    let known = wanted.find(kind, name).is_some() || wanted.awaits(kind, name);
                    assert!(known, "{kind:?} {name} is left over");
                }
            }
        }
    }

    /// Whether a resource is refused, or names one that is.
    fn may_lack(&self, wanted: &ResourceSet, kind: ResourceType, resource: &Resource) -> bool {
        let Some(bad) = self.refuses else { return false };
        let is_bad = |name: &str| name == bad;
        let by_route = |(_, name): &(ResourceType, Name)| {
            wanted.find(ResourceType::Route, name).is_some_and(|route| route.clusters.contains(bad))
        };
        (kind != ResourceType::Endpoint && is_bad(&resource.name))
            || resource.clusters.contains(bad)
            || resource
                .children
                .iter()
                .any(|child| by_route(child) || is_bad(&child.1) && kind != ResourceType::Cluster)
    }
}
