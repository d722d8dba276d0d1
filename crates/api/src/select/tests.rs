//! Tests that every selector finds the field of its name, and that every printed field can be selected.

use super::*;
use crate::agent::Member;
use crate::catalog::Node;
use crate::health::{HealthCheck, ServiceEntry};
use crate::intention::Intention;

fn entry() -> ServiceEntry {
    let check = |id: &str, status: &str| HealthCheck {
        check_id: id.to_owned(),
        status: status.to_owned(),
        ..HealthCheck::default()
    };
    ServiceEntry {
        service: NodeService {
            service: "web".to_owned(),
            tags: vec!["v1".to_owned(), "blue".to_owned()],
            meta: [("version".to_owned(), "2".to_owned())].into(),
            port: 8080,
            ..NodeService::default()
        },
        checks: vec![check("a", "passing"), check("b", "warning")],
        ..ServiceEntry::default()
    }
}

#[track_caller]
fn check(filter: &str, expected: bool) {
    let filter = Expression::parse(filter).unwrap();
    let kept = keep(Some(&filter), &SERVICE_ENTRY, vec![entry()]).unwrap();
    assert_eq!(!kept.is_empty(), expected, "{filter}");
}

#[track_caller]
fn refused(filter: &str) {
    let filter = Expression::parse(filter).unwrap();
    assert!(keep::<ServiceEntry>(Some(&filter), &SERVICE_ENTRY, Vec::new()).is_err(), "{filter}");
}

#[test]
fn records_are_asked_by_the_names_they_are_printed_with() {
    check(r#"Service.Service == "web""#, true);
    check(r#"Service.Meta.version == 2 and "blue" in Service.Tags"#, true);
    check("Service.Port == 8080", true);
    check("Service.Port == 80", false);
    check(r#"Service.Meta contains "version""#, true);
    check(r#"Service.Meta.other == "x""#, false);
    check("Checks is not empty", true);
    check(r#"Checks.Status == "warning""#, true);
    check(r#"Checks.Status == "critical""#, false);
}

#[test]
fn fields_that_are_left_out_have_their_zero_value() {
    check("Service.Kind is empty", true);
    check("Service.SocketPath is empty", true);
    check("Service.EnableTagOverride == false", true);
    check(r#"Node.Meta is empty"#, true);
}

#[test]
fn other_selectors_are_refused_even_of_an_empty_list() {
    refused("Service.Nmae == 1");
    refused("Service.Service.Name == 1");
    refused("Checks.Nothing is empty");
}

/// Checks that the shape contains every field that a record prints.
#[track_caller]
fn complete<T: Default + Serialize>(shape: &Shape, without: &[&str]) {
    let Value::Object(printed) = serde_json::to_value(T::default()).unwrap() else { panic!("an object") };
    for name in printed.keys().filter(|name| !without.contains(&name.as_str())) {
        assert!(shape.0.get(name).is_some(), "{name} of {}", std::any::type_name::<T>());
    }
}

#[test]
fn all_that_is_printed_can_be_selected() {
    complete::<Node>(&NODE, &[]);
    complete::<ServiceNode>(&SERVICE_NODE, &[]);
    complete::<NodeService>(&NODE_SERVICE, &[]);
    complete::<HealthCheck>(&CHECK, &["Definition"]);
    complete::<ServiceEntry>(&SERVICE_ENTRY, &[]);
    complete::<AgentService>(&AGENT_SERVICE, &[]);
    complete::<Member>(&MEMBER, &[]);
    complete::<Intention>(&INTENTION, &["CreatedAt", "UpdatedAt"]);
}
