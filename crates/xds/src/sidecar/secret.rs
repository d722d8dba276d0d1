//! Secrets: the proxy's certificate with its key, and the roots that it trusts.

use concord_envoy_proto::envoy::config::core::v3::DataSource;
use concord_envoy_proto::envoy::config::core::v3::data_source::Specifier;
use concord_envoy_proto::envoy::extensions::transport_sockets::tls::v3::secret::Type;
use concord_envoy_proto::envoy::extensions::transport_sockets::tls::v3::{
    CertificateValidationContext, Secret, TlsCertificate,
};
use concord_model::ca::CaRoots;
use concord_proxycfg::Leaf;

use crate::names;
use crate::resource::Resource;

pub(super) fn leaf(leaf: &Leaf) -> Resource {
    let certificate = TlsCertificate {
        certificate_chain: Some(inline(leaf.certificate.cert_pem.clone())),
        private_key: Some(inline(leaf.key.expose().to_owned())),
        ..TlsCertificate::default()
    };
    secret(names::LEAF, Type::TlsCertificate(certificate))
}

/// All roots, those that are going out, too: certificates below them are valid until these are gone.
pub(super) fn roots(roots: &CaRoots) -> Resource {
    let pem: String = roots.roots.iter().map(|root| with_end_of_line(&root.root_cert)).collect();
    let trusted = CertificateValidationContext {
        trusted_ca: Some(inline(pem)),
        ..CertificateValidationContext::default()
    };
    secret(names::ROOTS, Type::ValidationContext(trusted))
}

fn secret(name: &str, own: Type) -> Resource {
    let secret = Secret { name: name.to_owned(), r#type: Some(own) };
    Resource::new(name.to_owned(), &secret)
}

fn inline(text: String) -> DataSource {
    DataSource { specifier: Some(Specifier::InlineString(text)), ..DataSource::default() }
}

fn with_end_of_line(pem: &str) -> String {
    if pem.ends_with('\n') { pem.to_owned() } else { format!("{pem}\n") }
}
