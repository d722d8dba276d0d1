//! Route configurations: how the requests for an upstream find their cluster.

use std::time::Duration;

use concord_envoy_proto::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use concord_envoy_proto::envoy::config::route::v3::query_parameter_matcher::QueryParameterMatchSpecifier;
use concord_envoy_proto::envoy::config::route::v3::route::Action;
use concord_envoy_proto::envoy::config::route::v3::route_action::hash_policy::{
    ConnectionProperties, Cookie, Header, PolicySpecifier, QueryParameter,
};
use concord_envoy_proto::envoy::config::route::v3::route_action::{ClusterSpecifier, HashPolicy};
use concord_envoy_proto::envoy::config::route::v3::route_match::PathSpecifier;
use concord_envoy_proto::envoy::config::route::v3::weighted_cluster::ClusterWeight;
use concord_envoy_proto::envoy::config::route::v3::{
    HeaderMatcher, QueryParameterMatcher, RetryPolicy, Route, RouteAction, RouteConfiguration, RouteMatch,
    VirtualHost, WeightedCluster,
};
use concord_envoy_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use concord_envoy_proto::envoy::r#type::matcher::v3::{RegexMatcher, StringMatcher};
use concord_model::Timeout;
use concord_model::chain::{ChainNode, ChainSplit, CompiledChain, NextNode, Origin};
use concord_model::entry::{
    self, HashField, HttpRouteMatch, LoadBalancer, RetryCondition, RouteDestination, RouteHeader,
    RouteQueryParam,
};
use concord_proxycfg::{OutboundListener, UpstreamId};

use super::address;
use super::header::{self, LeftOut};
use super::outcome::Unserved;
use crate::names;
use crate::resource::Resource;

/// The routes of an upstream, in one virtual host for all hosts.
pub(super) fn configuration(
    listener: &OutboundListener,
    chain: &CompiledChain,
    unserved: &mut Vec<Unserved>,
) -> Resource {
    let name = listener.upstream.to_string();
    let host = VirtualHost {
        name: host(&name, chain),
        domains: vec!["*".to_owned()],
        routes: routes(chain, &mut Told { upstream: &listener.upstream, unserved }),
        ..VirtualHost::default()
    };
    let clusters: Vec<_> = host.routes.iter().flat_map(clusters_of).collect();
    let configuration = RouteConfiguration {
        name: name.clone(),
        virtual_hosts: vec![host],
        // A route names its clusters only when Envoy has them.
        validate_clusters: Some(true),
        ..RouteConfiguration::default()
    };
    Resource::new(name, &configuration).naming(clusters)
}

/// The name of the virtual host: where no entry says anything of the requests, the one that Consul then uses.
fn host(upstream: &str, chain: &CompiledChain) -> String {
    if chain.default { names::default_host(&chain.service, &chain.datacenter) } else { upstream.to_owned() }
}

fn clusters_of(route: &Route) -> Vec<String> {
    let Some(Action::Route(action)) = &route.action else { return Vec::new() };
    match &action.cluster_specifier {
        Some(ClusterSpecifier::Cluster(name)) => vec![name.clone()],
        Some(ClusterSpecifier::WeightedClusters(all)) => {
            all.clusters.iter().map(|one| one.name.clone()).collect()
        }
        _ => Vec::new(),
    }
}

/// Where it is told which changes of headers are left out.
struct Told<'a> {
    upstream: &'a UpstreamId,
    unserved: &'a mut Vec<Unserved>,
}

impl Told<'_> {
    /// Tells what is left out of this list of changes, which stands in this field of what these entries say.
    fn leave_out(&mut self, left_out: Vec<LeftOut>, origins: &[Origin], field: &str) {
        for (list, header, fault) in left_out {
            let at = origins.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let (upstream, field) = (self.upstream.clone(), format!("{field}.{list}"));
            let told = Unserved::Header { upstream, at, field, header, fault };
            // Several routes may lead to the same splitter.
            if !self.unserved.contains(&told) {
                self.unserved.push(told);
            }
        }
    }
}

fn routes(chain: &CompiledChain, told: &mut Told<'_>) -> Vec<Route> {
    let start = chain.nodes.get(&chain.start.key);
    let Some(ChainNode::Router(router)) = start else {
        let mut action = action(chain, &chain.start, told);
        if let Some(ChainNode::Resolver(node)) = start {
            action.timeout = limit(node.request_timeout);
        }
        return vec![route(all_requests(), action)];
    };
    let each = router.routes.iter().map(|own| {
        let entry::Route { matching, destination } = &own.definition;
        let http = matching.as_ref().and_then(|matching| matching.http.as_ref());
        let mut route = route(http.map_or_else(all_requests, matches), action(chain, &own.next, told));
        if let Some(destination) = destination {
            apply(destination, own.origin.as_slice(), &mut route, told);
        }
        route
    });
    each.collect()
}

fn route(matching: RouteMatch, action: RouteAction) -> Route {
    Route { r#match: Some(matching), action: Some(Action::Route(action)), ..Route::default() }
}

/// Where requests go from here: to the cluster of a resolver, or to those of a splitter by weight.
fn action(chain: &CompiledChain, next: &NextNode, told: &mut Told<'_>) -> RouteAction {
    let (cluster, balancer) = match chain.nodes.get(&next.key) {
        Some(ChainNode::Resolver(node)) => {
            (ClusterSpecifier::Cluster(names::cluster(chain, &node.target)), node.load_balancer.as_ref())
        }
        Some(ChainNode::Splitter(node)) => {
            let clusters = node.splits.iter().filter_map(|split| part(chain, split, told)).collect();
            let weighted = WeightedCluster { clusters, ..WeightedCluster::default() };
            (ClusterSpecifier::WeightedClusters(weighted), node.load_balancer.as_ref())
        }
        // No route leads to a router, and every node is there.
        Some(ChainNode::Router(_)) | None => return RouteAction::default(),
    };
    let hash_policy = balancer.map(hash_policies).unwrap_or_default();
    RouteAction { cluster_specifier: Some(cluster), hash_policy, ..RouteAction::default() }
}

fn part(chain: &CompiledChain, split: &ChainSplit, told: &mut Told<'_>) -> Option<ClusterWeight> {
    let ChainNode::Resolver(node) = chain.nodes.get(&split.next.key)? else { return None };
    let (mut of_request, mut of_response) = (Vec::new(), Vec::new());
    let (request_headers_to_add, request_headers_to_remove) =
        header::changed(split.definition.request_headers.as_ref(), &mut of_request);
    let (response_headers_to_add, response_headers_to_remove) =
        header::changed(split.definition.response_headers.as_ref(), &mut of_response);
    told.leave_out(of_request, &split.origins, "RequestHeaders");
    told.leave_out(of_response, &split.origins, "ResponseHeaders");
    Some(ClusterWeight {
        name: names::cluster(chain, &node.target),
        weight: Some(u32::try_from(split.weight.hundredths()).unwrap_or_default()),
        request_headers_to_add,
        request_headers_to_remove,
        response_headers_to_add,
        response_headers_to_remove,
        ..ClusterWeight::default()
    })
}

fn apply(destination: &RouteDestination, origins: &[Origin], route: &mut Route, told: &mut Told<'_>) {
    let (mut of_request, mut of_response) = (Vec::new(), Vec::new());
    let (add, remove) = header::changed(destination.request_headers.as_ref(), &mut of_request);
    (route.request_headers_to_add, route.request_headers_to_remove) = (add, remove);
    let (add, remove) = header::changed(destination.response_headers.as_ref(), &mut of_response);
    (route.response_headers_to_add, route.response_headers_to_remove) = (add, remove);
    told.leave_out(of_request, origins, "Destination.RequestHeaders");
    told.leave_out(of_response, origins, "Destination.ResponseHeaders");
    let Some(Action::Route(action)) = &mut route.action else { return };
    action.prefix_rewrite.clone_from(&destination.prefix_rewrite);
    action.timeout = limit(destination.request_timeout);
    action.idle_timeout = limit(destination.idle_timeout);
    action.retry_policy = retries(destination);
}

/// A time limit: `None` for Envoy's own, 0 for none, which a negative one means.
fn limit(timeout: Timeout) -> Option<concord_envoy_proto::Duration> {
    match address::positive(timeout) {
        Some(time) => Some(address::duration(time)),
        None => (timeout.0.nanos() < 0).then(|| address::duration(Duration::ZERO)),
    }
}

fn retries(destination: &RouteDestination) -> Option<RetryPolicy> {
    let mut on: Vec<&str> = destination.retry_on.iter().map(|own| own.as_str()).collect();
    let connect_failure = RetryCondition::ConnectFailure.as_str();
    if destination.retry_on_connect_failure && !on.contains(&connect_failure) {
        on.push(connect_failure);
    }
    if !destination.retry_on_status_codes.is_empty() {
        on.push("retriable-status-codes");
    }
    if on.is_empty() && destination.num_retries == 0 {
        return None;
    }
    Some(RetryPolicy {
        retry_on: on.join(","),
        num_retries: (destination.num_retries > 0).then_some(destination.num_retries),
        retriable_status_codes: destination.retry_on_status_codes.clone(),
        ..RetryPolicy::default()
    })
}

fn all_requests() -> RouteMatch {
    RouteMatch { path_specifier: Some(PathSpecifier::Prefix("/".to_owned())), ..RouteMatch::default() }
}

fn matches(http: &HttpRouteMatch) -> RouteMatch {
    let path = if !http.path_exact.is_empty() {
        PathSpecifier::Path(http.path_exact.clone())
    } else if !http.path_prefix.is_empty() {
        PathSpecifier::Prefix(http.path_prefix.clone())
    } else if !http.path_regex.is_empty() {
        PathSpecifier::SafeRegex(RegexMatcher { regex: http.path_regex.clone() })
    } else {
        PathSpecifier::Prefix("/".to_owned())
    };
    let mut headers: Vec<_> = http.header.iter().map(matched).collect();
    if !http.methods.is_empty() {
        let methods: Vec<_> = http.methods.iter().map(|method| method.as_str()).collect();
        let pattern = text(MatchPattern::SafeRegex(RegexMatcher { regex: methods.join("|") }));
        headers.push(HeaderMatcher {
            name: ":method".to_owned(),
            header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(pattern)),
            ..HeaderMatcher::default()
        });
    }
    RouteMatch {
        path_specifier: Some(path),
        case_sensitive: http.case_insensitive.then_some(false),
        headers,
        query_parameters: http.query_param.iter().map(parameter).collect(),
        ..RouteMatch::default()
    }
}

fn matched(own: &RouteHeader) -> HeaderMatcher {
    let specifier = if !own.exact.is_empty() {
        HeaderMatchSpecifier::StringMatch(text(MatchPattern::Exact(own.exact.clone())))
    } else if !own.regex.is_empty() {
        let regex = RegexMatcher { regex: own.regex.clone() };
        HeaderMatchSpecifier::StringMatch(text(MatchPattern::SafeRegex(regex)))
    } else if !own.prefix.is_empty() {
        HeaderMatchSpecifier::StringMatch(text(MatchPattern::Prefix(own.prefix.clone())))
    } else if !own.suffix.is_empty() {
        HeaderMatchSpecifier::StringMatch(text(MatchPattern::Suffix(own.suffix.clone())))
    } else {
        HeaderMatchSpecifier::PresentMatch(true)
    };
    HeaderMatcher {
        name: own.name.clone(),
        invert_match: own.invert,
        header_match_specifier: Some(specifier),
        ..HeaderMatcher::default()
    }
}

fn parameter(own: &RouteQueryParam) -> QueryParameterMatcher {
    let specifier = if !own.exact.is_empty() {
        QueryParameterMatchSpecifier::StringMatch(text(MatchPattern::Exact(own.exact.clone())))
    } else if !own.regex.is_empty() {
        let regex = RegexMatcher { regex: own.regex.clone() };
        QueryParameterMatchSpecifier::StringMatch(text(MatchPattern::SafeRegex(regex)))
    } else {
        QueryParameterMatchSpecifier::PresentMatch(true)
    };
    QueryParameterMatcher { name: own.name.clone(), query_parameter_match_specifier: Some(specifier) }
}

fn text(pattern: MatchPattern) -> StringMatcher {
    StringMatcher { match_pattern: Some(pattern), ..StringMatcher::default() }
}

/// What is hashed, for balancers that choose by hash.
fn hash_policies(balancer: &LoadBalancer) -> Vec<HashPolicy> {
    if !balancer.policy.is_hash_based() {
        return Vec::new();
    }
    balancer.hash_policies.iter().filter_map(hash_policy).collect()
}

fn hash_policy(own: &entry::HashPolicy) -> Option<HashPolicy> {
    let name = || own.field_value.clone();
    let specifier = match own.field {
        _ if own.source_ip => PolicySpecifier::ConnectionProperties(ConnectionProperties { source_ip: true }),
        HashField::Header => PolicySpecifier::Header(Header { header_name: name(), ..Header::default() }),
        HashField::QueryParameter => PolicySpecifier::QueryParameter(QueryParameter { name: name() }),
        HashField::Cookie => PolicySpecifier::Cookie(cookie(own)),
        HashField::Unset => return None,
    };
    Some(HashPolicy { terminal: own.terminal, policy_specifier: Some(specifier) })
}

/// A cookie with a time is made by Envoy where it is missing; a time of 0 is one for the session.
fn cookie(own: &entry::HashPolicy) -> Cookie {
    let mut cookie = Cookie { name: own.field_value.clone(), ..Cookie::default() };
    let Some(config) = &own.cookie_config else { return cookie };
    cookie.path.clone_from(&config.path);
    cookie.ttl = match config.session {
        true => Some(address::duration(Duration::ZERO)),
        false => address::positive(Timeout(config.ttl)).map(address::duration),
    };
    cookie
}
