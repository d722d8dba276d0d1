//! `service-splitter`: how requests for a service are split by weight.

use std::collections::BTreeSet;

use concord_model::ServiceRef;
use concord_model::entry::{Record, ServiceSplitter, Split, Weight};

use super::chains;
use super::fault::{Fault, Faults, Given, RoutingFault};
use super::graph::{GraphFault, Proposed};
use super::routing::{check_modifiers, check_subset, check_tenancy};
use crate::chain::named;

/// Parts of a splitter: more than a thousand, so that one percent can be cut into ten parts of a thousandth each.
pub const SPLITS_MAX: usize = 2048;

pub(super) fn check(entry: &Record<ServiceSplitter>, faults: &mut Faults) {
    faults.meta("Meta", &entry.meta);
    let ServiceSplitter { splits } = &entry.said;
    if splits.is_empty() {
        faults.push("Splits", Fault::NoneOf { what: "split", owner: "splitter" });
    }
    faults.at_most("Splits", splits.len(), SPLITS_MAX);
    let own = entry.scope.name.as_str();
    let mut seen = BTreeSet::new();
    for (i, split) in splits.iter().enumerate().take(SPLITS_MAX) {
        let at = format!("Splits[{i}]");
        check_split(&at, split, faults);
        let (service, subset) =
            (split.service.as_ref().map_or(own, |own| own.as_str()), &split.service_subset);
        // The same destination may stand twice if the requests get other headers, as in an experiment.
        let plain = split.request_headers.is_none() && split.response_headers.is_none();
        if plain && !seen.insert((service, subset)) {
            let (service, subset) = (Given::of(service), Given::of(subset));
            faults.push(at, RoutingFault::SameSplit { service, subset });
        }
    }
    check_sum(splits, faults);
}

fn check_split(at: &str, split: &Split, faults: &mut Faults) {
    let Split { weight, service: _, service_subset, namespace, partition, request_headers, response_headers } =
        split;
    if !(0..=Weight::WHOLE.hundredths()).contains(&weight.hundredths()) {
        faults.push(format!("{at}.Weight"), RoutingFault::NoWeight(weight.to_string()));
    }
    check_subset(&format!("{at}.ServiceSubset"), service_subset, faults);
    check_tenancy(at, namespace.as_ref(), partition.as_ref(), faults);
    check_modifiers(&format!("{at}.RequestHeaders"), request_headers.as_ref(), faults);
    check_modifiers(&format!("{at}.ResponseHeaders"), response_headers.as_ref(), faults);
}

fn check_sum(splits: &[Split], faults: &mut Faults) {
    let sum: i64 = splits.iter().map(|split| i64::from(split.weight.hundredths())).sum();
    if !splits.is_empty() && sum != i64::from(Weight::WHOLE.hundredths()) {
        faults.push("Splits", RoutingFault::NotWhole(format!("{}", sum as f64 / 100.0)));
    }
}

pub(super) fn graph(proposed: Proposed<'_>) -> Result<(), GraphFault> {
    chains::stay(proposed)
}

pub(super) fn links(entry: &Record<ServiceSplitter>) -> Vec<ServiceRef> {
    named::by_splitter(entry)
}
