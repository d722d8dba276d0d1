//! Certificate requests (PKCS #10): building our own, and reading those of others strictly.
//!
//! A request proves that its sender holds a key, and names the identity that the sender wants. The rest is ignored:
//! [`crate::x509::build`] fixes the shape of the certificate, so a request for `CA:TRUE`, other usages or a longer life
//! has no effect (N-54). Names that only the CA may derive (DNS, IP) and names that the mesh never uses are refused,
//! not dropped, so that no sender believes it got them (N-52, N-53). The server decides whether the caller may have the
//! identity; [`check_csr_for`] makes the checks that need no token.

use concord_model::{Datacenter, Namespace, Partition, SpiffeError, SpiffeId, TrustDomain};

use crate::der::{self, DerError};
use crate::key::{KeyError, KeyRefusal, PublicKey, Signer, signature_algorithm};
use crate::limits::{CSR_ATTRIBUTES_MAX, CSR_BYTES_MAX};
use crate::oid;
use crate::pem::{self, PemError};
use crate::x509::build::{extension, subject};
use crate::x509::{CertificateError, Extensions, GeneralName};

#[cfg(test)]
mod tests;

/// Why a request is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CsrRefusal {
    /// More than [`CSR_BYTES_MAX`] bytes.
    #[error("CSR is longer than 16 KiB")]
    TooLong,
    /// Not the PEM text of a request.
    #[error("CSR: {0}")]
    Pem(#[from] PemError),
    /// Not DER, or DER that does not have the structure of a request.
    #[error("CSR: {0}")]
    Der(#[from] DerError),
    /// Not a request of version 1.
    #[error("CSR is not of PKCS #10 version 1")]
    Version,
    /// More than [`CSR_ATTRIBUTES_MAX`] attributes.
    #[error("CSR has more than 8 attributes")]
    TooManyAttributes,
    /// More than one list of extensions.
    #[error("CSR asks for extensions twice")]
    DuplicateExtensions,
    /// Extensions that cannot be read.
    #[error("CSR extensions: {0}")]
    Extensions(CertificateError),
    /// A key the mesh does not accept.
    #[error("CSR: {0}")]
    Key(#[from] KeyRefusal),
    /// The signature does not match the key, so the sender has not proved that it holds the key.
    #[error("CSR signature does not prove possession of its key")]
    ProofOfPossession,
    /// A subject alternative name other than a URI.
    #[error("CSR names a {0}; only one SPIFFE URI is allowed, other names are derived by the CA")]
    Name(&'static str),
    /// Not exactly one URI.
    #[error("CSR has {0} URIs; exactly one SPIFFE URI is required")]
    Uris(usize),
    /// The URI contains characters other than printable ASCII.
    #[error("CSR's URI holds something else than printable ASCII")]
    UriCharacters,
    /// The URI is not an identity of the mesh.
    #[error("CSR: {0}")]
    Identity(#[from] SpiffeError),
    /// A request for an intermediate whose URI is not the trust domain itself.
    #[error("CSR for an intermediate must name spiffe://{0}")]
    NotAnIntermediate(TrustDomain),
}

/// Why this cluster does not issue an identity to the caller, whatever its token allows.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ScopeRefusal {
    /// An identity of a kind that the caller may not request.
    #[error("identities of kind {0:?} are not given out to this caller")]
    Kind(&'static str),
    /// An identity of another trust domain.
    #[error("SPIFFE id is of trust domain {0}, not of this cluster's")]
    TrustDomain(TrustDomain),
    /// An identity of another datacenter.
    #[error("SPIFFE id is of datacenter {0}, not of this one")]
    Datacenter(Datacenter),
    /// An identity of another partition.
    #[error("SPIFFE id is of partition {0}, not of the caller's")]
    Partition(Partition),
    /// An identity of another namespace.
    #[error("SPIFFE id is of namespace {0}, not of the caller's")]
    Namespace(Namespace),
}

/// A kind of identity that a caller may request.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum IdentityKind {
    /// A service.
    Service,
    /// A client agent.
    Agent,
    /// A server.
    Server,
    /// A mesh gateway.
    MeshGateway,
}

/// The limits on the identities that a caller may request.
#[derive(Clone, Debug)]
pub struct SigningScope<'a> {
    /// The kinds of identity that the caller may request.
    pub kinds: &'a [IdentityKind],
    /// The cluster's trust domain.
    pub trust_domain: &'a TrustDomain,
    /// The datacenter that signs.
    pub datacenter: &'a Datacenter,
    /// The caller's partition.
    pub partition: &'a Partition,
    /// The caller's namespace.
    pub namespace: &'a Namespace,
}

/// Builds and reads requests.
#[derive(Clone, Copy, Debug)]
pub struct Csr;

/// The parts of a request that matter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ParsedCsr {
    /// The key that the sender has proved to hold.
    pub public_key: PublicKey,
    /// The identity that the sender wants.
    pub identity: SpiffeId,
}

impl Csr {
    /// Builds a request for `identity`, signed with `signer`, as PEM: empty subject, one URI.
    pub fn build(signer: &dyn Signer, identity: &SpiffeId) -> Result<String, KeyError> {
        let names = der::sequence(&[der::value(der::primitive(6), identity.to_string().as_bytes())]);
        let wanted = der::sequence(&[extension(oid::SUBJECT_ALT_NAME, true, &names)]);
        Self::sign(signer, &der::sequence::<&[u8]>(&[]), &wanted)
    }

    /// Builds a request for an intermediate certificate, as PEM. [`crate::x509::build::build_intermediate`] fixes the
    /// shape of the certificate, whatever the request asks for.
    pub fn build_for_intermediate(
        signer: &dyn Signer,
        common_name: &str,
        trust_domain: &TrustDomain,
    ) -> Result<String, KeyError> {
        let uri = format!("spiffe://{trust_domain}");
        let names = der::sequence(&[der::value(der::primitive(6), uri.as_bytes())]);
        let constraints = der::sequence(&[der::value(der::BOOLEAN, &[0xff]), der::unsigned(&[0])]);
        let wanted = der::sequence(&[
            extension(oid::BASIC_CONSTRAINTS, true, &constraints),
            extension(oid::SUBJECT_ALT_NAME, false, &names),
        ]);
        Self::sign(signer, &subject(common_name), &wanted)
    }

    /// Reads a request for an intermediate of this trust domain and returns the key that it proves.
    pub fn parse_for_intermediate(text: &str, trust_domain: &TrustDomain) -> Result<PublicKey, CsrRefusal> {
        let ParsedCsr { public_key, identity } = Self::parse(text)?;
        match identity {
            SpiffeId::Signing(own) if own == *trust_domain => Ok(public_key),
            _ => Err(CsrRefusal::NotAnIntermediate(trust_domain.clone())),
        }
    }

    fn sign(signer: &dyn Signer, subject: &[u8], wanted: &[u8]) -> Result<String, KeyError> {
        let attribute =
            der::sequence(&[der::value(der::OID, oid::EXTENSION_REQUEST), der::wrap(der::SET, &[wanted])]);
        let info = der::sequence(&[
            &der::unsigned(&[0])[..],
            subject,
            signer.public_key().spki(),
            &der::wrap(der::constructed(0), &[attribute]),
        ]);
        let signature = signer.sign(&info)?;
        let request =
            der::sequence(&[info, signature_algorithm(signer.kind()), der::octets_in_bits(&signature)]);
        Ok(pem::encode(pem::REQUEST, &request))
    }

    /// Reads a request. It must contain exactly one key, with proof of possession, and one identity.
    ///
    /// The signature is verified last, because that is the expensive check.
    pub fn parse(text: &str) -> Result<ParsedCsr, CsrRefusal> {
        if text.len() > CSR_BYTES_MAX {
            return Err(CsrRefusal::TooLong);
        }
        Self::parse_der(&pem::decode_one(pem::REQUEST, text)?)
    }

    /// Like [`Csr::parse`], but reads DER.
    pub fn parse_der(bytes: &[u8]) -> Result<ParsedCsr, CsrRefusal> {
        if bytes.len() > CSR_BYTES_MAX {
            return Err(CsrRefusal::TooLong);
        }
        let mut outer = der::only(bytes, der::SEQUENCE)?;
        let info_element = outer.element(der::SEQUENCE)?;
        let algorithm = outer.nested(der::SEQUENCE)?.body(der::OID)?;
        let signature = outer.octets_in_bits()?;
        outer.end()?;
        let mut info = der::Reader::new(info_element.body);
        if info.unsigned()? != [0] {
            return Err(CsrRefusal::Version);
        }
        info.element(der::SEQUENCE)?;
        let public_key = PublicKey::parse(info.element(der::SEQUENCE)?.raw)?;
        let attributes = info.nested(der::constructed(0))?;
        info.end()?;
        let identity = identity_of(requested_extensions(attributes)?)?;
        if !public_key.verifies(algorithm, info_element.raw, signature) {
            return Err(CsrRefusal::ProofOfPossession);
        }
        Ok(ParsedCsr { public_key, identity })
    }
}

fn requested_extensions(mut attributes: der::Reader<'_>) -> Result<Extensions, CsrRefusal> {
    let mut found = None;
    let mut count = 0;
    while !attributes.at_end() {
        count += 1;
        if count > CSR_ATTRIBUTES_MAX {
            return Err(CsrRefusal::TooManyAttributes);
        }
        let mut attribute = attributes.nested(der::SEQUENCE)?;
        let identifier = attribute.body(der::OID)?;
        let mut values = attribute.nested(der::SET)?;
        attribute.end()?;
        if identifier != oid::EXTENSION_REQUEST {
            continue;
        }
        let list = values.nested(der::SEQUENCE)?;
        if found.is_some() || !values.at_end() {
            return Err(CsrRefusal::DuplicateExtensions);
        }
        found = Some(Extensions::read(list).map_err(CsrRefusal::Extensions)?);
    }
    Ok(found.unwrap_or_default())
}

fn identity_of(wanted: Extensions) -> Result<SpiffeId, CsrRefusal> {
    let names = wanted.alternative_names.unwrap_or_default().names;
    let mut uris = Vec::new();
    for name in names {
        match name {
            GeneralName::Uri(uri) => uris.push(uri),
            GeneralName::Dns(_) => return Err(CsrRefusal::Name("DNS name")),
            GeneralName::Ip(_) => return Err(CsrRefusal::Name("IP address")),
            GeneralName::Email(_) => return Err(CsrRefusal::Name("e-mail address")),
            GeneralName::Other(0) => return Err(CsrRefusal::Name("otherName")),
            GeneralName::Other(_) => return Err(CsrRefusal::Name("name of an unknown kind")),
        }
    }
    let [uri] = uris.as_slice() else {
        return Err(CsrRefusal::Uris(uris.len()));
    };
    if !uri.iter().all(u8::is_ascii_graphic) {
        return Err(CsrRefusal::UriCharacters);
    }
    let text = std::str::from_utf8(uri).map_err(|_| CsrRefusal::UriCharacters)?;
    Ok(SpiffeId::parse(text)?)
}

/// Checks the requested identity as far as that needs no token: kind, trust domain, datacenter, partition and namespace
/// (N-50, N-51, N-60). The caller checks `service:write` and similar rights afterwards.
pub fn check_csr_for(csr: &ParsedCsr, scope: &SigningScope<'_>) -> Result<(), ScopeRefusal> {
    let identity = &csr.identity;
    let (kind, datacenter, partition, namespace) = match identity {
        SpiffeId::Service(service) => {
            (IdentityKind::Service, &service.datacenter, Some(&service.partition), Some(&service.namespace))
        }
        SpiffeId::Agent { datacenter, partition, .. } => {
            (IdentityKind::Agent, datacenter, Some(partition), None)
        }
        SpiffeId::Server { datacenter, .. } => (IdentityKind::Server, datacenter, None, None),
        SpiffeId::MeshGateway { datacenter, partition, .. } => {
            (IdentityKind::MeshGateway, datacenter, Some(partition), None)
        }
        SpiffeId::Signing(_) => return Err(ScopeRefusal::Kind(identity.kind())),
    };
    if !scope.kinds.contains(&kind) {
        return Err(ScopeRefusal::Kind(identity.kind()));
    }
    if identity.trust_domain() != scope.trust_domain {
        return Err(ScopeRefusal::TrustDomain(identity.trust_domain().clone()));
    }
    if datacenter != scope.datacenter {
        return Err(ScopeRefusal::Datacenter(datacenter.clone()));
    }
    if let Some(partition) = partition.filter(|partition| *partition != scope.partition) {
        return Err(ScopeRefusal::Partition(partition.clone()));
    }
    if let Some(namespace) = namespace.filter(|namespace| *namespace != scope.namespace) {
        return Err(ScopeRefusal::Namespace(namespace.clone()));
    }
    Ok(())
}
