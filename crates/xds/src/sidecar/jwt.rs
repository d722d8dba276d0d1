//! Issuers of tokens, as Envoy's filter knows them, and the servers of their keys.
//!
//! The filter verifies what tokens it finds, and refuses no request: intentions decide by what it tells about them.

use concord_envoy_proto::envoy::config::cluster::v3::Cluster;
use concord_envoy_proto::envoy::config::cluster::v3::cluster::{
    ClusterDiscoveryType, DiscoveryType as Discovery, DnsLookupFamily,
};
use concord_envoy_proto::envoy::config::core::v3::data_source::Specifier;
use concord_envoy_proto::envoy::config::core::v3::http_uri::HttpUpstreamType;
use concord_envoy_proto::envoy::config::core::v3::{BackoffStrategy, DataSource, HttpUri, RetryPolicy};
use concord_envoy_proto::envoy::config::route::v3::RouteMatch;
use concord_envoy_proto::envoy::config::route::v3::route_match::PathSpecifier;
use concord_envoy_proto::envoy::extensions::filters::http::jwt_authn::v3::jwt_provider::JwksSourceSpecifier;
use concord_envoy_proto::envoy::extensions::filters::http::jwt_authn::v3::jwt_requirement::RequiresType;
use concord_envoy_proto::envoy::extensions::filters::http::jwt_authn::v3::requirement_rule::RequirementType;
use concord_envoy_proto::envoy::extensions::filters::http::jwt_authn::v3::{
    JwksAsyncFetch, JwtAuthentication, JwtCacheConfig, JwtHeader, JwtProvider as Provider, JwtRequirement,
    JwtRequirementAndList, JwtRequirementOrList, RemoteJwks as Remote, RequirementRule,
};
use concord_model::Span;
use concord_model::entry::{
    DiscoveryType, JwksRetryPolicy, JwtProvider, LocalJwks, RemoteJwks, TlsCertificates, TokenLocation,
    TrustedCa,
};

use super::outcome::Unserved;
use super::{address, endpoint, tls};
use crate::bootstrap::version::Version;
use crate::names;
use crate::resource::Resource;

/// Time limit of a request for keys, and of a connection for it, unless the entry says another.
const KEYS_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// An issuer of tokens, as Envoy knows it.
pub(super) struct Issuer {
    name: String,
    provider: Provider,
    /// The cluster of the server with its keys.
    pub(super) server: Option<Resource>,
}

/// The issuers of these entries. One whose keys Envoy cannot be given is left out: it verifies no token, so that whoever
/// must show one is denied.
pub(super) fn issuers(
    entries: &[(&str, &JwtProvider)],
    envoy: Option<Version>,
    unserved: &mut Vec<Unserved>,
) -> Vec<Issuer> {
    let mut issuers = Vec::with_capacity(entries.len());
    for (name, own) in entries {
        match issuer(name, own, envoy) {
            Ok(issuer) => issuers.push(issuer),
            Err(reason) => unserved.push(reason),
        }
    }
    issuers
}

fn issuer(name: &str, own: &JwtProvider, envoy: Option<Version>) -> Result<Issuer, Unserved> {
    let remote = own.json_web_key_set.as_ref().filter(|set| set.local.is_none());
    let remote = remote.and_then(|set| set.remote.as_ref());
    let server = remote.map(|remote| key_server(name, remote)).transpose()?;
    Ok(Issuer { name: name.to_owned(), provider: provider(name, own, envoy)?, server })
}

/// The filter that verifies tokens; `None`: there is no issuer.
pub(super) fn authentication(issuers: &[Issuer]) -> Option<JwtAuthentication> {
    if issuers.is_empty() {
        return None;
    }
    let rule = RequirementRule {
        r#match: Some(RouteMatch {
            path_specifier: Some(PathSpecifier::Prefix("/".to_owned())),
            ..RouteMatch::default()
        }),
        requirement_type: Some(RequirementType::Requires(all_of(
            issuers.iter().map(|own| if_there(&own.name)).collect(),
        ))),
    };
    Some(JwtAuthentication {
        providers: issuers.iter().map(|own| (own.name.clone(), own.provider.clone())).collect(),
        rules: vec![rule],
        ..JwtAuthentication::default()
    })
}

/// A token of the provider is verified if it is there; a request without one goes on.
fn if_there(provider: &str) -> JwtRequirement {
    let requirements = vec![
        requires(RequiresType::ProviderName(provider.to_owned())),
        requires(RequiresType::AllowMissingOrFailed(())),
    ];
    requires(RequiresType::RequiresAny(JwtRequirementOrList { requirements }))
}

fn all_of(mut requirements: Vec<JwtRequirement>) -> JwtRequirement {
    // Envoy wants at least two in a list.
    if requirements.len() == 1 {
        return requirements.remove(0);
    }
    requires(RequiresType::RequiresAll(JwtRequirementAndList { requirements }))
}

fn requires(own: RequiresType) -> JwtRequirement {
    JwtRequirement { requires_type: Some(own) }
}

fn provider(name: &str, own: &JwtProvider, envoy: Option<Version>) -> Result<Provider, Unserved> {
    let mut provider = Provider {
        issuer: own.issuer.clone(),
        audiences: own.audiences.clone(),
        // The rules ask for the end of a token, too, for the Envoys that do not know this.
        require_expiration: envoy.is_some_and(Version::knows_required_expiration),
        payload_in_metadata: names::token_payload(name),
        clock_skew_seconds: own.clock_skew_seconds,
        jwt_cache_config: own
            .cache_config
            .map(|cache| JwtCacheConfig { jwt_cache_size: cache.size, ..JwtCacheConfig::default() }),
        jwks_source_specifier: Some(keys(name, own)?),
        ..Provider::default()
    };
    if let Some(forwarding) = &own.forwarding {
        provider.forward_payload_header.clone_from(&forwarding.header_name);
        provider.pad_forward_payload_header = forwarding.pad_forward_payload_header;
    }
    for TokenLocation { header, query_param, cookie } in &own.locations {
        provider.forward |= header.as_ref().is_some_and(|header| header.forward);
        provider.from_headers.extend(header.as_ref().map(|header| JwtHeader {
            name: header.name.clone(),
            value_prefix: header.value_prefix.clone(),
        }));
        provider.from_params.extend(query_param.as_ref().map(|own| own.name.clone()));
        provider.from_cookies.extend(cookie.as_ref().map(|own| own.name.clone()));
    }
    Ok(provider)
}

fn keys(name: &str, own: &JwtProvider) -> Result<JwksSourceSpecifier, Unserved> {
    let none = || Unserved::Keys { provider: name.to_owned() };
    let set = own.json_web_key_set.as_ref().ok_or_else(none)?;
    match (&set.local, &set.remote) {
        (Some(own), _) => local(own).map(JwksSourceSpecifier::LocalJwks).ok_or_else(none),
        (None, Some(own)) => Ok(JwksSourceSpecifier::RemoteJwks(remote(name, own))),
        (None, None) => Err(none()),
    }
}

fn local(own: &LocalJwks) -> Option<DataSource> {
    let specifier = if own.jwks.is_empty() {
        Specifier::Filename(own.filename.clone())
    } else {
        // Envoy takes both alike; a text can be read where its configuration is shown.
        match String::from_utf8(from_base64(&own.jwks)?) {
            Ok(text) => Specifier::InlineString(text),
            Err(other) => Specifier::InlineBytes(other.into_bytes()),
        }
    };
    Some(DataSource { specifier: Some(specifier), ..DataSource::default() })
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

fn remote(name: &str, own: &RemoteJwks) -> Remote {
    let timeout = std::time::Duration::from_millis(own.request_timeout_ms.into());
    let timeout = if timeout.is_zero() { KEYS_TIMEOUT } else { timeout };
    Remote {
        http_uri: Some(HttpUri {
            uri: own.uri.clone(),
            timeout: Some(address::duration(timeout)),
            http_upstream_type: Some(HttpUpstreamType::Cluster(names::key_server(name))),
        }),
        cache_duration: span(own.cache_duration).map(address::duration),
        async_fetch: Some(JwksAsyncFetch {
            fast_listener: own.fetch_asynchronously,
            ..JwksAsyncFetch::default()
        }),
        retry_policy: own.retry_policy.map(retries),
    }
}

fn retries(own: JwksRetryPolicy) -> RetryPolicy {
    let pauses = own.retry_policy_back_off.and_then(|pauses| {
        // Without a first pause Envoy takes its own.
        let base_interval = span(pauses.base_interval).map(address::duration)?;
        let max_interval = span(pauses.max_interval).map(address::duration);
        Some(BackoffStrategy { base_interval: Some(base_interval), max_interval })
    });
    RetryPolicy { retry_back_off: pauses, num_retries: Some(own.num_retries), ..RetryPolicy::default() }
}

fn span(own: Span) -> Option<std::time::Duration> {
    let nanos = u64::try_from(own.nanos()).ok().filter(|nanos| *nanos > 0)?;
    Some(std::time::Duration::from_nanos(nanos))
}

/// The cluster of a server with keys.
fn key_server(provider: &str, own: &RemoteJwks) -> Result<Resource, Unserved> {
    let none = || Unserved::Keys { provider: provider.to_owned() };
    let (is_secure, host, port) = place(&own.uri).ok_or_else(none)?;
    let cluster = own.jwks_cluster.as_ref();
    let discovery = match cluster.map(|own| own.discovery_type).unwrap_or_default() {
        DiscoveryType::Unset | DiscoveryType::StrictDns => Discovery::StrictDns,
        DiscoveryType::Static => Discovery::Static,
        DiscoveryType::LogicalDns => Discovery::LogicalDns,
        // Nobody would tell its endpoints, and nobody redirected the connection.
        DiscoveryType::Eds | DiscoveryType::OriginalDst => {
            return Err(Unserved::KeyServer { provider: provider.to_owned() });
        }
    };
    let name = names::key_server(provider);
    let timeout = cluster.and_then(|own| span(own.connect_timeout)).unwrap_or(KEYS_TIMEOUT);
    let authorities = cluster.and_then(|own| own.tls_certificates.as_ref());
    let socket = match is_secure {
        true => Some(tls::key_server(&host, authority(authorities).ok_or_else(none)?)),
        false => None,
    };
    let cluster = Cluster {
        name: name.clone(),
        connect_timeout: Some(address::duration(timeout)),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(discovery.into())),
        dns_lookup_family: DnsLookupFamily::V4Preferred.into(),
        load_assignment: Some(endpoint::fixed(&name, Some(address::tcp(host, port)))),
        transport_socket: socket,
        ..Cluster::default()
    };
    Ok(Resource::new(name, &cluster))
}

/// The authority that the entry names; `None` within: those of the machine. `None`: one that Envoy cannot be given.
fn authority(own: Option<&TlsCertificates>) -> Option<Option<DataSource>> {
    let Some(own) = own else { return Some(None) };
    let TrustedCa { filename, environment_variable, inline_string, inline_bytes } =
        own.trusted_ca.as_ref()?;
    let specifier = if !filename.is_empty() {
        Specifier::Filename(filename.clone())
    } else if !environment_variable.is_empty() {
        Specifier::EnvironmentVariable(environment_variable.clone())
    } else if !inline_string.is_empty() {
        Specifier::InlineString(inline_string.clone())
    } else {
        Specifier::InlineBytes(from_base64(inline_bytes)?)
    };
    Some(Some(DataSource { specifier: Some(specifier), ..DataSource::default() }))
}

/// Whether a URL is secure, its host and its port.
fn place(url: &str) -> Option<(bool, String, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let (is_secure, usual) = match scheme.to_ascii_lowercase().as_str() {
        "https" => (true, 443),
        "http" => (false, 80),
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (authority, usual),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    (!host.is_empty() && !host.contains('@')).then(|| (is_secure, host.to_owned(), port))
}
