//! Creates certificate authorities and host certificates, as PEM.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use concord_model::Secret;
use concord_runtime::{Clock as _, Entropy as _, OsEntropy, TokioClock};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, GeneralSubtree,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, SanType, SerialNumber,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use time::OffsetDateTime;

use super::super::failure::Failure;

/// Bytes of a serial number, as in Consul.
const SERIAL_BYTES: usize = 16;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A certificate and its key, PEM.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: Secret,
}

/// The properties of a new authority.
pub(super) struct AuthorityTemplate<'a> {
    /// Empty: named by its serial number.
    pub(super) common_name: &'a str,
    pub(super) days: u32,
    pub(super) domain: &'a str,
    /// Empty: none.
    pub(super) cluster_id: &'a str,
    /// Domains for which it may sign; empty: any.
    pub(super) constraints: Vec<String>,
}

/// The properties of a new certificate.
pub(super) struct CertificateTemplate {
    pub(super) common_name: String,
    pub(super) names: Vec<String>,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) days: u32,
    pub(super) uses: Vec<Use>,
}

/// The purpose of a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Use {
    Server,
    Client,
}

/// Creates a self-signed authority.
pub(super) fn authority(template: AuthorityTemplate<'_>) -> Result<Pair, Failure> {
    let AuthorityTemplate { common_name, days, domain, cluster_id, constraints } = template;
    let (number, mut params) = params(days)?;
    let common_name = match common_name {
        "" => format!("Consul Agent CA {number}"),
        name => name.to_owned(),
    };
    params.distinguished_name = named(&common_name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages =
        vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    if !cluster_id.is_empty() {
        let id = format!("spiffe://{}.{}", cluster_id.to_lowercase(), domain.to_lowercase());
        params.subject_alt_names.push(SanType::URI(text("-cluster-id", &id)?));
    }
    if !constraints.is_empty() {
        let permitted_subtrees = constraints.into_iter().map(GeneralSubtree::DnsName).collect();
        params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
    }
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok(Pair { certificate: certificate.pem(), key: Secret::new(key.serialize_pem()) })
}

/// Creates a certificate signed by an authority; `ca` and `ca_key` are the authority's files, each with its name.
pub(super) fn certificate(
    template: CertificateTemplate,
    (ca_file, ca): (&str, &str),
    (key_file, ca_key): (&str, &str),
) -> Result<Pair, Failure> {
    let CertificateTemplate { common_name, names, addresses, days, uses } = template;
    let unusable = |file: &str, what: &str, error: &dyn std::fmt::Display| {
        Failure::input(format!("{file} holds no {what} that can be used: {error}"))
    };
    let signing = KeyPair::from_pem(ca_key).map_err(|error| unusable(key_file, "private key", &error))?;
    let root = CertificateDer::from_pem_slice(ca.as_bytes())
        .map_err(|error| unusable(ca_file, "certificate", &error))?;
    let issuer = Issuer::from_ca_cert_der(&root, signing)
        .map_err(|error| unusable(ca_file, "certificate of an authority", &error))?;

    let (_, mut params) = params(days)?;
    params.distinguished_name = named(&common_name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = uses
        .iter()
        .map(|one| match one {
            Use::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Use::Client => ExtendedKeyUsagePurpose::ClientAuth,
        })
        .collect();
    params.use_authority_key_identifier_extension = true;
    for name in &names {
        params.subject_alt_names.push(SanType::DnsName(text("-additional-dnsname", name)?));
    }
    params.subject_alt_names.extend(addresses.into_iter().map(SanType::IpAddress));
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.signed_by(&key, &issuer).map_err(failed)?;
    verify(&root, certificate.der(), &common_name).map_err(|error| {
        Failure::input(format!(
            "{ca_file} with {key_file} signs no certificate for {common_name} that holds: {error}"
        ))
    })?;
    Ok(Pair { certificate: certificate.pem(), key: Secret::new(key.serialize_pem()) })
}

/// Checks that clients of the authority will accept the certificate: the key fits, the authority is valid, and its
/// constraints allow the name.
fn verify(root: &CertificateDer<'_>, certificate: &CertificateDer<'_>, name: &str) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone().into_owned()).map_err(|error| error.to_string())?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| error.to_string())?;
    let name = ServerName::try_from(name.to_owned()).map_err(|error| error.to_string())?;
    let now = u64::try_from(TokioClock::new().wall_nanos()).unwrap_or(0);
    let now = UnixTime::since_unix_epoch(Duration::from_nanos(now));
    let verified = verifier.verify_server_cert(certificate, &[], &name, &[], now);
    verified.map(|_| ()).map_err(|error| error.to_string())
}

/// The common parts of all certificates: a serial number and a validity period.
fn params(days: u32) -> Result<(u128, CertificateParams), Failure> {
    let mut bytes = [0; SERIAL_BYTES];
    OsEntropy.fill(&mut bytes);
    // A serial number must be positive (RFC 5280 §4.1.2.2). The first byte is never zero.
    bytes[0] = bytes[0] & 0x7f | 0x40;
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&bytes));
    let now = TokioClock::new().wall_nanos() / 1_000_000_000;
    let day = |days: u32| {
        let at = now + i64::try_from((DAY * days).as_secs()).unwrap_or(i64::MAX);
        OffsetDateTime::from_unix_timestamp(at).map_err(|error| Failure::input(format!("-days: {error}")))
    };
    (params.not_before, params.not_after) = (day(0)?, day(days)?);
    Ok((u128::from_be_bytes(bytes), params))
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// A name in the form that certificates use.
fn text(flag: &str, name: &str) -> Result<Ia5String, Failure> {
    Ia5String::try_from(name)
        .map_err(|error| Failure::input(format!("{flag}: {name:?} cannot stand in a certificate: {error}")))
}

fn failed(error: rcgen::Error) -> Failure {
    Failure::input(format!("cannot make the certificate: {error}"))
}
