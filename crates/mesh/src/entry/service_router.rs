//! `service-router`: where requests for a service go.

use std::collections::BTreeSet;

use concord_model::ServiceRef;
use concord_model::entry::{
    HttpRouteMatch, Method, Record, RetryCondition, Route, RouteDestination, RouteHeader, RouteQueryParam,
    ServiceRouter,
};

use super::chains;
use super::fault::{Fault, Faults, Given, RoutingFault};
use super::graph::{GraphFault, Proposed};
use super::limits::{HEADERS_MAX, TEXT_BYTES_MAX};
use super::routing::{check_modifiers, check_pattern, check_subset, check_tenancy};
use crate::chain::named;

/// Routes of a router: a request may try each of them, one after the other.
pub const ROUTES_MAX: usize = 4096;
/// Conditions on parameters of the query: every request checks all of them.
pub const QUERY_PARAMS_MAX: usize = 64;
/// Statuses after which a request is tried again: there are no more.
pub const RETRY_CODES_MAX: usize = 500;
/// Conditions for a retry: there are no more.
pub const RETRY_CONDITIONS_MAX: usize = RetryCondition::ALL.len();

pub(super) fn check(entry: &Record<ServiceRouter>, faults: &mut Faults) {
    faults.meta("Meta", &entry.meta);
    let ServiceRouter { routes } = &entry.said;
    faults.at_most("Routes", routes.len(), ROUTES_MAX);
    for (i, route) in routes.iter().enumerate().take(ROUTES_MAX) {
        check_route(&format!("Routes[{i}]"), route, faults);
    }
}

pub(super) fn check_route(at: &str, route: &Route, faults: &mut Faults) {
    let Route { matching, destination } = route;
    let http = matching.as_ref().and_then(|own| own.http.as_ref());
    if let Some(http) = http {
        check_match(&format!("{at}.Match.HTTP"), http, faults);
    }
    let Some(destination) = destination else { return };
    let at = format!("{at}.Destination");
    let names_a_path = http.is_some_and(|own| !own.path_exact.is_empty() || !own.path_prefix.is_empty());
    if !destination.prefix_rewrite.is_empty() && !names_a_path {
        faults.push(format!("{at}.PrefixRewrite"), RoutingFault::RewriteOfNothing);
    }
    check_destination(&at, destination, faults);
}

fn check_match(at: &str, http: &HttpRouteMatch, faults: &mut Faults) {
    let HttpRouteMatch {
        path_exact,
        path_prefix,
        path_regex,
        case_insensitive: _,
        header,
        query_param,
        methods,
    } = http;
    for (name, path) in [("PathExact", path_exact), ("PathPrefix", path_prefix)] {
        check_path(&format!("{at}.{name}"), path, faults);
    }
    if !path_regex.is_empty() {
        check_pattern(&format!("{at}.PathRegex"), path_regex, faults);
    }
    if [path_exact, path_prefix, path_regex].into_iter().filter(|path| !path.is_empty()).count() > 1 {
        faults.push(at, RoutingFault::MoreThanOne("PathExact, PathPrefix, or PathRegex"));
    }
    faults.at_most(format!("{at}.Header"), header.len(), HEADERS_MAX);
    for (k, header) in header.iter().enumerate().take(HEADERS_MAX) {
        check_header(&format!("{at}.Header[{k}]"), header, faults);
    }
    faults.at_most(format!("{at}.QueryParam"), query_param.len(), QUERY_PARAMS_MAX);
    for (k, param) in query_param.iter().enumerate().take(QUERY_PARAMS_MAX) {
        check_param(&format!("{at}.QueryParam[{k}]"), param, faults);
    }
    check_methods(&format!("{at}.Methods"), methods, faults);
}

fn check_path(at: &str, path: &str, faults: &mut Faults) {
    faults.no_longer(at, path, TEXT_BYTES_MAX);
    if !path.is_empty() && !path.starts_with('/') {
        faults.push(at, Fault::NotAPath { path: path.chars().take(64).collect() });
    }
}

fn check_header(at: &str, header: &RouteHeader, faults: &mut Faults) {
    let RouteHeader { name, present, exact, prefix, suffix, regex, invert: _ } = header;
    check_name(at, name, faults);
    check_value(
        at,
        *present,
        &[exact, prefix, suffix, regex],
        "Present, Exact, Prefix, Suffix, or Regex",
        faults,
    );
    check_regex(at, regex, faults);
}

fn check_param(at: &str, param: &RouteQueryParam, faults: &mut Faults) {
    let RouteQueryParam { name, present, exact, regex } = param;
    check_name(at, name, faults);
    check_value(at, *present, &[exact, regex], "Present, Exact, or Regex", faults);
    check_regex(at, regex, faults);
}

fn check_name(at: &str, name: &str, faults: &mut Faults) {
    if name.is_empty() {
        faults.push(format!("{at}.Name"), Fault::Required);
    }
    faults.no_longer(format!("{at}.Name"), name, TEXT_BYTES_MAX);
}

fn check_value(at: &str, present: bool, texts: &[&String], words: &'static str, faults: &mut Faults) {
    let set = texts.iter().filter(|text| !text.is_empty()).count() + usize::from(present);
    if set != 1 {
        faults.push(at, RoutingFault::NotExactlyOne(words));
    }
    texts.iter().for_each(|text| faults.no_longer(at, text, TEXT_BYTES_MAX));
}

fn check_regex(at: &str, regex: &str, faults: &mut Faults) {
    if !regex.is_empty() {
        check_pattern(&format!("{at}.Regex"), regex, faults);
    }
}

fn check_methods(at: &str, methods: &[Method], faults: &mut Faults) {
    faults.at_most(at, methods.len(), Method::ALL.len());
    let mut seen = BTreeSet::new();
    for (k, method) in methods.iter().enumerate().take(Method::ALL.len()) {
        if *method == Method::Unset {
            faults.push(format!("{at}[{k}]"), Fault::Required);
        } else if !seen.insert(*method) {
            faults.push(at, RoutingFault::Twice(Given::of(method.as_str())));
        }
    }
}

fn check_destination(at: &str, destination: &RouteDestination, faults: &mut Faults) {
    let RouteDestination {
        // A negative one means none.
        request_timeout: _,
        idle_timeout: _,
        service: _,
        service_subset,
        namespace,
        partition,
        prefix_rewrite,
        num_retries: _,
        retry_on_connect_failure: _,
        retry_on,
        retry_on_status_codes,
        request_headers,
        response_headers,
    } = destination;
    check_subset(&format!("{at}.ServiceSubset"), service_subset, faults);
    check_tenancy(at, namespace.as_ref(), partition.as_ref(), faults);
    faults.no_longer(format!("{at}.PrefixRewrite"), prefix_rewrite, TEXT_BYTES_MAX);
    check_retries(at, retry_on, retry_on_status_codes, faults);
    check_modifiers(&format!("{at}.RequestHeaders"), request_headers.as_ref(), faults);
    check_modifiers(&format!("{at}.ResponseHeaders"), response_headers.as_ref(), faults);
}

fn check_retries(at: &str, conditions: &[RetryCondition], codes: &[u32], faults: &mut Faults) {
    faults.at_most(format!("{at}.RetryOn"), conditions.len(), RETRY_CONDITIONS_MAX);
    for (k, condition) in conditions.iter().enumerate().take(RETRY_CONDITIONS_MAX) {
        if *condition == RetryCondition::Unset {
            faults.push(format!("{at}.RetryOn[{k}]"), Fault::Required);
        }
    }
    faults.at_most(format!("{at}.RetryOnStatusCodes"), codes.len(), RETRY_CODES_MAX);
    for (k, code) in codes.iter().enumerate().take(RETRY_CODES_MAX) {
        if !(100..600).contains(code) {
            faults.push(format!("{at}.RetryOnStatusCodes[{k}]"), RoutingFault::NoStatus(*code));
        }
    }
}

pub(super) fn graph(proposed: Proposed<'_>) -> Result<(), GraphFault> {
    chains::stay(proposed)
}

pub(super) fn links(entry: &Record<ServiceRouter>) -> Vec<ServiceRef> {
    named::by_router(entry)
}
