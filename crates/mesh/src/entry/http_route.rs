//! `http-route`: which requests at an API gateway reach which services.

use concord_model::ServiceRef;
use concord_model::entry::{
    EntryKind, HeaderComparison, HttpFilters, HttpHeaderMatch, HttpMatch, HttpPathMatch, HttpQueryMatch,
    HttpRoute, HttpRouteRule, HttpRouteService, PathComparison, QueryComparison, Record, Reference,
    RetryFilter,
};

use super::fault::{Fault, Faults};
use super::gates::{HOSTS_MAX, SERVICES_MAX, services};
use super::gateway_fault::GatewayFault;
use super::graph::{GraphFault, Proposed};
use super::limits::{HEADERS_MAX, PATTERN_BYTES_MAX, TEXT_BYTES_MAX};
use super::service_intentions::METHODS;

/// Rules of one route, and conditions of one rule: every request tries them one after another.
pub const RULES_MAX: usize = 1024;
/// Conditions on headers or query parameters, kinds of failures, and lists of changes of headers: every request looks
/// at all of them.
const PARTS_MAX: usize = HEADERS_MAX;

/// The kinds of gateways that use routes.
const PARENTS: (&[EntryKind], &str) = (&[EntryKind::ApiGateway], "'api-gateway'");

pub(super) fn check(entry: &Record<HttpRoute>, faults: &mut Faults) {
    faults.meta("Meta", &entry.meta);
    let HttpRoute { parents, rules, hostnames, status: _ } = &entry.said;
    check_parents(parents, faults);
    faults.at_most("Rules", rules.len(), RULES_MAX);
    for (i, rule) in rules.iter().enumerate().take(RULES_MAX) {
        check_rule(&format!("Rules[{i}]"), rule, faults);
    }
    faults.at_most("Hostnames", hostnames.len(), HOSTS_MAX);
    for (i, host) in hostnames.iter().enumerate().take(HOSTS_MAX) {
        let at = format!("Hostnames[{i}]");
        if host.contains('*') {
            faults.push(at, GatewayFault::WildcardHost { host: host.chars().take(255).collect() });
        } else {
            faults.host(at, host);
        }
    }
}

/// Checks the gateways of a route.
pub(super) fn check_parents(parents: &[Reference], faults: &mut Faults) {
    faults.references("Parents", parents, PARENTS);
}

fn check_rule(at: &str, rule: &HttpRouteRule, faults: &mut Faults) {
    let HttpRouteRule { filters, response_filters, matches, services } = rule;
    check_filters(&format!("{at}.Filters"), filters, faults);
    check_changes(&format!("{at}.ResponseFilters.Headers"), &response_filters.headers, faults);
    faults.at_most(format!("{at}.Matches"), matches.len(), RULES_MAX);
    for (i, own) in matches.iter().enumerate().take(RULES_MAX) {
        check_match(&format!("{at}.Matches[{i}]"), own, faults);
    }
    faults.at_most(format!("{at}.Services"), services.len(), SERVICES_MAX);
    for (i, own) in services.iter().enumerate().take(SERVICES_MAX) {
        check_service(&format!("{at}.Services[{i}]"), own, faults);
    }
}

fn check_service(at: &str, own: &HttpRouteService, faults: &mut Faults) {
    let HttpRouteService { name, weight: _, filters, response_filters, partition, namespace } = own;
    if name.is_none() {
        faults.push(format!("{at}.Name"), Fault::Required);
    }
    check_filters(&format!("{at}.Filters"), filters, faults);
    check_changes(&format!("{at}.ResponseFilters.Headers"), &response_filters.headers, faults);
    faults.local(at, partition, namespace);
}

fn check_filters(at: &str, own: &HttpFilters, faults: &mut Faults) {
    let HttpFilters { headers, url_rewrite, retry_filter, timeout_filter, jwt, ext_proc, ext_authz } = own;
    check_changes(&format!("{at}.Headers"), headers, faults);
    if let Some(rewrite) = url_rewrite {
        faults.no_longer(format!("{at}.URLRewrite.Path"), &rewrite.path, TEXT_BYTES_MAX);
    }
    if let Some(retry) = retry_filter {
        check_retry(&format!("{at}.RetryFilter"), retry, faults);
    }
    if let Some(timeout) = timeout_filter {
        let at = format!("{at}.TimeoutFilter");
        for (name, span) in
            [("RequestTimeout", timeout.request_timeout), ("IdleTimeout", timeout.idle_timeout)]
        {
            if span.nanos() < 0 {
                faults.push(format!("{at}.{name}"), Fault::Negative);
            }
        }
    }
    if jwt.is_some() {
        faults.push(format!("{at}.JWT"), GatewayFault::Enterprise { what: "tokens at API gateways" });
    }
    if ext_proc.as_ref().is_some_and(|all| !all.is_empty()) {
        faults.push(format!("{at}.ExtProc"), GatewayFault::Later { what: "processors outside of the proxy" });
    }
    if ext_authz.is_some() {
        faults.push(format!("{at}.ExtAuthz"), GatewayFault::Later { what: "judges outside of the proxy" });
    }
}

fn check_retry(at: &str, own: &RetryFilter, faults: &mut Faults) {
    let RetryFilter { num_retries: _, retry_on, retry_on_status_codes, retry_on_connect_failure: _ } = own;
    faults.at_most(format!("{at}.RetryOn"), retry_on.len(), PARTS_MAX);
    for (i, text) in retry_on.iter().enumerate().take(PARTS_MAX) {
        faults.text(format!("{at}.RetryOn[{i}]"), text, TEXT_BYTES_MAX);
    }
    let at = format!("{at}.RetryOnStatusCodes");
    faults.at_most(&at, retry_on_status_codes.len(), 500);
    let wrong = retry_on_status_codes.iter().enumerate().find(|(_, code)| !(100..=599).contains(*code));
    if let Some((i, code)) = wrong {
        faults.push(format!("{at}[{i}]"), GatewayFault::NoStatus { code: *code });
    }
}

fn check_changes(at: &str, all: &[concord_model::entry::HeaderModifiers], faults: &mut Faults) {
    faults.at_most(at, all.len(), PARTS_MAX);
    for (i, own) in all.iter().enumerate().take(PARTS_MAX) {
        faults.modifiers(&format!("{at}[{i}]"), own);
    }
}

fn check_match(at: &str, own: &HttpMatch, faults: &mut Faults) {
    let HttpMatch { headers, method, path, query } = own;
    if !method.is_empty() && !METHODS.contains(&method.as_str()) {
        let method = method.chars().take(32).collect();
        faults.push(format!("{at}.Method"), Fault::UnknownMethod { method });
    }
    faults.at_most(format!("{at}.Headers"), headers.len(), PARTS_MAX);
    for (i, own) in headers.iter().enumerate().take(PARTS_MAX) {
        check_header(&format!("{at}.Headers[{i}]"), own, faults);
    }
    check_path(&format!("{at}.Path"), path, faults);
    faults.at_most(format!("{at}.Query"), query.len(), PARTS_MAX);
    for (i, own) in query.iter().enumerate().take(PARTS_MAX) {
        check_query(&format!("{at}.Query[{i}]"), own, faults);
    }
}

fn check_path(at: &str, own: &HttpPathMatch, faults: &mut Faults) {
    let HttpPathMatch { r#match, value } = own;
    match r#match {
        PathComparison::Exact | PathComparison::Prefix if !value.starts_with('/') => {
            let path = value.chars().take(64).collect();
            faults.push(format!("{at}.Value"), Fault::NotAPath { path });
        }
        PathComparison::Exact | PathComparison::Prefix => {
            faults.no_longer(format!("{at}.Value"), value, TEXT_BYTES_MAX);
        }
        PathComparison::Regex => faults.text(format!("{at}.Value"), value, PATTERN_BYTES_MAX),
        // An entry cannot say it: it is read as all paths.
        PathComparison::Unset => {
            faults.push(
                format!("{at}.Match"),
                GatewayFault::NoComparison { allowed: "exact, prefix, or regex" },
            );
        }
    }
}

fn check_header(at: &str, own: &HttpHeaderMatch, faults: &mut Faults) {
    let HttpHeaderMatch { r#match, name, value } = own;
    faults.text(format!("{at}.Name"), name, TEXT_BYTES_MAX);
    if *r#match == HeaderComparison::Unset {
        let allowed = "present, exact, prefix, suffix, or regex";
        faults.push(format!("{at}.Match"), GatewayFault::NoComparison { allowed });
    }
    check_value(at, value, *r#match == HeaderComparison::Regex, faults);
}

fn check_query(at: &str, own: &HttpQueryMatch, faults: &mut Faults) {
    let HttpQueryMatch { r#match, name, value } = own;
    faults.text(format!("{at}.Name"), name, TEXT_BYTES_MAX);
    if *r#match == QueryComparison::Unset {
        faults
            .push(format!("{at}.Match"), GatewayFault::NoComparison { allowed: "present, exact, or regex" });
    }
    check_value(at, value, *r#match == QueryComparison::Regex, faults);
}

fn check_value(at: &str, value: &str, regex: bool, faults: &mut Faults) {
    let max = if regex { PATTERN_BYTES_MAX } else { TEXT_BYTES_MAX };
    faults.no_longer(format!("{at}.Value"), value, max);
}

/// What a route refers to may be missing: the status says so.
pub(super) fn graph(_: Proposed<'_>) -> Result<(), GraphFault> {
    Ok(())
}

pub(super) fn links(entry: &Record<HttpRoute>) -> Vec<ServiceRef> {
    let rules = entry.said.rules.iter();
    services(rules.flat_map(|rule| &rule.services).filter_map(|own| own.name.as_ref()))
}
