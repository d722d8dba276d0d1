//! Samples of the messages between a proxy and its agent, as the first version of sections by reference has them. The
//! sections themselves have theirs beside `proxycfg`.

use std::fmt::Debug;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use concord_model::{InstanceId, NodeName, ServiceName};
use concord_proxycfg::{
    DescribedProxy, DescribedUpstream, Feature, LeafFrom, ListenerId, ProxySnapshot, SectionBody,
    SectionUpdate, Understood,
};
use concord_rpc::{Attach, ProxyTarget, SnapshotEvent};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The committed sample of that name, read.
#[allow(clippy::disallowed_methods, reason = "whether to write samples is said in the environment")]
fn committed<T: DeserializeOwned>(name: &str, current: &impl Serialize) -> T {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus/stream-1").join(name);
    if !path.exists() && std::env::var("CONCORD_BLESS").is_ok() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, rmp_serde::to_vec_named(current).unwrap()).unwrap();
    }
    let bytes = fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; write it with CONCORD_BLESS=1", path.display()));
    rmp_serde::from_slice(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[track_caller]
fn check<T: Debug + DeserializeOwned + PartialEq + Serialize>(name: &str, sample: &T) {
    assert_eq!(committed::<T>(name, sample), *sample, "{name}");
}

fn name(text: &str) -> ServiceName {
    ServiceName::parse(text).unwrap()
}

/// The features of the first version that had any.
const FIRST: [Feature; 6] = [
    Feature::Proxy,
    Feature::Roots,
    Feature::Intentions,
    Feature::Targets,
    Feature::Chains,
    Feature::Listeners,
];

#[test]
fn who_attaches_is_understood_as_it_was_meant() {
    let (node, proxy) = (NodeName::parse("n1").unwrap(), InstanceId::parse("web-sidecar-proxy").unwrap());
    let registered = ProxyTarget::Registered { node: Some(node), proxy };
    check("attach-registered", &Attach::new(registered.clone(), Understood::of(FIRST)));
    let by_entries = FIRST.into_iter().chain([Feature::Entries, Feature::DiscoveryChains]);
    check("attach-by-entries", &Attach::new(registered.clone(), Understood::of(by_entries)));
    let few = Understood::of([Feature::Proxy, Feature::Roots]);
    check("attach-keyless", &Attach { leaf: LeafFrom::Agent, ..Attach::new(registered, few) });
    let db = DescribedUpstream { service: name("db"), bind: ([127, 0, 0, 1], 9191).into() };
    let described = DescribedProxy::try_new(name("web"), None, vec![db]).unwrap();
    let described = ProxyTarget::Described(Arc::new(described));
    check("attach-described", &Attach::new(described, Understood::of(FIRST)));
}

#[test]
fn what_is_streamed_is_understood_as_it_was_meant() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../proxycfg/corpus/sections-1/beginning");
    let first: ProxySnapshot = rmp_serde::from_slice(&fs::read(path).unwrap()).unwrap();
    let sample = SnapshotEvent::Begin { snapshot: Box::new(first.clone()), more: true };
    match committed("begin", &sample) {
        SnapshotEvent::Begin { snapshot, more: true } => assert_eq!(*snapshot, first),
        other => panic!("{other:?}"),
    }
    let body = SectionBody::ListenerGone(ListenerId::Inbound);
    let update = SectionUpdate { version: 5, more: false, body };
    match committed("section", &SnapshotEvent::Section(update.clone())) {
        SnapshotEvent::Section(read) => assert_eq!(read, update),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_an_agent_of_the_version_before_streams_is_refused() {
    let full = rmp_serde::to_vec_named(&serde_json::json!({ "full": { "version": 1 } })).unwrap();
    let error = rmp_serde::from_slice::<SnapshotEvent>(&full).unwrap_err();
    assert!(error.to_string().contains("`full`"), "{error}");
}
