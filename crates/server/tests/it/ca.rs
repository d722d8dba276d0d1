//! The certificate authority: roots, leaves, configuration, limits.

use std::sync::Arc;

use concord_ca::{Certificate, Csr, KeyMaker, OsKeys, Signer, TrustBundle, Usage, verify_chain};
use concord_model::ca::{CaConfig, CaRoots, KeyKind, LeafCertificate};
use concord_model::proxy::Settings;
use concord_model::{SpiffeId, Timestamp, TrustDomain};
use concord_rpc::request::{ListNodes, ReadCaConfig, ReadCaRoots, ReadStatus, SetCaConfig, SignLeaf};
use concord_rpc::{RpcError, ServerApiExt};
use concord_server::CaStart;
use rustls_pki_types::CertificateDer;

use crate::world::{HOUR, Host, ROOT, SECOND, Setup, kek, with};

impl Host {
    pub(crate) async fn roots(&self) -> CaRoots {
        self.ask_as(ROOT, ReadCaRoots {}).await.unwrap()
    }

    pub(crate) async fn config(&self) -> CaConfig {
        self.ask_as(ROOT, ReadCaConfig {}).await.unwrap()
    }

    /// Waits for the first root.
    pub(crate) async fn with_ca(self) -> Self {
        while self.ask(ReadCaRoots {}).await.is_err() {
            tokio::time::sleep(SECOND).await;
        }
        self
    }

    pub(crate) async fn configure(&self, settings: &str) -> Result<(), RpcError> {
        self.ask_as(ROOT, change(settings)).await
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.world.clock.wall_nanos())
    }

    /// A leaf for a service, signed for `token`.
    pub(crate) async fn leaf(&self, token: &str, of: &str) -> Result<LeafCertificate, RpcError> {
        let domain = self.roots().await.trust_domain;
        let csr = Csr::build(&*key(), &identity(&domain, of)).unwrap();
        self.ask_as(token, SignLeaf { csr }).await
    }

    /// Verifies the leaf's chain against a bundle, as a peer does.
    pub(crate) fn verifies(&self, leaf: &LeafCertificate, bundle: &CaRoots) -> bool {
        let chain = Certificate::parse_pem_chain(&leaf.cert_pem).unwrap();
        let chain: Vec<CertificateDer<'_>> = chain.iter().map(|one| one.der().clone()).collect();
        let bundle = TrustBundle::from_roots(bundle).unwrap();
        let now = self.now();
        let by = |usage| verify_chain(&chain, &bundle, now, usage).is_ok();
        assert_eq!(by(Usage::Client), by(Usage::Server));
        by(Usage::Client)
    }
}

pub(crate) fn key() -> Arc<dyn Signer> {
    OsKeys.make(KeyKind::EcP256).unwrap()
}

pub(crate) fn identity(domain: &TrustDomain, of: &str) -> SpiffeId {
    SpiffeId::parse(&format!("spiffe://{domain}/ns/default/dc/dc1/svc/{of}")).unwrap()
}

pub(crate) fn settings(json: &str) -> Settings {
    serde_json::from_str(json).unwrap()
}

pub(crate) fn change(json: &str) -> SetCaConfig {
    SetCaConfig {
        provider: "consul".to_owned(),
        settings: settings(json),
        state: Default::default(),
        force_without_cross_signing: false,
        force_without_oldest_root: false,
    }
}

fn starting(json: &str) -> CaStart {
    CaStart { settings: settings(json), ..CaStart::default() }
}

#[tokio::test(start_paused = true)]
async fn the_first_root_has_the_documented_shape() {
    for (kind, json) in [
        (KeyKind::EcP256, "{}"),
        (KeyKind::EcP384, r#"{"PrivateKeyBits": 384}"#),
        (KeyKind::Rsa2048, r#"{"private_key_type": "rsa", "private_key_bits": "2048"}"#),
    ] {
        let host = Setup { ca: starting(json), ..Setup::guarded() }.start().await.with_ca().await;
        let roots = host.roots().await;
        let root = roots.active().unwrap();
        let certificate = Certificate::parse_pem(&root.root_cert).unwrap();
        let domain = roots.trust_domain.as_str();
        assert_eq!((roots.roots.len(), root.id.clone()), (1, certificate.id()));
        assert_eq!(root.external_trust_domain, domain.strip_suffix(".consul").unwrap());
        assert_eq!(root.name, "Consul CA Primary Cert");
        assert_eq!(root.signing_key_id, certificate.key_id_text());
        assert_eq!((root.key_kind, root.serial), (kind, certificate.serial_u64()));
        assert!(root.intermediate_certs.is_empty() && root.rotated_out_at.is_none());
        let common = certificate.common_name().unwrap();
        assert!(common.starts_with("pri-"), "{common}");
        assert!(common.ends_with(&format!(".consul.ca.{}.consul", &domain[..8])), "{common}");
        assert_eq!(certificate.uris().collect::<Vec<_>>(), [format!("spiffe://{domain}")]);
        assert_eq!(certificate.not_after().since(certificate.not_before()), HOUR * 87_600);
        assert!(certificate.is_signed_by(certificate.public_key()));
        let config = host.config().await;
        let mut expected = settings(json);
        for (key, life) in
            [("IntermediateCertTTL", "8760h"), ("LeafCertTTL", "72h"), ("RootCertTTL", "87600h")]
        {
            expected.insert(key.to_owned(), life.into());
        }
        assert_eq!((config.provider.as_str(), &config.settings), ("consul", &expected));
        assert!(config.state.is_empty());
        // What was read can be written back, and changes nothing.
        let back = SetCaConfig { settings: config.settings, ..change("{}") };
        host.ask_as(ROOT, back).await.unwrap();
        assert_eq!(host.roots().await, roots);
        assert_eq!(host.config().await.settings, expected);
        host.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn life_times_that_were_written_stay_as_written() {
    let written = r#"{"leaf_cert_ttl": "24h", "RootCertTTL": "9000h"}"#;
    let host = Setup { ca: starting(written), ..Setup::guarded() }.start().await.with_ca().await;
    let mut expected = settings(written);
    expected.insert("IntermediateCertTTL".to_owned(), "8760h".into());
    assert_eq!(host.config().await.settings, expected);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_leaf_is_signed_for_who_may_write_the_service() {
    let host = Setup::guarded().start().await.with_ca().await;
    let token = host.token("web", r#"service "web" { policy = "write" }"#).await.secret;
    let leaf = host.leaf(&token, "web").await.unwrap();
    let roots = host.roots().await;
    assert!(host.verifies(&leaf, &roots));
    assert_eq!(leaf.uri, identity(&roots.trust_domain, "web").to_string());
    assert_eq!(leaf.authority_key_id, roots.active().unwrap().signing_key_id);
    assert_eq!(leaf.valid_before.since(leaf.valid_after), HOUR * 72);
    let other = host.leaf(&token, "web").await.unwrap();
    assert_ne!(leaf.serial, other.serial);
    assert!(other.stamp.create > leaf.stamp.create);
    // Another cluster does not trust it.
    let stranger = Setup::guarded().start().await.with_ca().await;
    assert!(!stranger.verifies(&leaf, &stranger.roots().await));
    stranger.stop().await;
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn without_connect_there_is_no_authority() {
    let ca = CaStart { enabled: false, ..CaStart::default() };
    let host = Setup { ca, ..Setup::open() }.start().await;
    assert!(matches!(host.ask(ReadCaRoots {}).await, Err(RpcError::Invalid(_))));
    assert!(matches!(host.ask(change("{}")).await, Err(RpcError::Invalid(_))));
    assert!(host.ask(ListNodes::default()).await.is_ok());
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_61_a_flood_of_requests_is_limited_and_disturbs_nobody() {
    let host = Setup::open().start().await.with_ca().await;
    let status = async || host.ask(ReadStatus {}).await.unwrap().value;
    let before = status().await;
    let domain = host.ask(ReadCaRoots {}).await.unwrap().value.trust_domain;
    let csr = Csr::build(&*key(), &identity(&domain, "web")).unwrap();
    let begun = host.world.clock.now();
    let flood = |count: usize| {
        let calls: Vec<_> = (0..count)
            .map(|_| {
                let (api, csr) = (host.api.clone(), csr.clone());
                tokio::spawn(async move { api.call(Default::default(), SignLeaf { csr }).await })
            })
            .collect();
        async move {
            let (mut signed, mut refused) = (0_u64, 0_u64);
            for call in calls {
                match call.await.unwrap() {
                    Ok(_) => signed += 1,
                    Err(RpcError::RateLimited) => refused += 1,
                    Err(other) => panic!("{other:?}"),
                }
            }
            (signed, refused)
        }
    };
    let flooding = flood(2_000);
    let nodes = host.ask(ListNodes::default()).await.unwrap().value;
    assert_eq!(nodes.len(), 1, "answered meanwhile");
    let (signed, refused) = flooding.await;
    // Fifty per second, with half a second of waiting.
    assert!((26..=27).contains(&signed), "{signed}");
    assert_eq!(signed + refused, 2_000);
    assert!(host.world.clock.now() - begun <= SECOND);
    let after = status().await;
    assert_eq!(after.term, before.term, "no election");
    // Each certificate takes its serial number from the log; a refused request takes none.
    assert_eq!(after.last_log_index - before.last_log_index, signed);
    // Now the number of parallel signatures is limited: each one is short, so many succeed one after the other.
    host.ask(change(r#"{"CSRMaxPerSecond": 0, "CSRMaxConcurrent": 2}"#)).await.unwrap();
    let (signed, refused) = flood(50).await;
    assert_eq!((signed, refused), (50, 0));
    host.ask(change(r#"{"CSRMaxPerSecond": 0}"#)).await.unwrap();
    assert_eq!(flood(200).await, (200, 0), "unlimited");
    assert_eq!(RpcError::RateLimited.to_string(), "Rate limit reached, try again later");
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_71_a_private_key_is_never_shown_in_whatever_style_it_was_given() {
    let host = Setup::guarded().start().await.with_ca().await;
    for name in ["PrivateKey", "private_key", "privatekey", "PRIVATE_KEY", "privateKey", "Private_Key"] {
        let own = key();
        let pem = own.private_key().unwrap();
        let json = serde_json::json!({ name: pem.expose(), "LeafCertTTL": "24h" }).to_string();
        host.configure(&json).await.unwrap();
        // The key is in use, and nothing reveals it.
        let root = Certificate::parse_pem(&host.roots().await.active().unwrap().root_cert).unwrap();
        assert_eq!(root.public_key(), own.public_key(), "{name}");
        let config = host.config().await;
        assert_eq!(config.settings, settings(r#"{"LeafCertTTL": "24h"}"#), "{name}");
        let shown = serde_json::to_string(&config).unwrap() + &format!("{config:?}");
        assert!(!shown.contains("PRIVATE KEY"), "{shown}");
        tokio::time::sleep(SECOND).await;
    }
    let reader = host.token("reader", r#"operator = "read""#).await.secret;
    assert!(matches!(host.ask_as(&reader, ReadCaConfig {}).await, Err(RpcError::Denied(_))));
    assert!(matches!(host.ask_as(&reader, change("{}")).await, Err(RpcError::Denied(_))));
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn life_times_that_do_not_fit_are_refused() {
    let host = Setup::guarded().start().await.with_ca().await;
    for (json, part) in [
        (r#"{"LeafCertTTL": "59m"}"#, "LeafCertTTL"),
        (r#"{"LeafCertTTL": "8761h"}"#, "LeafCertTTL"),
        (r#"{"LeafCertTTL": "24h", "IntermediateCertTTL": "71h"}"#, "IntermediateCertTTL"),
        (r#"{"IntermediateCertTTL": "100h", "RootCertTTL": "99h", "LeafCertTTL": "1h"}"#, "RootCertTTL"),
        (r#"{"PrivateKeyBits": 521}"#, "521"),
        (r#"{"CSRMaxPerSecond": -1}"#, "CSRMaxPerSecond"),
        (r#"{"RootCert": "nonsense"}"#, "RootCert"),
        (r#"{"PrivateKey": "nonsense"}"#, "PrivateKey"),
    ] {
        match host.configure(json).await {
            Err(RpcError::Invalid(text)) => assert!(text.contains(part), "{json}: {text}"),
            other => panic!("{json}: {other:?}"),
        }
    }
    let before = host.config().await;
    let believed = [("serial".to_owned(), "7".to_owned())].into();
    let wrong = SetCaConfig { state: believed, ..change("{}") };
    assert!(matches!(host.ask_as(ROOT, wrong).await, Err(RpcError::Invalid(_))));
    let vault = SetCaConfig { provider: "vault".to_owned(), ..change("{}") };
    assert!(matches!(host.ask_as(ROOT, vault).await, Err(RpcError::NotAvailable(_))));
    let unknown = SetCaConfig { provider: "own".to_owned(), ..change("{}") };
    assert!(matches!(host.ask_as(ROOT, unknown).await, Err(RpcError::Invalid(_))));
    assert_eq!(host.config().await, before);
    host.configure(r#"{"LeafCertTTL": "1h", "IntermediateCertTTL": "3h", "RootCertTTL": "3h"}"#)
        .await
        .unwrap();
    assert_eq!(host.roots().await.roots.len(), 1, "life times need no other root");
    let leaf = host.leaf(ROOT, "web").await.unwrap();
    assert_eq!(leaf.valid_before.since(leaf.valid_after), HOUR);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn g_10_a_broken_authority_keeps_nobody_from_leading() {
    // Settings with which no CA can start.
    let ca = starting(r#"{"LeafCertTTL": "1m"}"#);
    let host = Setup { ca, ..Setup::open() }.start().await;
    host.ask(crate::world::register("a", "web")).await.unwrap();
    assert!(matches!(host.ask(ReadCaRoots {}).await, Err(RpcError::CaNotReady(_))));
    assert!(matches!(host.ask(change("{}")).await, Err(RpcError::CaNotReady(_))));
    host.stop().await;
    // A provider that does not exist.
    let ca = CaStart { provider: "vault".to_owned(), ..CaStart::default() };
    let host = Setup { ca, kek: kek(9), ..Setup::guarded() }.start().await;
    assert_eq!(host.api.call(with(ROOT), ListNodes::default()).await.unwrap().value.len(), 1);
    host.stop().await;
}
