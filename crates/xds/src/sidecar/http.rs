//! Requests from the mesh: the HTTP connection manager of the public listener, with its filters in order.

use concord_envoy_proto::envoy::config::core::v3::HttpProtocolOptions;
use concord_envoy_proto::envoy::config::core::v3::http_protocol_options::HeadersWithUnderscoresAction;
use concord_envoy_proto::envoy::extensions::filters::http::router::v3::Router;
use concord_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::http_connection_manager::{
    ForwardClientCertDetails, InternalAddressConfig, PathWithEscapedSlashesAction, SetCurrentClientCertDetails,
};
use concord_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter,
};
use concord_model::entry::{EscapedSlashes, Protocol, RequestNormalization, Underscores};
use concord_proxycfg::ProxySnapshot;

use super::inbound::Incoming;
use super::jwt::Issuer;
use super::manager::{self, filter};
use super::observed::Observed;
use super::requests::Judge;
use super::{jwt, requests};
use crate::names;

/// The manager of requests from the mesh.
pub(super) fn inbound(
    snapshot: &ProxySnapshot,
    incoming: &Incoming<'_>,
    issuers: &[Issuer],
    protocol: Protocol,
    observed: &Observed,
) -> HttpConnectionManager {
    let normalization = incoming.normalization();
    let name = || names::PUBLIC_LISTENER.to_owned();
    let forwards = !incoming.removes_certificates() && protocol != Protocol::Grpc;
    HttpConnectionManager {
        common_http_protocol_options: underscores(snapshot, normalization),
        http2_protocol_options: manager::http2(protocol),
        normalize_path: Some(!normalization.insecure_disable_path_normalization),
        merge_slashes: normalization.merge_slashes,
        path_with_escaped_slashes_action: slashes(normalization).into(),
        // No caller is trusted to steer this proxy, wherever it says that it is.
        internal_address_config: Some(InternalAddressConfig::default()),
        forward_client_cert_details: if forwards {
            ForwardClientCertDetails::AppendForward.into()
        } else {
            ForwardClientCertDetails::Sanitize.into()
        },
        set_current_client_cert_details: forwards.then(|| SetCurrentClientCertDetails {
            subject: Some(true),
            cert: true,
            chain: true,
            dns: true,
            uri: true,
            ..SetCurrentClientCertDetails::default()
        }),
        ..manager::by_routes(name(), name(), filters(issuers, protocol), observed)
    }
}

/// What judges requests in a manager whose routes are not ours.
pub(super) fn judging(issuers: &[Issuer], judge: &Judge<'_>) -> Vec<HttpFilter> {
    let tokens = jwt::authentication(issuers).map(|own| filter(names::JWT_FILTER, &own));
    let (denying, allowing) = judge.whole();
    let denying = denying.map(|own| filter(names::DENYING_FILTER, &own));
    tokens.into_iter().chain(denying).chain([filter(names::GUARD_FILTER, &allowing)]).collect()
}

fn filters(issuers: &[Issuer], protocol: Protocol) -> Vec<HttpFilter> {
    let mut filters = if protocol == Protocol::Grpc { manager::grpc() } else { Vec::new() };
    filters.extend(jwt::authentication(issuers).map(|own| filter(names::JWT_FILTER, &own)));
    filters.push(filter(names::RBAC_FILTER, &requests::deny_all()));
    filters.push(filter("envoy.filters.http.router", &Router::default()));
    filters
}

fn underscores(snapshot: &ProxySnapshot, normalization: RequestNormalization) -> Option<HttpProtocolOptions> {
    let action = match normalization.headers_with_underscores_action {
        Underscores::Unset | Underscores::Allow if requests::needs_plain_names(&snapshot.intentions) => {
            HeadersWithUnderscoresAction::RejectRequest
        }
        Underscores::Unset | Underscores::Allow => HeadersWithUnderscoresAction::Allow,
        Underscores::Reject => HeadersWithUnderscoresAction::RejectRequest,
        Underscores::Drop => HeadersWithUnderscoresAction::DropHeader,
    };
    let options = HttpProtocolOptions {
        headers_with_underscores_action: action.into(),
        ..HttpProtocolOptions::default()
    };
    (action != HeadersWithUnderscoresAction::Allow).then_some(options)
}

fn slashes(normalization: RequestNormalization) -> PathWithEscapedSlashesAction {
    match normalization.path_with_escaped_slashes_action {
        // Said aloud, because Envoy's own default can be changed at run time.
        EscapedSlashes::Unset | EscapedSlashes::ProxyDefault | EscapedSlashes::Keep => {
            PathWithEscapedSlashesAction::KeepUnchanged
        }
        EscapedSlashes::Reject => PathWithEscapedSlashesAction::RejectRequest,
        EscapedSlashes::Redirect => PathWithEscapedSlashesAction::UnescapeAndRedirect,
        EscapedSlashes::Forward => PathWithEscapedSlashesAction::UnescapeAndForward,
    }
}
