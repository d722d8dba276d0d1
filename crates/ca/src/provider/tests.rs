//! Settings and the built-in provider.

use std::sync::Arc;
use std::time::Duration;

use concord_model::Secret;
use concord_model::ca::{CertificateLife, KeyKind, ProviderRecord};
use serde_json::{Value, json};

use super::assess::{assess, is_followed_from, make_root};
use super::means::at_once;
use super::record::{open_record, seal_record};
use super::settings::describe;
use super::*;
use crate::csr::{Csr, CsrRefusal};
use crate::key::{KeyMaker, OsKeys};
use crate::limiter::CsrLimits;
use crate::seal::Kek;
use crate::testing::SeededKeys;
use crate::verify::{Refusal, TrustBundle, Usage, verify_chain};

const TD: &str = "0a1b2c3d-2222-3333-4444-555555555555.consul";
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const HOUR: Duration = Duration::from_secs(3600);

fn settings(value: Value) -> Settings {
    value.as_object().unwrap().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn kind() -> Arc<dyn Kind> {
    Arc::clone(Kinds::default().default_kind())
}

fn parsed(value: Value) -> ParsedSettings {
    kind().parse(&settings(value)).unwrap()
}

#[track_caller]
fn fault(value: Value, text: &str) {
    let faults = kind().parse(&settings(value)).expect_err("must be refused");
    assert_eq!(describe(&faults), text);
}

#[test]
fn settings_are_read_in_both_styles_and_weakly() {
    let camel = parsed(
        json!({"LeafCertTTL": "24h", "CSRMaxPerSecond": "7.5", "PrivateKeyBits": "384", "Nonsense": []}),
    );
    let snake = parsed(json!({"leaf_cert_ttl": "1440m", "csr_max_per_second": 7.5, "private_key_bits": 384}));
    assert_eq!(camel.common, snake.common);
    let expected = CommonSettings {
        life: CertificateLife { leaf: HOUR * 24, ..CertificateLife::default() },
        key_kind: KeyKind::EcP384,
        limits: CsrLimits { max_per_second: 7.5, max_concurrent: 0 },
        ..CommonSettings::default()
    };
    assert_eq!(camel.common, expected);
    assert_eq!(parsed(json!({})).common, CommonSettings::default());
    assert_eq!(parsed(json!({"PrivateKeyType": "rsa"})).common.key_kind, KeyKind::Rsa2048);
}

#[test]
fn settings_that_cannot_be_used_are_named_with_the_remedy() {
    fault(json!({"LeafCertTTL": "10m"}), "LeafCertTTL is 10m; it must be between 1h and 8760h");
    fault(json!({"LeafCertTTL": "3 days"}), "LeafCertTTL: \"3 days\" is not a duration; write it as \"72h\"");
    fault(
        json!({"leaf_cert_ttl": "72h", "IntermediateCertTTL": "100h"}),
        "IntermediateCertTTL is 100h; it must be at least 216h: 3h and three times LeafCertTTL; raise it or lower LeafCertTTL",
    );
    fault(
        json!({"LeafCertTTL": "1h", "IntermediateCertTTL": "2h", "RootCertTTL": "1h"}),
        "IntermediateCertTTL is 2h; it must be at least 3h: 3h and three times LeafCertTTL; raise it or lower LeafCertTTL; \
         RootCertTTL is 1h; it must be at least IntermediateCertTTL, which is 2h; raise it or lower that",
    );
    fault(
        json!({"PrivateKeyType": "ec", "PrivateKeyBits": 224}),
        "PrivateKeyType \"ec\" with PrivateKeyBits 224 is not supported; use ec 256, ec 384 or rsa 2048",
    );
    fault(json!({"CSRMaxPerSecond": -1}), "CSRMaxPerSecond: -1 is not a number of 0 or more");
    fault(
        json!({"LeafCertTTL": "2h", "leaf_cert_ttl": "3h"}),
        "LeafCertTTL is given more than once; keep one spelling",
    );
    assert_eq!(parsed(json!({"LeafCertTTL": "10m", "SkipValidate": true})).common.life.leaf, HOUR / 6);
}

#[test]
fn n_71_a_private_key_does_not_stay_in_the_settings() {
    for style in ["PrivateKey", "private_key", "privatekey", "Private_Key"] {
        let parsed = parsed(json!({style: "horse", "LeafCertTTL": "72h"}));
        assert_eq!(parsed.secrets.get("PrivateKey").map(Secret::expose), Some("horse"));
        assert_eq!(parsed.stored.keys().collect::<Vec<_>>(), ["LeafCertTTL"]);
        assert!(!format!("{parsed:?}").contains("horse"));
    }
}

fn issue(count: u64) -> Issue {
    Issue { now: NOW, serial: Serial::from_counter(count).unwrap() }
}

fn domain() -> TrustDomain {
    TrustDomain::parse(TD).unwrap()
}

fn means() -> Means {
    Means::inline(domain(), Arc::new(OsKeys))
}

fn provider(value: Value) -> Result<Arc<dyn Provider>, ProviderError> {
    at_once(kind().configure(&means(), &parsed(value)))
}

/// The provider's root, made and checked.
fn root(provider: &Arc<dyn Provider>, value: Value, issue: Issue) -> Result<Arc<CaChain>, ProviderError> {
    at_once(make_root(&**provider, &means(), &parsed(value), issue)).map(|made| made.chain)
}

/// The key that the provider keeps, as text.
fn key_of(provider: &Arc<dyn Provider>) -> String {
    let made = at_once(provider.generate_ca_chain(issue(3))).unwrap();
    String::from_utf8(made.kept.expose().to_vec()).unwrap()
}

fn leaf(provider: &Arc<dyn Provider>) -> Certificate {
    let identity = SpiffeId::parse(&format!("spiffe://{TD}/ns/default/dc/dc1/svc/web")).unwrap();
    let key = OsKeys.make(KeyKind::EcP256).unwrap();
    let request =
        LeafRequest { identity: &identity, dns_names: &[], addresses: &[], public_key: key.public_key() };
    at_once(provider.sign(request, issue(9))).unwrap()
}

fn trusts(root: &Certificate, chain: &[&Certificate]) -> bool {
    let mut bundle = TrustBundle::default();
    bundle.add(&domain(), root.clone(), &[]).unwrap();
    let chain: Vec<_> = chain.iter().map(|certificate| certificate.der().clone()).collect();
    verify_chain(&chain, &bundle, NOW, Usage::Server).is_ok()
}

#[test]
fn the_builtin_provider_signs_with_its_root() {
    let settings = json!({"LeafCertTTL": "2h"});
    let provider = provider(settings.clone()).unwrap();
    assert_eq!(provider.chain(), None);
    let identity = SpiffeId::parse(&format!("spiffe://{TD}/ns/default/dc/dc1/svc/web")).unwrap();
    let key = OsKeys.make(KeyKind::EcP256).unwrap();
    let request =
        LeafRequest { identity: &identity, dns_names: &[], addresses: &[], public_key: key.public_key() };
    assert_eq!(at_once(provider.sign(request, issue(1))), Err(ProviderError::NotInitialised));
    let chain = root(&provider, settings.clone(), issue(1)).unwrap();
    assert_eq!(root(&provider, settings, issue(2)).unwrap(), chain);
    let signed = leaf(&provider);
    assert!(trusts(&chain.root, &[&signed]));
    assert_eq!(signed.not_after().since(signed.not_before()), HOUR * 2);
    let record = chain.record(kind().root_name(), &domain()).unwrap();
    assert_eq!(record.signing_key_id, signed.authority_key_id_text());
    assert_eq!(record.external_trust_domain, TD.strip_suffix(".consul").unwrap());
    assert_eq!(record.key_kind, KeyKind::EcP256);
    assert_eq!(chain_pem(&signed, &record), signed.pem());
    at_once(provider.cleanup()).unwrap();
    assert_eq!(at_once(provider.sign(request, issue(1))), Err(ProviderError::NotInitialised));
}

#[test]
fn an_rsa_root_signs_leaves_by_the_workers() {
    /// Works at once, and counts the calls.
    #[derive(Debug, Default)]
    struct Counting(std::sync::atomic::AtomicUsize);
    impl Workers for Counting {
        fn run(&self, work: Box<dyn FnOnce() + Send>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            means::Inline.run(work)
        }
    }
    /// Does nothing, like the workers of a host that is shutting down.
    #[derive(Debug)]
    struct Gone;
    impl Workers for Gone {
        fn run(&self, _: Box<dyn FnOnce() + Send>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(std::future::ready(()))
        }
    }
    for (kind_of_key, signs_aside) in [("rsa", 1), ("ec", 0)] {
        let settings = parsed(json!({ "PrivateKeyType": kind_of_key }));
        let counting = Arc::new(Counting::default());
        let means = Means { workers: Arc::clone(&counting) as Arc<dyn Workers>, ..means() };
        let provider = at_once(kind().configure(&means, &settings)).unwrap();
        at_once(provider.generate_ca_chain(issue(1))).unwrap();
        let before = counting.0.load(std::sync::atomic::Ordering::Relaxed);
        leaf(&provider);
        let aside = counting.0.load(std::sync::atomic::Ordering::Relaxed) - before;
        assert_eq!(aside, signs_aside, "{kind_of_key}");
    }
    let gone = Means { workers: Arc::new(Gone), ..means() };
    let outcome = at_once(kind().configure(&gone, &parsed(json!({})))).map(|_| ());
    assert_eq!(outcome, Err(ProviderError::Unreachable(Unreachable::NoAnswer)));
}

#[test]
fn n_118_the_record_holds_the_key_only_sealed() {
    let provider = provider(json!({})).unwrap();
    let made = at_once(provider.generate_ca_chain(issue(1))).unwrap();
    let published = made.chain.record(kind().root_name(), &domain()).unwrap();
    let (kek, stolen) = (Kek::from_bytes(&[1; 32]).unwrap(), Kek::from_bytes(&[2; 32]).unwrap());
    let mut next = 0u8;
    let mut entropy = |buffer: &mut [u8]| {
        next += 1;
        buffer.fill(next);
    };
    assert!(!format!("{made:?}").contains("PRIVATE"));
    let keks = std::slice::from_ref(&kek);
    let record = seal_record(&*kind(), &published.id, &made.kept, keks, &mut entropy).unwrap();
    assert_eq!((record.id.as_str(), record.kind.as_str()), (published.id.as_str(), kind().name()));
    assert!(!serde_json::to_string(&record).unwrap().contains("PRIVATE"));
    let open = |record: &_, kek: &Kek| {
        let kinds = Kinds::default();
        let kind = kinds.of_record(record).unwrap();
        let kept = open_record(&**kind, record, std::slice::from_ref(kek))?;
        at_once(kind.open(&means(), &parsed(json!({})), &published, &kept))
    };
    assert!(matches!(open(&record, &stolen), Err(ProviderError::Seal(_))));
    // A record without a kind, as older versions wrote it, belongs to the default kind.
    for kind in [record.kind.clone(), String::new()] {
        let again = open(&ProviderRecord { kind, ..record.clone() }, &kek).unwrap();
        assert_eq!(at_once(again.generate_ca_chain(issue(5))).unwrap().chain, made.chain);
        assert!(trusts(&made.chain.root, &[&leaf(&again)]));
    }
    let unknown = ProviderRecord { kind: "far".to_owned(), ..record.clone() };
    assert!(Kinds::default().of_record(&unknown).is_err());
    // A record does not open as one of another kind.
    let gated = crate::testing::Gated::default();
    assert!(matches!(open_record(&gated, &record, std::slice::from_ref(&kek)), Err(ProviderError::Seal(_))));
    // An envelope does not open under another root's id.
    let swapped = ProviderRecord { id: "00".to_owned(), ..record };
    assert!(matches!(open(&swapped, &kek), Err(ProviderError::Seal(_))));
}

#[test]
fn kinds_are_found_by_their_names() {
    let kinds = Kinds::default();
    let unknown = |name: &str| kinds.find(name).unwrap_err().to_string();
    assert_eq!(kinds.find(kinds.default_kind().name()).unwrap().name(), "consul");
    assert_eq!(unknown("vault"), r#"CA provider "vault""#);
    assert_eq!(unknown("own"), r#"Provider: "own" is unknown; "consul" is the built-in one"#);
}

#[test]
fn n_141_life_times_without_sense_are_refused_whatever_is_skipped() {
    let skipping = |leaf: &str| json!({"LeafCertTTL": leaf, "SkipValidate": true});
    for (leaf, shown) in [("1ns", "1ns"), ("0", "0s"), ("500ms", "500ms"), ("1m", "1m"), ("179s", "2m59s")] {
        let start = format!("LeafCertTTL is {shown}; it must be at least 3m, with SkipValidate too");
        let faults = kind().parse(&settings(skipping(leaf))).expect_err(leaf);
        assert!(describe(&faults).starts_with(&start), "{}", describe(&faults));
    }
    fault(
        json!({"LeafCertTTL": "24h", "IntermediateCertTTL": "1h", "RootCertTTL": "23h", "SkipValidate": true}),
        "IntermediateCertTTL is 1h; it must be at least LeafCertTTL, which is 24h, with SkipValidate too: a CA ends after the \
         leaves it signs; RootCertTTL is 23h; it must be at least LeafCertTTL, which is 24h, with SkipValidate too: a CA ends \
         after the leaves it signs",
    );
    for bad in [json!(-1), json!("-1"), json!("NaN"), json!("inf")] {
        let read = kind().parse(&settings(json!({"CSRMaxPerSecond": bad, "SkipValidate": true})));
        assert!(read.is_err(), "{bad}");
    }
    assert_eq!(parsed(skipping("3m")).common.life.leaf, HOUR / 20);
}

#[test]
fn a_root_supplied_by_the_user_is_judged() {
    let maker = provider(json!({"PrivateKeyType": "rsa"})).unwrap();
    let made = root(&maker, json!({}), issue(1)).unwrap();
    let key = key_of(&maker);
    let said = |cert: &str, key: &str| json!({"RootCert": cert, "PrivateKey": key});
    let supplied = |cert: &str, key: &str| provider(said(cert, key));
    let good = said(&made.root.pem(), &key);
    let own = provider(good.clone()).unwrap();
    assert_eq!(root(&own, good.clone(), issue(2)).unwrap(), made);
    assert!(trusts(&made.root, &[&leaf(&own)]));
    let fault = |outcome: Result<Arc<dyn Provider>, ProviderError>| outcome.unwrap_err().to_string();
    let missing = "RootCert: PrivateKey is required with RootCert";
    assert_eq!(fault(supplied(&made.root.pem(), "")), missing);
    let other = OsKeys.make(KeyKind::EcP256).unwrap().private_key().unwrap();
    let wrong = "RootCert: PrivateKey does not belong to it";
    assert_eq!(fault(supplied(&made.root.pem(), other.expose())), wrong);
    let other_domain = TrustDomain::parse("other.consul").unwrap();
    let elsewhere = Means { trust_domain: other_domain.clone(), ..means() };
    let outcome = at_once(kind().configure(&elsewhere, &parsed(good.clone()))).map(|_| ());
    assert_eq!(outcome, Err(RootCertFault::TrustDomain(other_domain).into()));
    // The root would end before its leaves: it has a day left of ten years.
    let late = Issue { now: issue(2).now.plus(Duration::from_secs((3650 * 24 - 24) * 3600)), ..issue(2) };
    let ends = root(&provider(good.clone()).unwrap(), good, late);
    assert_eq!(ends, Err(RootCertFault::EndsTooSoon { leaf: "72h".to_owned() }.into()));
    // A root that the settings no longer supply is replaced. A change of life times alone replaces nothing.
    let needs = |value: Value| at_once(own.needs_rotation(&parsed(value), issue(2).now)).unwrap();
    assert!(needs(json!({"PrivateKeyType": "rsa"})));
    assert!(!needs(json!({"RootCert": made.root.pem(), "LeafCertTTL": "1h"})));
    let end = leaf(&maker);
    assert_eq!(fault(supplied(&end.pem(), &key)), wrong);
}

/// The provider of a root that an older version accepted: its record is opened without a check.
fn taken_formerly(constraint: &[u8]) -> Arc<dyn Provider> {
    let signer = OsKeys.make(KeyKind::EcP256).unwrap();
    let root = crate::testing::Forge::root_for_leaves(&domain(), &*signer, NOW)
        .constraints(&[crate::der::value(crate::der::BOOLEAN, &[0xff])])
        .with(crate::oid::NAME_CONSTRAINTS, true, constraint)
        .sign(&*signer);
    let published = CaChain::of_root(Certificate::parse(&root).unwrap()).record("", &domain()).unwrap();
    let kept = SecretBytes::new(signer.private_key().unwrap().expose().as_bytes().to_vec());
    at_once(kind().open(&means(), &parsed(json!({})), &published, &kept)).unwrap()
}

#[test]
fn n_140_a_trial_leaf_shows_that_a_root_signs_in_vain() {
    use crate::der;
    let elsewhere = der::value(der::primitive(6), b"elsewhere.consul");
    let permits = der::sequence(&[der::wrap(der::constructed(0), &[der::sequence(&[elsewhere])])]);
    let old = taken_formerly(&permits);
    let assessed = at_once(assess(&*old, &means(), HOUR * 72, NOW));
    assert!(matches!(assessed, Err(ProviderError::RootCert(RootCertFault::Authority(_)))));
    // Its cross-signed certificate is useless to peers that trust only the old root.
    let new = provider(json!({})).unwrap();
    let made = root(&new, json!({}), issue(1)).unwrap().root.clone();
    let followed = |old: &Arc<dyn Provider>| {
        let crossed = at_once(old.cross_sign_ca(&made, issue(2))).unwrap();
        let old_root = old.chain().unwrap().root.clone();
        at_once(is_followed_from(&*new, &means(), &old_root, &crossed, issue(2).now))
    };
    assert_eq!(followed(&old), Err(ProviderError::Trial(Refusal::NameConstraints)));
    // The cross-signed certificate of a plain root is accepted.
    let plain = provider(json!({})).unwrap();
    root(&plain, json!({}), issue(1)).unwrap();
    assert_eq!(followed(&plain), Ok(()));
}

#[test]
fn only_another_root_needs_a_rotation() {
    let provider = provider(json!({})).unwrap();
    root(&provider, json!({}), issue(1)).unwrap();
    let needs_at = |value: Value, now| at_once(provider.needs_rotation(&parsed(value), now)).unwrap();
    let needs = |value: Value| needs_at(value, issue(2).now);
    assert!(!needs(json!({"LeafCertTTL": "1h", "CSRMaxPerSecond": 1})));
    assert!(needs(json!({"PrivateKeyBits": 384})));
    assert!(!needs(json!({"PrivateKey": key_of(&provider)})));
    let other = OsKeys.make(KeyKind::EcP256).unwrap().private_key().unwrap();
    assert!(needs(json!({"PrivateKey": other.expose()})));
    let after_ten_years = issue(2).now.plus(Duration::from_secs(3651 * 24 * 3600));
    assert!(needs_at(json!({}), after_ten_years));
    // Changed life times apply at once.
    provider.reconfigure(&parsed(json!({"LeafCertTTL": "1h"})));
    let signed = leaf(&provider);
    assert_eq!(signed.not_after().since(signed.not_before()), HOUR);
}

#[test]
fn a_secondary_signs_with_an_intermediate_of_the_primary() {
    let primary = provider(json!({})).unwrap();
    let made = root(&primary, json!({}), issue(1)).unwrap().root.clone();
    let secondary = provider(json!({})).unwrap();
    let csr = at_once(secondary.generate_intermediate_csr()).unwrap();
    let intermediate = at_once(primary.sign_intermediate(&csr, issue(2))).unwrap();
    at_once(secondary.set_intermediate(intermediate.clone(), made.clone())).unwrap();
    let signed = leaf(&secondary);
    assert!(trusts(&made, &[&signed, &intermediate]));
    assert!(!trusts(&made, &[&signed]));
    let foreign = at_once(provider(json!({})).unwrap().set_intermediate(intermediate.clone(), made.clone()));
    assert_eq!(foreign, Err(ProviderError::NotInitialised));
    // While a new intermediate is requested, the current one signs; it is refused for the new key.
    at_once(secondary.generate_intermediate_csr()).unwrap();
    assert!(trusts(&made, &[&leaf(&secondary), &intermediate]));
    let foreign = at_once(secondary.set_intermediate(intermediate, made));
    assert_eq!(foreign, Err(ProviderError::ForeignIntermediate));
    // A request for a leaf is refused as a request for an intermediate.
    let key = OsKeys.make(KeyKind::EcP256).unwrap();
    let identity = SpiffeId::parse(&format!("spiffe://{TD}/ns/default/dc/dc1/svc/web")).unwrap();
    let csr = Csr::build(&*key, &identity).unwrap();
    assert!(matches!(
        at_once(primary.sign_intermediate(&csr, issue(3))),
        Err(ProviderError::Csr(CsrRefusal::NotAnIntermediate(_)))
    ));
}

#[test]
fn n_54_a_certificate_shows_nothing_of_its_request() {
    // `csr::tests::n_54_csr_extensions_are_ignored` tests the request's own extensions. This test shows that two
    // requests with one key lead to the same certificate, except for time and serial number.
    let means = Means { keys: Arc::new(SeededKeys::new(4)), ..means() };
    let provider = at_once(kind().configure(&means, &parsed(json!({})))).unwrap();
    at_once(provider.generate_ca_chain(issue(1))).unwrap();
    let key = SeededKeys::new(3).make(KeyKind::EcP256).unwrap();
    let identity = SpiffeId::parse(&format!("spiffe://{TD}/ns/default/dc/dc1/svc/web")).unwrap();
    let request =
        LeafRequest { identity: &identity, dns_names: &[], addresses: &[], public_key: key.public_key() };
    let signed = || at_once(provider.sign(request, issue(9))).unwrap();
    assert_eq!(signed().der(), signed().der());
}
