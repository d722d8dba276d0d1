//! What routers, splitters and resolvers have in common: the checks of patterns, headers, subsets and durations.

use concord_filter::Pattern;
use concord_model::entry::HeaderModifiers;
use concord_model::{Namespace, Partition};

use super::fault::{Fault, Faults, Given, RoutingFault};
use super::limits::{HEADERS_MAX, PATTERN_BYTES_MAX, TEXT_BYTES_MAX};

/// Bytes of the name of a subset: it is a label of a server name (RFC 1035 §2.3.4).
pub const SUBSET_BYTES_MAX: usize = 63;

/// Checks a regular expression that is set.
pub(super) fn check_pattern(at: &str, pattern: &str, faults: &mut Faults) {
    if pattern.len() > PATTERN_BYTES_MAX {
        return faults.no_longer(at, pattern, PATTERN_BYTES_MAX);
    }
    if let Err(reason) = Pattern::parse(pattern) {
        faults.push(at, RoutingFault::NoPattern(reason));
    }
}

/// Checks changes of headers.
pub(super) fn check_modifiers(at: &str, own: Option<&HeaderModifiers>, faults: &mut Faults) {
    let Some(HeaderModifiers { add, set, remove }) = own else { return };
    for (what, pairs) in [("Add", add), ("Set", set)] {
        let at = format!("{at}.{what}");
        faults.at_most(&at, pairs.len(), HEADERS_MAX);
        for (name, value) in pairs.iter().take(HEADERS_MAX) {
            check_header_name(&at, name, faults);
            faults.no_longer(format!("{at}[{}]", Given::of(name)), value, TEXT_BYTES_MAX);
        }
    }
    let at = format!("{at}.Remove");
    faults.at_most(&at, remove.len(), HEADERS_MAX);
    remove.iter().take(HEADERS_MAX).for_each(|name| check_header_name(&at, name, faults));
}

pub(super) fn check_header_name(at: &str, name: &str, faults: &mut Faults) {
    if name.is_empty() {
        faults.push(format!("{at}: the name of a header"), Fault::Required);
    }
    faults.no_longer(at, name, TEXT_BYTES_MAX);
}

/// Checks the name of a subset, wherever it stands. The empty name stands for all instances.
pub(super) fn check_subset(at: &str, name: &str, faults: &mut Faults) {
    if !name.is_empty() && !is_subset(name) {
        faults.push(at, RoutingFault::NoSubsetName(Given::of(name)));
    }
}

pub(super) fn is_subset(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let ends = name.bytes().next().is_some_and(plain) && name.bytes().last().is_some_and(plain);
    ends && name.len() <= SUBSET_BYTES_MAX && name.bytes().all(|b| plain(b) || b == b'-')
}

/// Checks the namespace and partition of a destination: there is only `default`.
pub(super) fn check_tenancy(
    at: &str,
    namespace: Option<&Namespace>,
    partition: Option<&Partition>,
    faults: &mut Faults,
) {
    if namespace.is_some_and(|own| !own.is_default()) {
        faults.push(format!("{at}.Namespace"), Fault::OtherTenancy);
    }
    if partition.is_some_and(|own| !own.is_default()) {
        faults.push(format!("{at}.Partition"), Fault::OtherTenancy);
    }
}

/// Refuses a field that only Consul Enterprise has.
pub(super) fn check_absent(at: &str, set: bool, faults: &mut Faults) {
    if set {
        faults.push(at, RoutingFault::Enterprise);
    }
}

pub(super) fn check_positive(at: &str, nanos: i64, faults: &mut Faults) {
    if nanos < 0 {
        faults.push(at, Fault::Negative);
    }
}
