//! The JSON of the mesh's trust: roots, leaves, the authorize endpoint, CA configuration.

use std::borrow::Cow;

use concord_model::ca::{CaRoot, CaRoots, LeafCertificate};
use concord_model::{Secret, ServiceName, ServiceRef, SpiffeId};
use serde::{Deserialize, Serialize};

use crate::Moment;
use crate::decode::{self, REQUEST_DECODE_FAILED};
use crate::fault::{Fault, Faults};
use crate::shape::{exposed, null_default, null_if_empty};

mod configuration;

pub use configuration::{CaConfiguration, CaConfigurationBody, CaSettings};

#[cfg(test)]
mod tests;

/// `agent/connect/ca/roots` and `connect/ca/roots`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Roots {
    /// Id of the active root.
    #[serde(rename = "ActiveRootID")]
    pub active_root_id: String,
    /// The trust domain.
    pub trust_domain: String,
    /// All trusted roots.
    #[serde(deserialize_with = "null_default")]
    pub roots: Vec<Root>,
}

/// One root.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Root {
    /// SHA-1 of the certificate.
    #[serde(rename = "ID")]
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its serial number as a number, cut to 64 bits.
    pub serial_number: u64,
    /// Key id of the certificate that signs leaves.
    #[serde(rename = "SigningKeyID")]
    pub signing_key_id: String,
    /// The cluster's id.
    pub external_trust_domain: String,
    /// Start of its validity.
    pub not_before: Moment,
    /// End of its validity.
    pub not_after: Moment,
    /// The certificate, PEM.
    pub root_cert: String,
    /// Cross-signed roots first, the signing intermediate last; `null` if there are none.
    #[serde(serialize_with = "null_if_empty", deserialize_with = "null_default")]
    pub intermediate_certs: Vec<String>,
    /// Whether new leaves are signed under it.
    pub active: bool,
    /// `ec` or `rsa`.
    pub private_key_type: String,
    /// Size of its key.
    pub private_key_bits: u32,
    /// Index of its creation.
    pub create_index: u64,
    /// Index of its last change.
    pub modify_index: u64,
}

/// `agent/connect/ca/leaf/:service`, with the private key.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Leaf {
    /// Serial number, colon-separated hexadecimal.
    pub serial_number: String,
    /// The leaf, then intermediates, PEM.
    #[serde(rename = "CertPEM")]
    pub cert_pem: String,
    /// The private key, PEM.
    #[serde(rename = "PrivateKeyPEM", with = "exposed")]
    pub private_key_pem: Secret,
    /// The service that it belongs to.
    pub service: String,
    /// Its identity.
    #[serde(rename = "ServiceURI")]
    pub service_uri: String,
    /// Start of its validity.
    pub valid_after: Moment,
    /// End of its validity.
    pub valid_before: Moment,
    /// Index of its issue.
    #[serde(default)]
    pub create_index: u64,
    /// Index of its issue.
    #[serde(default)]
    pub modify_index: u64,
}

/// Body of `agent/connect/authorize`, as sent. It borrows, because it is parsed for every connection.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthorizeBody<'a> {
    /// The service called.
    #[serde(borrow, rename = "Target", alias = "target")]
    pub target: Cow<'a, str>,
    /// The caller: the first URI of the client's certificate.
    #[serde(borrow, rename = "ClientCertURI", alias = "client_cert_uri")]
    pub client_cert_uri: Cow<'a, str>,
    /// Serial of the client's certificate. Not used.
    #[serde(borrow, rename = "ClientCertSerial", alias = "client_cert_serial")]
    pub client_cert_serial: Cow<'a, str>,
}

/// The question about one connection: may `source` call `target`? The handshake has checked trust domain and
/// datacenter; they are ignored here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Authorize {
    /// The called service.
    pub target: ServiceRef,
    /// The calling service.
    pub source: ServiceRef,
}

/// Answer of `agent/connect/authorize`.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Authorized {
    /// Whether the connection is allowed.
    pub authorized: bool,
    /// The reason, in Consul's words.
    pub reason: String,
}

// === conversions ===

impl Roots {
    /// The JSON of the published roots.
    pub fn from_model(roots: &CaRoots) -> Self {
        let CaRoots { active_root_id, trust_domain, roots, index: _ } = roots;
        Self {
            active_root_id: active_root_id.clone(),
            trust_domain: trust_domain.to_string(),
            roots: roots.iter().map(Root::from_model).collect(),
        }
    }

    /// All roots and their intermediates as one PEM text: `connect/ca/roots?pem`.
    pub fn pem(&self) -> String {
        let texts = self
            .roots
            .iter()
            .flat_map(|root| std::iter::once(&root.root_cert).chain(&root.intermediate_certs));
        texts.map(String::as_str).collect()
    }
}

impl Root {
    /// The JSON of one root. The time of its rotation is not shown.
    pub fn from_model(root: &CaRoot) -> Self {
        let CaRoot {
            id,
            name,
            serial,
            signing_key_id,
            external_trust_domain,
            not_before,
            not_after,
            root_cert,
            intermediate_certs,
            active,
            rotated_out_at: _,
            key_kind,
            stamp,
        } = root;
        Self {
            id: id.clone(),
            name: name.clone(),
            serial_number: *serial,
            signing_key_id: signing_key_id.clone(),
            external_trust_domain: external_trust_domain.clone(),
            not_before: Moment::from(*not_before),
            not_after: Moment::from(*not_after),
            root_cert: root_cert.clone(),
            intermediate_certs: intermediate_certs.clone(),
            active: *active,
            private_key_type: key_kind.type_str().to_owned(),
            private_key_bits: key_kind.bits(),
            create_index: stamp.create,
            modify_index: stamp.modify,
        }
    }
}

impl Leaf {
    /// The JSON of a service's leaf with its key.
    pub fn from_model(service: &ServiceName, leaf: &LeafCertificate, key: &Secret) -> Self {
        let LeafCertificate { serial, cert_pem, uri, valid_after, valid_before, authority_key_id: _, stamp } =
            leaf;
        Self {
            serial_number: serial.clone(),
            cert_pem: cert_pem.clone(),
            private_key_pem: key.clone(),
            service: service.to_string(),
            service_uri: uri.clone(),
            valid_after: Moment::from(*valid_after),
            valid_before: Moment::from(*valid_before),
            create_index: stamp.create,
            modify_index: stamp.modify,
        }
    }
}

impl AuthorizeBody<'_> {
    /// Parses and resolves the body. Keys in the usual spelling take the fast path.
    pub fn decode(body: &[u8]) -> Result<Authorize, Faults> {
        match serde_json::from_slice::<AuthorizeBody<'_>>(body) {
            Ok(read) if !read.target.is_empty() && !read.client_cert_uri.is_empty() => read.resolve(),
            _ => decode::body::<SpelledBody>(body, REQUEST_DECODE_FAILED)?.plain().resolve(),
        }
    }

    fn resolve(&self) -> Result<Authorize, Faults> {
        let rule = |field: &str, text: String| Faults::one(Fault::rule(field, text));
        if self.target.is_empty() {
            return Err(rule("Target", "Target service must be specified".to_owned()));
        }
        let target =
            ServiceName::parse(&self.target).map_err(|error| rule("Target", format!("Target: {error}")))?;
        let uri = SpiffeId::parse(&self.client_cert_uri)
            .map_err(|_| rule("ClientCertURI", "ClientCertURI not a valid Connect identifier".to_owned()))?;
        let source = uri.service().ok_or_else(|| {
            rule("ClientCertURI", "ClientCertURI not a valid Service identifier".to_owned())
        })?;
        Ok(Authorize { target: ServiceRef::local(target), source: source.service_ref() })
    }
}

/// The same body with keys in any spelling, parsed by the tolerant decoder.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct SpelledBody {
    target: String,
    #[serde(rename = "ClientCertURI")]
    client_cert_uri: String,
    client_cert_serial: String,
}

impl SpelledBody {
    fn plain(self) -> AuthorizeBody<'static> {
        let Self { target, client_cert_uri, client_cert_serial } = self;
        AuthorizeBody {
            target: target.into(),
            client_cert_uri: client_cert_uri.into(),
            client_cert_serial: client_cert_serial.into(),
        }
    }
}
