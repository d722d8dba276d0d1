//! TLS of the mesh, in both directions: the proxy's own certificate and the roots are secrets, so that a new one drains
//! nothing. Whom to expect stands beside the roots.
//!
//! No session is resumed: after a change of trust or rules, a resumed one would skip the check.

use concord_envoy_proto::any;
use concord_envoy_proto::envoy::config::core::v3::TransportSocket;
use concord_envoy_proto::envoy::extensions::transport_sockets::tls::v3::common_tls_context::{
    CombinedCertificateValidationContext, ValidationContextType,
};
use concord_envoy_proto::envoy::extensions::transport_sockets::tls::v3::downstream_tls_context::SessionTicketKeysType;
use concord_envoy_proto::envoy::extensions::transport_sockets::tls::v3::subject_alt_name_matcher::SanType;
use concord_envoy_proto::envoy::extensions::transport_sockets::tls::v3::tls_parameters::TlsProtocol;
use concord_envoy_proto::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, CommonTlsContext, DownstreamTlsContext, SdsSecretConfig,
    SubjectAltNameMatcher, TlsParameters, UpstreamTlsContext,
};
use concord_envoy_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use concord_envoy_proto::envoy::r#type::matcher::v3::{RegexMatcher, StringMatcher};
use concord_model::TrustDomain;

use super::address::{by_this_stream, transport_socket};
use crate::names;

/// Accepts every service of the trust domain; the intentions decide further.
pub(super) fn downstream(trust_domain: &TrustDomain) -> TransportSocket {
    let pattern = regex(names::any_service(trust_domain));
    let context = DownstreamTlsContext {
        common_tls_context: Some(both_ways(pattern)),
        require_client_certificate: Some(true),
        disable_stateful_session_resumption: true,
        session_ticket_keys_type: Some(SessionTicketKeysType::DisableStatelessSessionResumption(true)),
        ..DownstreamTlsContext::default()
    };
    transport_socket("tls", any(&context))
}

/// Expects exactly this identity.
pub(super) fn upstream(sni: String, identity: String) -> TransportSocket {
    let pattern =
        StringMatcher { match_pattern: Some(MatchPattern::Exact(identity)), ..StringMatcher::default() };
    let context = UpstreamTlsContext {
        common_tls_context: Some(both_ways(pattern)),
        sni,
        max_session_keys: Some(0),
        ..UpstreamTlsContext::default()
    };
    transport_socket("tls", any(&context))
}

/// A pattern for the whole text.
pub(super) fn regex(regex: String) -> StringMatcher {
    let match_pattern = Some(MatchPattern::SafeRegex(RegexMatcher { regex }));
    StringMatcher { match_pattern, ..StringMatcher::default() }
}

fn both_ways(expected: StringMatcher) -> CommonTlsContext {
    let expected = SubjectAltNameMatcher {
        san_type: SanType::Uri.into(),
        matcher: Some(expected),
        ..SubjectAltNameMatcher::default()
    };
    let own = CertificateValidationContext {
        match_typed_subject_alt_names: vec![expected],
        ..CertificateValidationContext::default()
    };
    let validation = CombinedCertificateValidationContext {
        default_validation_context: Some(own),
        validation_context_sds_secret_config: Some(secret(names::ROOTS)),
    };
    CommonTlsContext {
        tls_params: Some(TlsParameters {
            tls_minimum_protocol_version: TlsProtocol::TlSv12.into(),
            tls_maximum_protocol_version: TlsProtocol::TlSv13.into(),
            ..TlsParameters::default()
        }),
        tls_certificate_sds_secret_configs: vec![secret(names::LEAF)],
        validation_context_type: Some(ValidationContextType::CombinedValidationContext(validation)),
        ..CommonTlsContext::default()
    }
}

fn secret(name: &str) -> SdsSecretConfig {
    SdsSecretConfig { name: name.to_owned(), sds_config: Some(by_this_stream()) }
}
