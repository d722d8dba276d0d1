//! TLS of the mesh, in both directions: the proxy's own certificate and the roots are secrets, so that a new one drains
//! nothing. Whom to expect stands beside the roots.
//!
//! No session is resumed: after a change of trust or rules, a resumed one would skip the check.

use concord_envoy_proto::any;
use concord_envoy_proto::envoy::config::core::v3::{DataSource, TransportSocket};
use concord_envoy_proto::envoy::extensions::transport_sockets::tls::v3::certificate_validation_context::SystemRootCerts;
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
use concord_model::entry::{Protocol, TlsLimits, TlsVersion};

use super::address::{by_this_stream, transport_socket};
use crate::names;

/// Accepts every service of the trust domain; the intentions decide further.
pub(super) fn downstream(
    trust_domain: &TrustDomain,
    limits: Option<&TlsLimits>,
    protocol: Option<Protocol>,
) -> TransportSocket {
    let pattern = regex(names::any_service(trust_domain));
    let common = CommonTlsContext {
        tls_params: Some(parameters(limits)),
        alpn_protocols: protocol.map(alpn).unwrap_or_default(),
        ..both_ways(pattern)
    };
    let context = DownstreamTlsContext {
        common_tls_context: Some(common),
        require_client_certificate: Some(true),
        disable_stateful_session_resumption: true,
        session_ticket_keys_type: Some(SessionTicketKeysType::DisableStatelessSessionResumption(true)),
        ..DownstreamTlsContext::default()
    };
    transport_socket("tls", any(&context))
}

/// What a caller may speak within TLS.
fn alpn(protocol: Protocol) -> Vec<String> {
    let all: &[&str] = match protocol {
        Protocol::Http2 | Protocol::Grpc => &["h2", "http/1.1"],
        _ => &["http/1.1"],
    };
    all.iter().map(|own| (*own).to_owned()).collect()
}

/// The versions and cipher suites that the mesh says; without a word of it 1.2 and 1.3.
fn parameters(limits: Option<&TlsLimits>) -> TlsParameters {
    let minimum = version(limits.map(|own| own.tls_min_version).unwrap_or_default());
    let maximum = version(limits.map(|own| own.tls_max_version).unwrap_or_default());
    let suites = limits.map(|own| own.cipher_suites.as_slice()).unwrap_or_default();
    TlsParameters {
        tls_minimum_protocol_version: minimum.unwrap_or(TlsProtocol::TlSv12).into(),
        tls_maximum_protocol_version: maximum.unwrap_or(TlsProtocol::TlSv13).into(),
        cipher_suites: suites.iter().map(|own| suite(own)).collect(),
        ..TlsParameters::default()
    }
}

fn version(own: TlsVersion) -> Option<TlsProtocol> {
    match own {
        TlsVersion::Unset | TlsVersion::Auto => None,
        TlsVersion::Tls10 => Some(TlsProtocol::TlSv10),
        TlsVersion::Tls11 => Some(TlsProtocol::TlSv11),
        TlsVersion::Tls12 => Some(TlsProtocol::TlSv12),
        TlsVersion::Tls13 => Some(TlsProtocol::TlSv13),
    }
}

/// Envoy's name of a cipher suite, from that of IANA.
fn suite(own: &str) -> String {
    let own = own.trim_start_matches("TLS_").replace("_WITH_", "-").replace("_CBC_", "_");
    let own = own.trim_start_matches("RSA-").replace("AES_128", "AES128").replace("AES_256", "AES256");
    let own = own.replace("CHACHA20_POLY1305_SHA256", "CHACHA20_POLY1305");
    own.replace('_', "-")
}

/// Expects a server with keys to have the certificate of its host, from this authority or from one of the machine.
pub(super) fn key_server(host: &str, authority: Option<DataSource>) -> TransportSocket {
    let exact = MatchPattern::Exact(host.to_owned());
    let matcher = StringMatcher { match_pattern: Some(exact), ..StringMatcher::default() };
    let is_ip = host.parse::<std::net::IpAddr>().is_ok();
    let expected = SubjectAltNameMatcher {
        san_type: if is_ip { SanType::IpAddress.into() } else { SanType::Dns.into() },
        matcher: Some(matcher),
        ..SubjectAltNameMatcher::default()
    };
    let validation = CertificateValidationContext {
        system_root_certs: authority.is_none().then(SystemRootCerts::default),
        trusted_ca: authority,
        match_typed_subject_alt_names: vec![expected],
        ..CertificateValidationContext::default()
    };
    let common = CommonTlsContext {
        validation_context_type: Some(ValidationContextType::ValidationContext(validation)),
        ..CommonTlsContext::default()
    };
    let sni = if is_ip { String::new() } else { host.to_owned() };
    let context =
        UpstreamTlsContext { common_tls_context: Some(common), sni, ..UpstreamTlsContext::default() };
    transport_socket("tls", any(&context))
}

/// Expects exactly this identity.
pub(super) fn upstream(sni: String, identity: String, limits: Option<&TlsLimits>) -> TransportSocket {
    let pattern =
        StringMatcher { match_pattern: Some(MatchPattern::Exact(identity)), ..StringMatcher::default() };
    let context = UpstreamTlsContext {
        common_tls_context: Some(CommonTlsContext {
            tls_params: Some(parameters(limits)),
            ..both_ways(pattern)
        }),
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
        tls_certificate_sds_secret_configs: vec![secret(names::LEAF)],
        validation_context_type: Some(ValidationContextType::CombinedValidationContext(validation)),
        ..CommonTlsContext::default()
    }
}

fn secret(name: &str) -> SdsSecretConfig {
    SdsSecretConfig { name: name.to_owned(), sds_config: Some(by_this_stream()) }
}
