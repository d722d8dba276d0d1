//! Tests of targets with TLS, and of certificates that do not belong to them.

use concord_model::registration::CheckTls;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::NamedTempFile;
use tokio_rustls::TlsAcceptor;

use super::*;

/// An authority, and a server with a certificate of it.
pub(super) struct Secure {
    pub(super) acceptor: TlsAcceptor,
    authority: NamedTempFile,
}

impl Secure {
    /// A server with these names and protocols.
    pub(super) fn new(names: &[&str], protocols: &[&[u8]]) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let authority = NamedTempFile::new().unwrap();
        std::fs::write(authority.path(), issuer.pem()).unwrap();
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), authority }
    }

    /// Runs checks that trust this authority.
    pub(super) fn maker(&self) -> Maker {
        let config = AgentConfig { check_authorities: Some(self.authority.path().to_owned()), ..config() };
        Maker::new(&config, Arc::new(TokioClock::new()))
    }
}

pub(super) fn tls(server_name: &str, skip_verify: bool) -> CheckTls {
    CheckTls { server_name: server_name.to_owned(), skip_verify }
}

async fn handshakes(scope: &Scope, secure: &Secure) -> SocketAddr {
    let acceptor = secure.acceptor.clone();
    serve(scope, move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let _ = acceptor.accept(stream).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_certificate_has_to_be_vouched_for_and_to_have_the_name() {
    let (scope, secure) = (scope(), Secure::new(&["127.0.0.1", "web.example"], &[]));
    let there = handshakes(&scope, &secure).await;
    let tcp = |with| Probe::Tcp { address: there.to_string(), tls: Some(with), every: every(PATIENT) };
    let passes = (Passing, format!("TCP+TLS connect {there}: Success"));
    let other = Secure::new(&["x"], &[]);
    let (knows, knows_not) = (secure.maker(), other.maker());
    assert_eq!(run(&knows, tcp(tls("", false))).await, passes);
    assert_eq!(run(&knows, tcp(tls("web.example", false))).await, passes);
    for (maker, with) in [(&knows, tls("db.example", false)), (&knows_not, tls("", false))] {
        let (status, output) = run(maker, tcp(with)).await;
        assert!(status == Critical && output.starts_with("tls: failed to verify certificate: "), "{output}");
    }
    for name in ["", "db.example"] {
        assert_eq!(run(&knows_not, tcp(tls(name, true))).await, passes, "any certificate");
    }
    let (status, output) = run(&knows, tcp(tls("no name", false))).await;
    assert!(status == Critical && output.contains("cannot be the name in a certificate"), "{output}");
}

#[tokio::test]
async fn without_authorities_the_check_says_so() {
    let scope = scope();
    let there = serve(&scope, |_| async {}).await;
    let empty = NamedTempFile::new().unwrap();
    let config = AgentConfig { check_authorities: Some(empty.path().to_owned()), ..config() };
    let maker = Maker::new(&config, Arc::new(TokioClock::new()));
    let probe = Probe::Tcp { address: there.to_string(), tls: Some(tls("", false)), every: every(PATIENT) };
    let (status, output) = run(&maker, probe).await;
    assert!(status == Critical && output.ends_with("no certificate authority in it"), "{output}");
}

#[tokio::test]
async fn authorities_that_could_not_be_read_are_read_by_the_next_run() {
    let (scope, secure) = (scope(), Secure::new(&["127.0.0.1"], &[]));
    let there = handshakes(&scope, &secure).await;
    let file = NamedTempFile::new().unwrap();
    let config = AgentConfig { check_authorities: Some(file.path().to_owned()), ..config() };
    let maker = Maker::new(&config, Arc::new(TokioClock::new()));
    let probe =
        || Probe::Tcp { address: there.to_string(), tls: Some(tls("", false)), every: every(PATIENT) };
    let (status, output) = run(&maker, probe()).await;
    assert!(status == Critical && output.ends_with("no certificate authority in it"), "{output}");
    std::fs::copy(secure.authority.path(), file.path()).unwrap();
    assert_eq!(run(&maker, probe()).await, (Passing, format!("TCP+TLS connect {there}: Success")));
}

#[tokio::test]
async fn authorities_are_kept_until_a_reload() {
    let (scope, secure, other) =
        (scope(), Secure::new(&["127.0.0.1"], &[]), Secure::new(&["127.0.0.1"], &[]));
    let there = handshakes(&scope, &secure).await;
    let maker = secure.maker();
    let probe =
        || Probe::Tcp { address: there.to_string(), tls: Some(tls("", false)), every: every(PATIENT) };
    assert_eq!(run(&maker, probe()).await.0, Passing);
    std::fs::copy(other.authority.path(), secure.authority.path()).unwrap();
    assert_eq!(run(&maker, probe()).await.0, Passing, "nobody has said that the file is another");
    maker.forget_authorities();
    let (status, output) = run(&maker, probe()).await;
    assert!(status == Critical && output.starts_with("tls: failed to verify certificate: "), "{output}");
}

#[tokio::test]
async fn a_target_without_tls_is_critical() {
    let scope = scope();
    let there = serve(&scope, |stream| async move {
        let _ = stream.writable().await;
        let _ = stream.try_write(b"220 mail.example\r\n");
        std::future::pending::<()>().await;
    })
    .await;
    let probe = Probe::Tcp { address: there.to_string(), tls: Some(tls("", true)), every: every(PATIENT) };
    let (status, output) = run(&maker(), probe).await;
    assert!(status == Critical && output.starts_with("tls: "), "{output}");
}
