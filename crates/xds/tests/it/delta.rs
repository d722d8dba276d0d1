//! The stream machine against a model of an Envoy, and case by case.

mod model;

use std::sync::Arc;

use concord_envoy_proto::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use concord_envoy_proto::google::rpc::Status;
use concord_xds::delta::{Effect, Event, State};
use concord_xds::{ResourceSet, ResourceType};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use self::model::{Envoy, cluster, endpoints, listener, route, secret};

/// What a proxy should have, by a few numbers: which clusters, of which version; whom the listeners name.
#[derive(Clone, Debug)]
struct Scene {
    clusters: Vec<(u8, u8, Option<u8>)>,
    listeners: Vec<(u8, u8, u8)>,
    secrets: u8,
}

impl Scene {
    fn set(&self) -> Arc<ResourceSet> {
        let mut set = ResourceSet::default();
        for (name, version, instances) in &self.clusters {
            let name = format!("c{name}");
            set.insert(ResourceType::Cluster, cluster(&name, *version));
            match instances {
                Some(instances) => set.insert(ResourceType::Endpoint, endpoints(&name, *instances)),
                None => set.insert_awaited(ResourceType::Endpoint, name),
            }
        }
        for (name, version, to) in &self.listeners {
            let to = self.clusters.get(usize::from(*to) % self.clusters.len().max(1));
            let Some((to, ..)) = to else { continue };
            let (name, to) = (format!("l{name}"), format!("c{to}"));
            if version % 2 == 0 {
                set.insert(ResourceType::Listener, listener(&name, *version, Some(&to), None));
            } else {
                set.insert(ResourceType::Route, route(&name, *version, &to));
                set.insert(ResourceType::Listener, listener(&name, *version, None, Some(&name)));
            }
        }
        set.insert(ResourceType::Secret, secret("leaf", self.secrets));
        Arc::new(set)
    }
}

fn scene() -> impl Strategy<Value = Scene> {
    let instances = prop::option::weighted(0.85, 0..4_u8);
    let clusters = prop::collection::btree_map(0..5_u8, (0..3_u8, instances), 0..5);
    let listeners = prop::collection::btree_map(0..4_u8, (0..6_u8, 0..5_u8), 0..4);
    (clusters, listeners, 0..3_u8).prop_map(|(clusters, listeners, secrets)| Scene {
        clusters: clusters
            .into_iter()
            .map(|(name, (version, instances))| (name, version, instances))
            .collect(),
        listeners: listeners.into_iter().map(|(name, (version, to))| (name, version, to)).collect(),
        secrets,
    })
}

#[derive(Clone, Debug)]
enum Step {
    Wanted(Scene),
    ServerSpeaks,
    EnvoySpeaks,
    Reconnect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => scene().prop_map(Step::Wanted),
        6 => Just(Step::ServerSpeaks),
        6 => Just(Step::EnvoySpeaks),
        1 => Just(Step::Reconnect),
    ]
}

fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[11; 32]))
}

#[track_caller]
fn play(steps: Vec<Step>, refuses: Option<&'static str>) {
    let mut envoy = Envoy::new(refuses);
    let mut wanted = None;
    for step in steps {
        match step {
            Step::Wanted(scene) => {
                wanted = Some(scene.set());
                envoy.wants(Arc::clone(wanted.as_ref().unwrap()));
            }
            Step::ServerSpeaks => envoy.hears_one(),
            Step::EnvoySpeaks => envoy.says_one(),
            Step::Reconnect => envoy.reconnects(wanted.clone()),
        }
    }
    let Some(wanted) = wanted else { return };
    envoy.settles();
    envoy.has_exactly(&wanted);
}

#[test]
fn envoy_never_lacks_a_named_cluster_and_ends_with_the_snapshot() {
    let steps = prop::collection::vec(step(), 1..40);
    runner(300)
        .run(&steps, |steps| {
            play(steps, None);
            Ok(())
        })
        .unwrap();
}

#[test]
fn an_envoy_that_refuses_one_resource_gets_all_others() {
    let steps = prop::collection::vec(step(), 1..40);
    runner(300)
        .run(&steps, |steps| {
            for bad in ["c1", "l1", "leaf"] {
                play(steps.clone(), Some(bad));
            }
            Ok(())
        })
        .unwrap();
}

// === case by case ===

/// The machine, and what it last said.
#[derive(Default)]
struct Stream {
    state: State,
    last: Vec<Effect>,
}

impl Stream {
    fn on(&mut self, event: Event) -> &mut Self {
        self.last.clear();
        self.state.on(event, &mut self.last);
        self
    }

    fn wants(&mut self, set: &ResourceSet) -> &mut Self {
        self.on(Event::Wanted(Arc::new(set.clone())))
    }

    fn asks(&mut self, request: DeltaDiscoveryRequest) -> &mut Self {
        self.on(Event::Asked(Box::new(request)))
    }

    fn subscribes(&mut self, kind: ResourceType, names: &[&str]) -> &mut Self {
        let resource_names_subscribe = names.iter().map(|name| (*name).to_owned()).collect();
        self.asks(DeltaDiscoveryRequest { type_url: kind.url(), resource_names_subscribe, ..<_>::default() })
    }

    fn answers(&mut self, response: &DeltaDiscoveryResponse, refusal: Option<&str>) -> &mut Self {
        let error_detail = refusal.map(|words| Status { message: words.to_owned(), ..Status::default() });
        self.asks(DeltaDiscoveryRequest {
            type_url: response.type_url.clone(),
            response_nonce: response.nonce.clone(),
            error_detail,
            ..<_>::default()
        })
    }

    fn responses(&self) -> Vec<DeltaDiscoveryResponse> {
        let response = |effect: &Effect| match effect {
            Effect::Send(response) => Some((**response).clone()),
            _ => None,
        };
        self.last.iter().filter_map(response).collect()
    }

    /// The only response of the last event.
    #[track_caller]
    fn response(&self) -> DeltaDiscoveryResponse {
        let mut all = self.responses();
        assert_eq!(all.len(), 1, "{:?}", self.last);
        all.remove(0)
    }

    #[track_caller]
    fn says(&self, names: &[&str]) {
        assert!(!names.is_empty() || self.responses().is_empty(), "{:?}", self.last);
        let said: Vec<_> = self.responses().iter().flat_map(names_of).collect();
        assert_eq!(said, names, "{:?}", self.last);
    }
}

/// The names in a response; removed ones with a minus.
fn names_of(response: &DeltaDiscoveryResponse) -> Vec<String> {
    let removed = response.removed_resources.iter().map(|name| format!("-{name}"));
    response.resources.iter().map(|one| one.name.clone()).chain(removed).collect()
}

fn two_clusters(version: u8) -> ResourceSet {
    let mut set = ResourceSet::default();
    for name in ["c1", "c2"] {
        set.insert(ResourceType::Cluster, cluster(name, version));
        set.insert(ResourceType::Endpoint, endpoints(name, 1));
    }
    set.insert(ResourceType::Listener, listener("l1", version, Some("c1"), None));
    set.insert(ResourceType::Listener, listener("l2", version, Some("c2"), None));
    set
}

#[test]
fn nonces_count_and_at_most_one_response_of_a_type_is_unanswered() {
    let mut stream = Stream::default();
    let first = stream.wants(&two_clusters(0)).subscribes(ResourceType::Cluster, &[]).response();
    assert_eq!(
        (names_of(&first), first.nonce.as_str()),
        (vec!["c1".to_owned(), "c2".to_owned()], "00000001")
    );
    stream.wants(&two_clusters(1)).says(&[]);
    let second = stream.answers(&first, None).response();
    assert_eq!(second.nonce, "00000002");
    stream.answers(&first, None).says(&[]);
    stream.answers(&second, None).says(&[]);
}

#[test]
fn a_listener_waits_for_its_own_cluster_and_its_endpoints_alone() {
    let mut stream = Stream::default();
    stream.wants(&two_clusters(0)).subscribes(ResourceType::Listener, &[]).says(&[]);
    let clusters = stream.subscribes(ResourceType::Cluster, &["*"]).response();
    stream.answers(&clusters, None).says(&[]);
    let endpoints = stream.subscribes(ResourceType::Endpoint, &["c2"]).response();
    assert_eq!(names_of(&endpoints), ["c2"]);
    let listeners = stream.answers(&endpoints, None).response();
    assert_eq!(names_of(&listeners), ["l2"]);
    let endpoints = stream.subscribes(ResourceType::Endpoint, &["c1"]).response();
    stream.answers(&endpoints, None).says(&[]);
    stream.answers(&listeners, None).says(&["l1"]);
}

#[test]
fn a_cluster_goes_after_the_listener_that_names_it() {
    let mut stream = Stream::default();
    stream.wants(&two_clusters(0));
    for kind in [ResourceType::Cluster, ResourceType::Listener] {
        stream.subscribes(kind, &[]);
        if kind == ResourceType::Cluster {
            let clusters = stream.response();
            stream.answers(&clusters, None);
            let endpoints = stream.subscribes(ResourceType::Endpoint, &["c1", "c2"]).response();
            stream.answers(&endpoints, None);
        }
    }
    let listeners = stream.response();
    stream.answers(&listeners, None).says(&[]);
    let mut less = ResourceSet::default();
    less.insert(ResourceType::Cluster, cluster("c1", 0));
    less.insert(ResourceType::Endpoint, endpoints("c1", 1));
    less.insert(ResourceType::Listener, listener("l1", 0, Some("c1"), None));
    let gone = stream.wants(&less).response();
    assert_eq!(names_of(&gone), ["-l2"]);
    stream.answers(&gone, None).says(&["-c2"]);
}

#[test]
fn what_envoy_brings_along_is_not_sent_again() {
    let set = two_clusters(0);
    let version = |name: &str| set.find(ResourceType::Cluster, name).unwrap().version.to_string();
    let initial = [("c1", version("c1")), ("c2", "another".to_owned()), ("gone", "x".to_owned())];
    let initial_resource_versions = initial.into_iter().map(|(name, own)| (name.to_owned(), own)).collect();
    let request = DeltaDiscoveryRequest {
        type_url: ResourceType::Cluster.url(),
        initial_resource_versions,
        ..<_>::default()
    };
    let mut stream = Stream::default();
    let first = stream.wants(&set).asks(request).response();
    assert_eq!(names_of(&first), ["c2"]);
    stream.answers(&first, None).says(&[]);
    // Only now is it known that no listener names it.
    stream.subscribes(ResourceType::Listener, &[]).says(&["-gone"]);
}

#[test]
fn a_resource_that_is_asked_for_again_is_sent_again_and_a_missing_one_is_said_to_be_missing() {
    let mut stream = Stream::default();
    let first = stream.wants(&two_clusters(0)).subscribes(ResourceType::Endpoint, &["c1"]).response();
    stream.answers(&first, None).says(&[]);
    let again = stream.subscribes(ResourceType::Endpoint, &["c1"]).response();
    assert_eq!(names_of(&again), ["c1"]);
    stream.answers(&again, None).subscribes(ResourceType::Endpoint, &["c9"]).says(&["-c9"]);
}

#[test]
fn the_endpoints_of_a_changed_cluster_are_sent_again() {
    let mut stream = Stream::default();
    let clusters = stream.wants(&two_clusters(0)).subscribes(ResourceType::Cluster, &[]).response();
    stream.answers(&clusters, None);
    let endpoints = stream.subscribes(ResourceType::Endpoint, &["c1", "c2"]).response();
    stream.answers(&endpoints, None);
    let mut changed = two_clusters(0);
    changed.insert(ResourceType::Cluster, cluster("c1", 1));
    stream.wants(&changed).says(&["c1", "c1"]);
    let kinds: Vec<_> = stream.responses().iter().map(|one| ResourceType::of_url(&one.type_url)).collect();
    assert_eq!(kinds, [Some(ResourceType::Cluster), Some(ResourceType::Endpoint)]);
}

#[test]
fn n_266_what_envoy_refuses_is_found_remembered_and_not_repeated_until_it_changes() {
    let mut stream = Stream::default();
    let both = stream.wants(&two_clusters(0)).subscribes(ResourceType::Cluster, &[]).response();
    let alone = stream.answers(&both, Some("one of them is bad")).response();
    assert_eq!(names_of(&alone), ["c1"]);
    let other = stream.answers(&alone, Some("c1 is bad")).response();
    assert_eq!(names_of(&other), ["c2"]);
    let refused = Effect::Refused {
        kind: ResourceType::Cluster,
        names: vec!["c1".into()],
        words: "c1 is bad".to_owned(),
    };
    assert!(stream.last.contains(&refused), "{:?}", stream.last);
    stream.answers(&other, None).says(&[]);
    stream.wants(&two_clusters(0)).says(&[]);
    let rejections: Vec<_> =
        stream.state.rejections().map(|(kind, name, own)| (kind, name, &*own.words)).collect();
    assert_eq!(rejections, [(ResourceType::Cluster, "c1", "c1 is bad")]);
    let changed = stream.wants(&two_clusters(1)).response();
    assert_eq!(names_of(&changed), ["c1", "c2"]);
    stream.answers(&changed, None);
    assert_eq!(stream.state.rejections().count(), 0);
}

#[test]
fn n_267_a_stream_cannot_ask_for_any_number_of_names() {
    let names: Vec<String> = (0..=concord_xds::delta::NAMES_MAX).map(|n| n.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut stream = Stream::default();
    stream.subscribes(ResourceType::Endpoint, &names);
    assert!(stream.last.contains(&Effect::End(concord_xds::delta::TooMuch)));
    let mut stream = Stream::default();
    stream.subscribes(ResourceType::Endpoint, &names[1..]);
    assert!(!stream.last.iter().any(|effect| matches!(effect, Effect::End(_))));
}

#[test]
fn an_empty_first_answer_lets_envoy_start() {
    let mut stream = Stream::default();
    let first = stream.wants(&ResourceSet::default()).subscribes(ResourceType::Listener, &[]).response();
    assert!(first.resources.is_empty() && first.removed_resources.is_empty());
    stream.answers(&first, None).says(&[]);
    assert_eq!(stream.last, [Effect::Settled]);
}

#[test]
fn a_type_that_is_not_ours_is_passed_over() {
    let request = DeltaDiscoveryRequest { type_url: "type.googleapis.com/x".to_owned(), ..<_>::default() };
    assert_eq!(Stream::default().wants(&two_clusters(0)).asks(request).last, []);
}
