//! Tests of evaluating expressions on records.

use std::collections::BTreeMap;

use super::{Selectable, Selected, select_in_each, select_in_map};
use crate::{Expression, FilterError};

#[derive(Default)]
struct Instance {
    name: String,
    port: u16,
    weight: f64,
    connect: bool,
    tags: Vec<String>,
    meta: BTreeMap<String, String>,
    checks: Vec<Check>,
}

struct Check {
    status: &'static str,
}

impl Selectable for Check {
    fn select(&self, path: &[&str]) -> Option<Selected<'_>> {
        match path {
            ["Status"] => Some(self.status.into()),
            _ => None,
        }
    }
}

impl Selectable for Instance {
    fn select(&self, path: &[&str]) -> Option<Selected<'_>> {
        match path {
            ["Name"] => Some((&self.name).into()),
            ["Port"] => Some(self.port.into()),
            ["Weight"] => Some(self.weight.into()),
            ["Connect"] => Some(self.connect.into()),
            ["Tags"] => Some((&self.tags).into()),
            ["Meta", rest @ ..] => select_in_map(&self.meta, rest),
            ["Checks", rest @ ..] => select_in_each(&self.checks, rest),
            _ => None,
        }
    }
}

fn web() -> Instance {
    Instance {
        name: "web".into(),
        port: 80,
        weight: 0.5,
        connect: true,
        tags: vec!["v1".into(), "blue".into()],
        meta: BTreeMap::from([("version".into(), "v1".into()), ("a b".into(), String::new())]),
        checks: vec![Check { status: "passing" }, Check { status: "warning" }],
    }
}

fn ask(text: &str) -> Result<bool, FilterError> {
    Expression::parse(text).unwrap_or_else(|error| panic!("{error}")).matches(&web())
}

#[track_caller]
fn holds(text: &str) {
    assert_eq!(ask(text), Ok(true), "{text}");
}

#[track_caller]
fn fails(text: &str) {
    assert_eq!(ask(text), Ok(false), "{text}");
}

#[track_caller]
fn check_refused(text: &str, says: &str) {
    let error = ask(text).expect_err("the question makes no sense");
    assert_eq!(error.to_string(), says);
}

#[test]
fn equality_is_by_kind() {
    holds("Name == web");
    fails("Name == Web");
    holds("Name != db");
    holds("Port == 80");
    fails("Port == 8080");
    holds("Port != \"81\"");
    holds("Weight == 0.50");
    holds("Connect == true");
    fails("Connect == 0");
    holds("Meta.version == v1");
    fails("Meta.version == v2");
}

#[test]
fn containment_in_text_list_and_map() {
    holds("Name contains eb");
    fails("x in Name");
    holds("v1 in Tags");
    holds("Tags contains \"blue\"");
    fails("\"v\" in Tags");
    holds("green not in Tags");
    holds("version in Meta");
    holds("Meta not contains v1");
}

#[test]
fn emptiness() {
    fails("Tags is empty");
    holds("Tags is not empty");
    holds("Meta is not empty");
    fails("Name is empty");
    holds("Meta[\"a b\"] is empty");
    holds("Checks is not empty");
}

#[test]
fn regular_expressions() {
    holds("Name matches `^w`");
    fails("Name not matches e");
    holds("Meta.version matches `^v\\d$`");
}

#[test]
fn a_key_the_map_lacks_is_equal_to_nothing() {
    fails("Meta.x == \"\"");
    holds("Meta.x != v1");
    holds("Meta.x is empty");
    fails("Meta.x is not empty");
    fails("v1 in Meta.x");
    holds("v1 not in Meta.x");
    fails("Meta.x matches `.*`");
    holds("Meta.x not matches `.*`");
}

#[test]
fn through_a_list_one_element_is_enough() {
    holds("Checks.Status == warning");
    fails("Checks.Status == critical");
    holds("Checks.Status != warning");
    fails("not Checks.Status == warning");
}

#[test]
fn logic() {
    holds("Name == web and Port == 80");
    fails("Name == web and Port == 81");
    holds("Name == db or Port == 80");
    holds("not Name == db");
    holds("Name == db and Port == 80 or Connect == true");
    fails("Name == db and (Port == 80 or Connect == true)");
}

#[test]
fn questions_without_meaning_are_errors() {
    check_refused(
        "Nam == web",
        "filter: selector \"Nam\" is not valid here; check its spelling against the fields of the result",
    );
    check_refused(
        "Meta.a.b == web",
        "filter: selector \"Meta.a.b\" is not valid here; check its spelling against the fields of the result",
    );
    check_refused(
        "Checks.Nam == x",
        "filter: selector \"Checks.Nam\" is not valid here; check its spelling against the fields of the result",
    );
    check_refused("Port == web", "filter: \"web\" cannot be compared with \"Port\", which is a whole number");
    check_refused(
        "Connect == yes",
        "filter: \"yes\" cannot be compared with \"Connect\", which is true or false",
    );
    check_refused(
        "Port matches `8`",
        "filter: \"matches\" cannot be used on \"Port\", which is a whole number",
    );
    check_refused("Tags == v1", "filter: \"==\" cannot be used on \"Tags\", which is a list");
    check_refused("80 in Port", "filter: \"in\" cannot be used on \"Port\", which is a whole number");
    check_refused("x not in Checks", "filter: \"not in\" cannot be used on \"Checks\", which is a list");
    check_refused(
        "Port is empty",
        "filter: \"is empty\" cannot be used on \"Port\", which is a whole number",
    );
}

#[test]
fn a_sample_shows_faults_that_records_would_hide() {
    let check = |text: &str| Expression::parse(text).expect("an expression").check(&Instance::default());
    assert_eq!(check("Name == web or Meta.x == 1 and Checks.Status == a"), Ok(()));
    assert!(check("Name == \"\" or Nam == web").is_err());
    assert!(check("Name == web and not Port == web").is_err());
}
