//! `jwt-provider`: an issuer of JSON web tokens.

use std::collections::BTreeSet;

use concord_model::ServiceRef;
use concord_model::entry::{
    EntryKind, EntryName, JsonWebKeySet, JwksCluster, JwtProvider, LocalJwks, Record, RemoteJwks,
    RetryPolicyBackOff, TokenLocation, TrustedCa,
};
use concord_model::intention::{Decision, JwtRequirement, ServiceIntentions, SourceIntention};
use concord_model::{Pattern, Span};

use super::fault::{Fault, Faults};
use super::graph::{GraphFault, Proposed, REFERENCE_RULES};
use super::limits::{AUDIENCES_MAX, KEY_SET_BYTES_MAX, LOCATIONS_MAX, TEXT_BYTES_MAX};

pub(super) fn check(entry: &Record<JwtProvider>, faults: &mut Faults) {
    faults.meta("Meta", &entry.meta);
    let JwtProvider {
        json_web_key_set,
        issuer,
        audiences,
        locations,
        forwarding,
        clock_skew_seconds: _,
        cache_config: _,
    } = &entry.said;
    match json_web_key_set {
        Some(keys) => check_keys(keys, faults),
        None => faults.push("JSONWebKeySet", Fault::Required),
    }
    faults.no_longer("Issuer", issuer, TEXT_BYTES_MAX);
    faults.at_most("Audiences", audiences.len(), AUDIENCES_MAX);
    for (i, audience) in audiences.iter().enumerate().take(AUDIENCES_MAX) {
        faults.no_longer(format!("Audiences[{i}]"), audience, TEXT_BYTES_MAX);
    }
    faults.at_most("Locations", locations.len(), LOCATIONS_MAX);
    for (i, location) in locations.iter().enumerate().take(LOCATIONS_MAX) {
        check_location(&format!("Locations[{i}]"), location, faults);
    }
    if let Some(forwarding) = forwarding {
        faults.text("Forwarding.HeaderName", &forwarding.header_name, TEXT_BYTES_MAX);
    }
}

fn check_keys(keys: &JsonWebKeySet, faults: &mut Faults) {
    let at = "JSONWebKeySet";
    let JsonWebKeySet { local, remote } = keys;
    faults.one_of(at, &[("Local", local.is_some()), ("Remote", remote.is_some())]);
    if let Some(local) = local {
        check_local(&format!("{at}.Local"), local, faults);
    }
    if let Some(remote) = remote {
        check_remote(&format!("{at}.Remote"), remote, faults);
    }
}

fn check_local(at: &str, local: &LocalJwks, faults: &mut Faults) {
    let LocalJwks { jwks, filename } = local;
    faults.one_of(at, &[("JWKS", !jwks.is_empty()), ("Filename", !filename.is_empty())]);
    faults.no_longer(format!("{at}.Filename"), filename, TEXT_BYTES_MAX);
    faults.no_longer(format!("{at}.JWKS"), jwks, KEY_SET_BYTES_MAX);
    faults.base64(format!("{at}.JWKS"), jwks);
}

fn check_remote(at: &str, remote: &RemoteJwks, faults: &mut Faults) {
    let RemoteJwks {
        uri,
        request_timeout_ms: _,
        cache_duration,
        fetch_asynchronously: _,
        retry_policy,
        jwks_cluster,
    } = remote;
    faults.text(format!("{at}.URI"), uri, TEXT_BYTES_MAX);
    if !uri.is_empty() && !is_url(uri) {
        faults.push(format!("{at}.URI"), Fault::NoUrl);
    }
    not_negative(format!("{at}.CacheDuration"), *cache_duration, faults);
    if let Some(pauses) = retry_policy.and_then(|policy| policy.retry_policy_back_off) {
        check_pauses(&format!("{at}.RetryPolicy.RetryPolicyBackOff"), pauses, faults);
    }
    if let Some(cluster) = jwks_cluster {
        check_cluster(&format!("{at}.JWKSCluster"), cluster, faults);
    }
}

fn check_pauses(at: &str, pauses: RetryPolicyBackOff, faults: &mut Faults) {
    let RetryPolicyBackOff { base_interval, max_interval } = pauses;
    not_negative(format!("{at}.BaseInterval"), base_interval, faults);
    not_negative(format!("{at}.MaxInterval"), max_interval, faults);
    if max_interval.nanos() > 0 && base_interval > max_interval {
        faults.push(format!("{at}.MaxInterval"), Fault::MaxPauseBelowBase);
    }
}

fn check_cluster(at: &str, cluster: &JwksCluster, faults: &mut Faults) {
    let JwksCluster { discovery_type: _, tls_certificates, connect_timeout } = cluster;
    not_negative(format!("{at}.ConnectTimeout"), *connect_timeout, faults);
    let Some(certificates) = tls_certificates else { return };
    let at = format!("{at}.TLSCertificates");
    let (instance, ca) = (&certificates.ca_certificate_provider_instance, &certificates.trusted_ca);
    faults.one_of(&at, &[("CaCertificateProviderInstance", instance.is_some()), ("TrustedCA", ca.is_some())]);
    if let Some(instance) = instance {
        let at = format!("{at}.CaCertificateProviderInstance");
        faults.no_longer(format!("{at}.InstanceName"), &instance.instance_name, TEXT_BYTES_MAX);
        faults.no_longer(format!("{at}.CertificateName"), &instance.certificate_name, TEXT_BYTES_MAX);
    }
    if let Some(ca) = ca {
        check_trusted(&format!("{at}.TrustedCA"), ca, faults);
    }
}

fn check_trusted(at: &str, ca: &TrustedCa, faults: &mut Faults) {
    let TrustedCa { filename, environment_variable, inline_string, inline_bytes } = ca;
    let all = [
        ("Filename", filename, TEXT_BYTES_MAX),
        ("EnvironmentVariable", environment_variable, TEXT_BYTES_MAX),
        ("InlineString", inline_string, KEY_SET_BYTES_MAX),
        ("InlineBytes", inline_bytes, KEY_SET_BYTES_MAX),
    ];
    faults.one_of(at, &all.map(|(name, text, _)| (name, !text.is_empty())));
    for (name, text, max) in all {
        faults.no_longer(format!("{at}.{name}"), text, max);
    }
    faults.base64(format!("{at}.InlineBytes"), inline_bytes);
}

fn check_location(at: &str, location: &TokenLocation, faults: &mut Faults) {
    let TokenLocation { header, query_param, cookie } = location;
    let given =
        [("Header", header.is_some()), ("QueryParam", query_param.is_some()), ("Cookie", cookie.is_some())];
    faults.one_of(at, &given);
    if let Some(header) = header {
        faults.text(format!("{at}.Header.Name"), &header.name, TEXT_BYTES_MAX);
        faults.no_longer(format!("{at}.Header.ValuePrefix"), &header.value_prefix, TEXT_BYTES_MAX);
    }
    if let Some(parameter) = query_param {
        faults.text(format!("{at}.QueryParam.Name"), &parameter.name, TEXT_BYTES_MAX);
    }
    if let Some(cookie) = cookie {
        faults.text(format!("{at}.Cookie.Name"), &cookie.name, TEXT_BYTES_MAX);
    }
}

fn not_negative(at: String, span: Span, faults: &mut Faults) {
    if span.nanos() < 0 {
        faults.push(at, Fault::Negative);
    }
}

/// Whether a text is the absolute URL of an HTTP server.
fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.starts_with(['/', '?', '#', ':'])
            && !rest.is_empty()
            && !rest.chars().any(|c| c.is_whitespace() || c.is_control())
    })
}

/// An entry that intentions name must stay.
pub(super) fn graph(proposed: Proposed<'_>) -> Result<(), GraphFault> {
    let (Some(name), None) = (proposed.name(), proposed.to()) else { return Ok(()) };
    if proposed.from().is_none() {
        return Ok(());
    }
    match proposed.kept().asks_for_tokens_of(name.as_str()) {
        Some(destination) => {
            Err(GraphFault::ProviderInUse { provider: name.as_str().to_owned(), destination })
        }
        None => Ok(()),
    }
}

pub(super) fn links(_: &Record<JwtProvider>) -> Vec<ServiceRef> {
    Vec::new()
}

/// Whether all issuers that an entry with intentions names have an entry.
pub(super) fn of_entry(proposed: Proposed<'_>, entry: &ServiceIntentions) -> Result<(), GraphFault> {
    let whole = entry.jwt.iter().flat_map(named);
    stand(proposed, whole.chain(entry.sources.iter().flat_map(of_source)))
}

/// The same for one source.
pub(super) fn of_one(proposed: Proposed<'_>, own: &SourceIntention) -> Result<(), GraphFault> {
    stand(proposed, of_source(own))
}

/// The issuers that a source's permissions name.
pub fn of_source(own: &SourceIntention) -> impl Iterator<Item = &str> {
    let permissions = match &own.decision {
        Decision::Requests(permissions) => permissions.as_slice(),
        Decision::Connection(_) => &[],
    };
    permissions.iter().filter_map(|permission| permission.jwt.as_ref()).flat_map(named)
}

/// The issuers that a requirement names.
pub fn named(jwt: &JwtRequirement) -> impl Iterator<Item = &str> {
    jwt.providers.iter().map(|provider| provider.name.as_str())
}

/// Rule sets before [`REFERENCE_RULES`] did not ask for the entries.
fn stand<'a>(proposed: Proposed<'_>, providers: impl Iterator<Item = &'a str>) -> Result<(), GraphFault> {
    if !proposed.keeps(REFERENCE_RULES) {
        return Ok(());
    }
    let providers: BTreeSet<&str> = providers.collect();
    match providers.into_iter().find(|provider| !stands(proposed, provider)) {
        Some(provider) => Err(GraphFault::NoProvider { provider: provider.to_owned() }),
        None => Ok(()),
    }
}

fn stands(proposed: Proposed<'_>, provider: &str) -> bool {
    let Ok(name) = provider.parse().map(Pattern::Exact) else { return false };
    proposed.see(&EntryName::local(EntryKind::JwtProvider, name), |_| ()).is_some()
}
