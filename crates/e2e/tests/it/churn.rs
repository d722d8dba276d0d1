//! A short churn, with the same changes every time. `cargo xtask churn` is the long one.

use concord_e2e::churn::Churn;
use concord_e2e::{foreign, number_from_env};

/// Number of changes.
const CHANGES: usize = 40;

#[test]
fn random_changes_under_load_lose_no_request_and_no_endpoint() {
    let test = "random_changes_under_load_lose_no_request_and_no_endpoint";
    let Some(envoy) = foreign(test, "CONCORD_TEST_ENVOY", "envoy", &["--version"]) else { return };
    let seed = number_from_env("CONCORD_E2E_SEED", 1);
    let churned = Churn { envoy, seed, changes: CHANGES, per_second: 100 }.run();
    assert!(churned.is_clean(), "{churned:#?}");
    assert!(churned.answers.iter().map(|(_, count)| count).sum::<u64>() > 100, "{churned:?}");
}
