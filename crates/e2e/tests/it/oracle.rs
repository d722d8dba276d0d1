//! The oracle finds no difference between two agents of ours, finds one in an agent that differs, and none that is not
//! known between us and a reference.

use std::path::PathBuf;

use concord_e2e::foreign;
use concord_e2e::oracle::{Oracle, With};

fn envoy(test: &str) -> Option<PathBuf> {
    foreign(test, "CONCORD_TEST_ENVOY_OLDEST", "envoy", &["--version"])
}

fn oracle(envoy: PathBuf, with: With, only: &str) -> Oracle {
    Oracle { envoy, with, only: only.to_owned(), list: None }
}

#[test]
fn two_agents_of_ours_configure_envoy_alike() {
    let Some(envoy) = envoy("two_agents_of_ours_configure_envoy_alike") else { return };
    let report = oracle(envoy, With::Ours(String::new()), "splitter").run().expect("both play");
    assert_eq!(report.scenarios(), (2, 2), "{report}");
    assert_eq!(report.groups(), (0, 0), "{report}");
}

#[test]
fn an_agent_that_denies_is_seen_as_what_it_is() {
    let Some(envoy) = envoy("an_agent_that_denies_is_seen_as_what_it_is") else { return };
    let other = With::Ours("default_intention_policy = \"deny\"".to_owned());
    let report = oracle(envoy, other, "tcp, nothing said").run().expect("both play");
    assert_eq!(report.scenarios(), (2, 1), "{report}");
    assert!(report.to_string().contains(".rules.action"), "{report}");
}

#[test]
fn a_reference_configures_envoy_as_we_do_but_for_what_is_known() {
    let test = "a_reference_configures_envoy_as_we_do_but_for_what_is_known";
    let Some(envoy) = envoy(test) else { return };
    let Some(reference) = foreign(test, "CONCORD_TEST_REFERENCE", "consul", &["version"]) else { return };
    let report = oracle(envoy, With::Reference(reference), "").run().expect("both play");
    eprintln!("{report}");
    assert!(report.scenarios().0 >= 30 && report.is_clean(), "{report}");
}
