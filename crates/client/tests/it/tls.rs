//! Tests of TLS to an agent: the trusted authorities, the expected name, and the client certificate.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use concord_client::testing::{Scripted, ScriptedServer};
use concord_client::{Address, Client, Config, Error, QueryOptions, TlsFiles};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};
use tokio_rustls::TlsAcceptor;

use crate::scope;

/// An authority, a server certificate for `agent.test` under it, and a client's.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes `<name>.pem` and `<name>.key`.
    fn issue(&self, name: &str, host: &str) -> (Vec<u8>, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
        (certificate.der().to_vec(), key)
    }

    fn acceptor(&self, demand_client: bool) -> TlsAcceptor {
        let (certificate, key) = self.issue("server", "agent.test");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if demand_client {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        TlsAcceptor::from(Arc::new(builder.with_single_cert(vec![certificate.into()], key).unwrap()))
    }
}

async fn ask(acceptor: TlsAcceptor, tls: TlsFiles) -> Result<String, Error> {
    let scope = scope();
    let server = ScriptedServer::new(|_| Scripted::ok("\"leader\""));
    let address = server.listen(&scope, Some(acceptor)).await.unwrap();
    let mut config = Config::new(Address::parse(&format!("https://{address}")).unwrap());
    config.tls = tls;
    let answer = Client::new(config, &scope)?.status_leader(&QueryOptions::default()).await;
    assert_eq!(answer.is_ok(), !server.seen().is_empty());
    answer.map(|answer| answer.value)
}

fn trusting(ca_file: &Path, name: &str) -> TlsFiles {
    TlsFiles { ca_file: Some(ca_file.to_owned()), server_name: Some(name.to_owned()), ..TlsFiles::default() }
}

#[tokio::test]
async fn a_trusted_agent_of_the_right_name_is_asked() {
    let authority = Authority::new();
    let answer = ask(authority.acceptor(false), trusting(&authority.path("ca.pem"), "agent.test")).await;
    assert_eq!(answer.unwrap(), "leader");
}

#[tokio::test]
async fn a_directory_of_authorities_will_do() {
    let authority = Authority::new();
    let directory = tempfile::tempdir().unwrap();
    fs::copy(authority.path("ca.pem"), directory.path().join("one.pem")).unwrap();
    let mut tls = trusting(Path::new(""), "agent.test");
    (tls.ca_file, tls.ca_path) = (None, Some(directory.path().to_owned()));
    assert_eq!(ask(authority.acceptor(false), tls).await.unwrap(), "leader");
}

#[tokio::test]
async fn an_agent_of_another_authority_or_name_is_not_asked() {
    let (authority, other) = (Authority::new(), Authority::new());
    for (tls, remedy) in [
        (trusting(&other.path("ca.pem"), "agent.test"), "-ca-file"),
        (trusting(&authority.path("ca.pem"), "other.test"), "-tls-server-name"),
        // Without a name, the address is the expected name, and the certificate does not have it.
        (TlsFiles { ca_file: Some(authority.path("ca.pem")), ..TlsFiles::default() }, "-tls-server-name"),
    ] {
        let error = ask(authority.acceptor(false), tls).await.unwrap_err();
        assert!(matches!(error, Error::Connect { .. }), "{error:?}");
        assert!(error.remedy().unwrap().contains(remedy), "{error:?}");
    }
}

#[tokio::test]
async fn any_certificate_is_accepted_only_on_request() {
    let authority = Authority::new();
    let tls = TlsFiles { danger_accept_any_certificate: true, ..TlsFiles::default() };
    assert_eq!(ask(authority.acceptor(false), tls).await.unwrap(), "leader");
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_one_is_demanded() {
    let authority = Authority::new();
    let acceptor = authority.acceptor(true);
    authority.issue("client", "client.test");
    let plain = trusting(&authority.path("ca.pem"), "agent.test");
    let with = TlsFiles {
        client_cert: Some(authority.path("client.pem")),
        client_key: Some(authority.path("client.key")),
        ..plain.clone()
    };
    assert_eq!(ask(acceptor.clone(), with).await.unwrap(), "leader");
    assert!(ask(acceptor, plain).await.is_err());
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let authority = Authority::new();
    authority.issue("client", "client.test");
    let empty = authority.path("empty.pem");
    fs::write(&empty, "").unwrap();
    let good = trusting(&authority.path("ca.pem"), "agent.test");
    for (tls, expected) in [
        (trusting(&empty, "agent.test"), "no certificate authority found"),
        (trusting(&authority.path("missing.pem"), "agent.test"), "missing.pem"),
        (TlsFiles { client_cert: Some(authority.path("client.pem")), ..good.clone() }, "needs both"),
        (trusting(&authority.path("ca.pem"), "not a name"), "cannot be the name"),
    ] {
        let error = ask(authority.acceptor(false), tls).await.unwrap_err();
        assert!(matches!(error, Error::Tls(_)), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}
