//! Which entries a resource is made from.

use concord_model::entry::{EntryKind, EntryName};
use concord_model::intention::{Action, Decision};
use concord_proxycfg::ProxySnapshot;
use concord_xds::causes::{self, Cause, Part};
use concord_xds::{ResourceType, sidecar as resources};

use crate::world::{NEWEST, Told, entry, sidecar, source, upstream};

fn told() -> Told {
    let http = r#"{"protocol": "http"}"#;
    let subsets = r#"{"default_subset": "v1", "subsets": {"v1": {}, "v2": {}}}"#;
    let splits =
        r#"{"splits": [{"weight": 9000, "service_subset": "v1"}, {"weight": 1000, "service_subset": "v2"}]}"#;
    let told = Told {
        intentions: vec![entry("web", vec![(source("db"), Decision::Connection(Action::Allow))])],
        ..Told::default()
    };
    told.write("service-defaults", "api", http).write("service-resolver", "api", subsets).write(
        "service-splitter",
        "api",
        splits,
    )
}

fn snapshot() -> std::sync::Arc<ProxySnapshot> {
    told().snapshot(sidecar(vec![upstream("api", 9001), upstream("db", 9002)]), Action::Deny)
}

fn shown(causes: &[Cause]) -> Vec<String> {
    let one = |cause: &Cause| match cause {
        Cause::Entry { name, field } => format!("{}/{} {field}", name.kind.as_str(), name.as_str()),
        Cause::Registration { upstream } => {
            format!("registration {}", upstream.as_ref().map_or("", |one| one.as_str()))
        }
        Cause::Authority => "authority".to_owned(),
    };
    causes.iter().map(one).collect()
}

#[track_caller]
fn check(kind: ResourceType, name: &str, expected: &[&str]) {
    assert_eq!(shown(&causes::of_resource(&snapshot(), kind, name)), expected, "{name}");
}

#[test]
fn n_314_each_resource_is_made_from_something_that_is_named() {
    let snapshot = snapshot();
    let built = resources(&snapshot, NEWEST).unwrap().resources;
    for kind in ResourceType::ALL {
        for one in built.of(kind) {
            let causes = causes::of_resource(&snapshot, kind, &one.name);
            assert!(!causes.is_empty(), "{kind:?} {}", one.name);
        }
    }
    assert!(causes::of_resource(&snapshot, ResourceType::Cluster, "nothing").is_empty());
}

#[test]
fn the_way_of_requests_is_made_from_the_entries_that_decide_it() {
    check(
        ResourceType::Route,
        "api",
        &[
            "service-defaults/api Protocol",
            "service-resolver/api ",
            "service-splitter/api Splits[0]",
            "service-splitter/api Splits[1]",
        ],
    );
    check(ResourceType::Listener, "db:127.0.0.1:9002", &["registration db"]);
    check(
        ResourceType::Listener,
        "public_listener:0.0.0.0:21000",
        &["service-intentions/web ", "registration "],
    );
    check(ResourceType::Cluster, "local_app", &["registration "]);
    check(ResourceType::Secret, "leaf", &["authority"]);
}

#[test]
fn an_entry_concerns_the_parts_that_it_can_change() {
    let snapshot = snapshot();
    let parts = |kind, name: &str| causes::parts(&snapshot, &EntryName::parse(kind, name).unwrap()).len();
    assert_eq!(parts(EntryKind::ServiceSplitter, "api"), 1);
    assert_eq!(parts(EntryKind::ServiceRouter, "db"), 1, "it would, and is not there yet");
    assert_eq!(parts(EntryKind::ServiceSplitter, "other"), 0);
    assert_eq!(parts(EntryKind::ServiceDefaults, "web"), 1);
    assert_eq!(parts(EntryKind::ProxyDefaults, "global"), 3, "the registration and both chains");
    assert_eq!(parts(EntryKind::ServiceIntentions, "web"), 1);
    assert_eq!(parts(EntryKind::ServiceIntentions, "api"), 0);
    assert_eq!(causes::parts(&snapshot, &EntryName::only(EntryKind::Mesh)), [Part::Entry]);
    let own = causes::resources_of(
        &snapshot,
        &causes::parts(&snapshot, &EntryName::parse(EntryKind::ServiceSplitter, "api").unwrap()),
    );
    assert!(own.has(ResourceType::Route, "api") && own.has(ResourceType::Listener, "api:127.0.0.1:9001"));
    assert!(
        !own.has(ResourceType::Route, "public_listener")
            && !own.has(ResourceType::Listener, "db:127.0.0.1:9002")
    );
}
