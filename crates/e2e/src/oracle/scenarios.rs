//! The scenarios, by what they are about.

mod chains;
mod inbound;
mod proxy;
mod upstreams;

use super::scenario::Scenario;

/// All scenarios.
pub(super) fn all() -> Vec<Scenario> {
    [inbound::all(), chains::all(), upstreams::all(), proxy::all()].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_scenario_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = super::all().iter().map(|own| own.name).collect();
        assert_eq!(names.len(), super::all().len());
        assert!(names.len() >= 30);
    }
}
