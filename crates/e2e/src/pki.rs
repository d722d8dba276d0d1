//! A certificate authority for the API's own TLS, separate from the mesh's authority, and clients which trust it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;

use crate::tls::certificates;

/// A certificate authority whose files are in a directory.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: PathBuf,
    name: String,
}

impl Authority {
    /// Creates an authority and writes `<name>-ca.pem`.
    pub fn new(dir: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("it can sign itself");
        let own = Self { issuer, dir: dir.to_owned(), name: name.to_owned() };
        fs::write(own.ca(), own.issuer.pem()).expect("a file can be written");
        own
    }

    /// Path of the authority's certificate.
    pub fn ca(&self) -> PathBuf {
        self.dir.join(format!("{}-ca.pem", self.name))
    }

    /// Writes a certificate `<file>.pem` and key `<file>.key` for `localhost` and 127.0.0.1. Returns their paths.
    pub fn issue(&self, file: &str) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("it can sign");
        let paths = (self.dir.join(format!("{file}.pem")), self.dir.join(format!("{file}.key")));
        fs::write(&paths.0, certificate.pem()).expect("a file can be written");
        fs::write(&paths.1, key.serialize_pem()).expect("a file can be written");
        paths
    }

    /// The configuration of a client which trusts these authorities and presents its certificate, if it has one.
    pub fn client(trusted: &[&Self], own: Option<&(PathBuf, PathBuf)>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        for authority in trusted {
            roots.add(authority.issuer.der().clone()).expect("an authority");
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_root_certificates(roots);
        let config = match own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(&fs::read(certificate).expect("a file"));
                let key = PrivateKeyDer::from_pem_file(key).expect("a key");
                builder.with_client_auth_cert(chain, key).expect("they fit")
            }
        };
        Arc::new(config)
    }
}
