//! Settings and the built-in provider.

use std::sync::Arc;
use std::time::Duration;

use concord_model::Secret;
use concord_model::ca::CertificateLife;
use concord_model::proxy::Settings;
use serde_json::{Value, json};

use super::*;
use crate::csr::Csr;
use crate::key::{KeyMaker, OsKeys};
use crate::limiter::CsrLimits;
use crate::seal::Kek;
use crate::testing::SeededKeys;
use crate::verify::{TrustBundle, Usage, verify_chain};

const TD: &str = "0a1b2c3d-2222-3333-4444-555555555555.consul";
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const HOUR: Duration = Duration::from_secs(3600);

fn settings(value: Value) -> Settings {
    value.as_object().unwrap().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn parsed(value: Value) -> ParsedSettings {
    ParsedSettings::parse(&settings(value)).unwrap()
}

#[track_caller]
fn fault(value: Value, text: &str) {
    let faults = ParsedSettings::parse(&settings(value)).expect_err("must be refused");
    assert_eq!(builtin::describe(&faults), text);
}

#[test]
fn settings_are_read_in_both_styles_and_weakly() {
    let camel = parsed(
        json!({"LeafCertTTL": "24h", "CSRMaxPerSecond": "7.5", "PrivateKeyBits": "384", "Nonsense": []}),
    );
    let snake = parsed(json!({"leaf_cert_ttl": "1440m", "csr_max_per_second": 7.5, "private_key_bits": 384}));
    assert_eq!(camel.settings, snake.settings);
    let expected = CaSettings {
        life: CertificateLife { leaf: HOUR * 24, ..CertificateLife::default() },
        key_kind: KeyKind::EcP384,
        limits: CsrLimits { max_per_second: 7.5, max_concurrent: 0 },
        ..CaSettings::default()
    };
    assert_eq!(camel.settings, expected);
    assert_eq!(parsed(json!({})).settings, CaSettings::default());
    assert_eq!(parsed(json!({"PrivateKeyType": "rsa"})).settings.key_kind, KeyKind::Rsa2048);
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
    assert_eq!(parsed(json!({"LeafCertTTL": "10m", "SkipValidate": true})).settings.life.leaf, HOUR / 6);
}

#[test]
fn n_71_a_private_key_does_not_stay_in_the_settings() {
    for style in ["PrivateKey", "private_key", "privatekey", "Private_Key"] {
        let parsed = parsed(json!({style: "horse", "LeafCertTTL": "72h"}));
        assert_eq!(parsed.private_key.as_ref().map(Secret::expose), Some("horse"));
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

fn provider(value: Value) -> Result<BuiltinProvider, ProviderError> {
    let ParsedSettings { settings, private_key, .. } = parsed(value);
    BuiltinProvider::configure(settings, domain(), private_key, Arc::new(OsKeys))
}

fn leaf(provider: &mut BuiltinProvider) -> Certificate {
    let identity = SpiffeId::parse(&format!("spiffe://{TD}/ns/default/dc/dc1/svc/web")).unwrap();
    let key = OsKeys.make(KeyKind::EcP256).unwrap();
    let request =
        LeafRequest { identity: &identity, dns_names: &[], addresses: &[], public_key: key.public_key() };
    provider.sign(&request, issue(9)).unwrap()
}

fn trusts(root: &Certificate, chain: &[&Certificate]) -> bool {
    let mut bundle = TrustBundle::default();
    bundle.add(&domain(), root.clone(), &[]).unwrap();
    let chain: Vec<_> = chain.iter().map(|certificate| certificate.der().clone()).collect();
    verify_chain(&chain, &bundle, NOW, Usage::Server).is_ok()
}

#[test]
fn the_builtin_provider_signs_with_its_root() {
    let mut provider = provider(json!({"LeafCertTTL": "2h"})).unwrap();
    assert_eq!(provider.active_leaf_signing_cert().err(), Some(ProviderError::NotInitialised));
    let chain = provider.generate_ca_chain(issue(1)).unwrap();
    assert_eq!(provider.generate_ca_chain(issue(2)).unwrap(), chain);
    let leaf = leaf(&mut provider);
    assert!(trusts(&chain.root, &[&leaf]));
    assert_eq!(leaf.not_after().since(leaf.not_before()), HOUR * 2);
    let record = chain.record("Consul CA Primary Cert", &domain(), KeyKind::EcP256);
    assert_eq!(record.signing_key_id, leaf.authority_key_id_text());
    assert_eq!(record.external_trust_domain, TD.strip_suffix(".consul").unwrap());
    assert_eq!(chain_pem(&leaf, &record), leaf.pem());
}

#[test]
fn n_118_the_record_holds_the_key_only_sealed() {
    let mut provider = provider(json!({})).unwrap();
    let chain = provider.generate_ca_chain(issue(1)).unwrap();
    let (kek, stolen) = (Kek::from_bytes(&[1; 32]).unwrap(), Kek::from_bytes(&[2; 32]).unwrap());
    let mut next = 0u8;
    let mut entropy = |buffer: &mut [u8]| {
        next += 1;
        buffer.fill(next);
    };
    let record = provider.record(std::slice::from_ref(&kek), &mut entropy).unwrap();
    let bytes = serde_json::to_string(&record).unwrap();
    assert!(!bytes.contains("PRIVATE"));
    let open = |record: &_, kek: &Kek| {
        let keks = std::slice::from_ref(kek);
        BuiltinProvider::open(CaSettings::default(), domain(), record, keks, Arc::new(OsKeys))
    };
    assert!(matches!(open(&record, &stolen), Err(ProviderError::Seal(_))));
    let mut again = open(&record, &kek).unwrap();
    assert_eq!(again.generate_ca_chain(issue(5)).unwrap(), chain);
    assert!(trusts(&chain.root, &[&leaf(&mut again)]));
    // An envelope does not open under another root's id.
    let mut swapped = record;
    swapped.id = "00".to_owned();
    assert!(matches!(open(&swapped, &kek), Err(ProviderError::Seal(_))));
}

#[test]
fn n_141_life_times_without_sense_are_refused_whatever_is_skipped() {
    let skipping = |leaf: &str| json!({"LeafCertTTL": leaf, "SkipValidate": true});
    for (leaf, shown) in [("1ns", "1ns"), ("0", "0s"), ("500ms", "500ms"), ("1m", "1m"), ("179s", "2m59s")] {
        let start = format!("LeafCertTTL is {shown}; it must be at least 3m, with SkipValidate too");
        let faults = ParsedSettings::parse(&settings(skipping(leaf))).expect_err(leaf);
        assert!(builtin::describe(&faults).starts_with(&start), "{}", builtin::describe(&faults));
    }
    fault(
        json!({"LeafCertTTL": "24h", "IntermediateCertTTL": "1h", "RootCertTTL": "23h", "SkipValidate": true}),
        "IntermediateCertTTL is 1h; it must be at least LeafCertTTL, which is 24h, with SkipValidate too: a CA ends after the \
         leaves it signs; RootCertTTL is 23h; it must be at least LeafCertTTL, which is 24h, with SkipValidate too: a CA ends \
         after the leaves it signs",
    );
    for bad in [json!(-1), json!("-1"), json!("NaN"), json!("inf")] {
        let read = ParsedSettings::parse(&settings(json!({"CSRMaxPerSecond": bad, "SkipValidate": true})));
        assert!(read.is_err(), "{bad}");
    }
    assert_eq!(parsed(skipping("3m")).settings.life.leaf, HOUR / 20);
}

#[test]
fn a_root_supplied_by_the_user_is_judged() {
    let mut maker = provider(json!({"PrivateKeyType": "rsa"})).unwrap();
    let root = maker.generate_ca_chain(issue(1)).unwrap().root;
    let key = maker.signer_for_tests().private_key().unwrap();
    let supplied = |cert: &str, key: &str| provider(json!({"RootCert": cert, "PrivateKey": key}));
    let mut own = supplied(&root.pem(), key.expose()).unwrap();
    assert_eq!(own.key_kind(), KeyKind::Rsa2048);
    assert_eq!(own.generate_ca_chain(issue(2)).unwrap().root, root);
    assert!(trusts(&root, &[&leaf(&mut own)]));
    let fault = |outcome: Result<BuiltinProvider, ProviderError>| match outcome {
        Err(ProviderError::RootCert(fault)) => fault,
        other => panic!("{other:?}"),
    };
    assert_eq!(fault(supplied(&root.pem(), "")), RootCertFault::NoPrivateKey);
    let other = OsKeys.make(KeyKind::EcP256).unwrap().private_key().unwrap();
    assert_eq!(fault(supplied(&root.pem(), other.expose())), RootCertFault::WrongKey);
    let other_domain = TrustDomain::parse("other.consul").unwrap();
    let ParsedSettings { settings, private_key, .. } =
        parsed(json!({"RootCert": root.pem(), "PrivateKey": key.expose()}));
    let outcome = BuiltinProvider::configure(settings, other_domain.clone(), private_key, Arc::new(OsKeys));
    assert_eq!(fault(outcome), RootCertFault::TrustDomain(other_domain));
    // It would end before the leaves it signs: ten years less a day.
    let late = Issue { now: issue(2).now.plus(Duration::from_secs((3650 * 24 - 24) * 3600)), ..issue(2) };
    let ends = supplied(&root.pem(), key.expose()).unwrap().generate_ca_chain(late);
    assert_eq!(ends, Err(RootCertFault::EndsTooSoon { leaf: "72h".to_owned() }.into()));
    // Taken back, it is replaced; a change of life times alone replaces nothing.
    let needs = |value: Value| own.needs_rotation(&parsed(value).settings, None, issue(2).now).unwrap();
    assert!(needs(json!({"PrivateKeyType": "rsa"})));
    assert!(!needs(json!({"RootCert": root.pem(), "LeafCertTTL": "1h"})));
    let end = leaf(&mut maker);
    assert_eq!(fault(supplied(&end.pem(), key.expose())), RootCertFault::WrongKey);
}

/// The provider of a root that a former version took: its record is opened as it stands.
fn taken_formerly(constraint: &[u8]) -> BuiltinProvider {
    let signer = OsKeys.make(KeyKind::EcP256).unwrap();
    let domain = TrustDomain::parse(TD).unwrap();
    let root = crate::testing::Forge::root_for_leaves(&domain, &*signer, NOW)
        .constraints(&[crate::der::value(crate::der::BOOLEAN, &[0xff])])
        .with(crate::oid::NAME_CONSTRAINTS, true, constraint)
        .sign(&*signer);
    let root = Certificate::parse(&root).unwrap();
    let kek = Kek::from_bytes(&[7; 32]).unwrap();
    let mut fill = |bytes: &mut [u8]| bytes.fill(1);
    let text = signer.private_key().unwrap();
    let purpose = format!("{} {}", crate::seal::PURPOSE_CA_KEY, root.id());
    let key =
        crate::seal::seal(&purpose, text.expose().as_bytes(), std::slice::from_ref(&kek), &mut fill).unwrap();
    let record = concord_model::ca::BuiltinCaState {
        id: root.id(),
        root_cert: root.pem(),
        key,
        stamp: concord_model::Stamp::default(),
    };
    BuiltinProvider::open(CaSettings::default(), domain, &record, &[kek], Arc::new(OsKeys)).unwrap()
}

#[test]
fn n_140_a_trial_leaf_shows_that_a_root_signs_in_vain() {
    use crate::der;
    let elsewhere = der::value(der::primitive(6), b"elsewhere.consul");
    let permits = der::sequence(&[der::wrap(der::constructed(0), &[der::sequence(&[elsewhere])])]);
    let mut old = taken_formerly(&permits);
    assert!(matches!(old.assess(NOW), Err(ProviderError::RootCert(RootCertFault::Authority(_)))));
    // Its signature over another root is of no use to those who trust it alone.
    let mut new = provider(json!({})).unwrap();
    let root = new.generate_ca_chain(issue(1)).unwrap().root;
    let crossed = old.cross_sign_ca(&root, issue(2)).unwrap();
    let old_root = old.active_leaf_signing_cert().unwrap();
    let followed = new.is_followed_from(&old_root, &crossed, issue(2).now);
    assert_eq!(followed, Err(ProviderError::Trial(Refusal::NameConstraints)));
    // While that of a plain one is.
    let mut plain = provider(json!({})).unwrap();
    let plain_root = plain.generate_ca_chain(issue(1)).unwrap().root;
    let crossed = plain.cross_sign_ca(&root, issue(2)).unwrap();
    assert_eq!(new.is_followed_from(&plain_root, &crossed, issue(2).now), Ok(()));
}

#[test]
fn only_another_root_needs_a_rotation() {
    let mut provider = provider(json!({})).unwrap();
    provider.generate_ca_chain(issue(1)).unwrap();
    let needs = |value: Value| {
        let parsed = parsed(value);
        provider.needs_rotation(&parsed.settings, parsed.private_key.as_ref(), issue(2).now).unwrap()
    };
    assert!(!needs(json!({"LeafCertTTL": "1h", "CSRMaxPerSecond": 1})));
    assert!(needs(json!({"PrivateKeyBits": 384})));
    let own = provider.signer_for_tests().private_key().unwrap();
    assert!(!needs(json!({"PrivateKey": own.expose()})));
    let other = OsKeys.make(KeyKind::EcP256).unwrap().private_key().unwrap();
    assert!(needs(json!({"PrivateKey": other.expose()})));
    let after_ten_years = issue(2).now.plus(Duration::from_secs(3651 * 24 * 3600));
    assert!(provider.needs_rotation(&parsed(json!({})).settings, None, after_ten_years).unwrap());
}

#[test]
fn a_secondary_signs_with_an_intermediate_of_the_primary() {
    let mut primary = provider(json!({})).unwrap();
    let root = primary.generate_ca_chain(issue(1)).unwrap().root;
    let mut secondary = provider(json!({})).unwrap();
    let csr = secondary.generate_intermediate_csr().unwrap();
    let intermediate = primary.sign_intermediate(&csr, issue(2)).unwrap();
    secondary.set_intermediate(intermediate.clone(), root.clone()).unwrap();
    let leaf = leaf(&mut secondary);
    assert!(trusts(&root, &[&leaf, &intermediate]));
    assert!(!trusts(&root, &[&leaf]));
    let foreign = provider(json!({})).unwrap().set_intermediate(intermediate, root);
    assert_eq!(foreign, Err(ProviderError::NotInitialised));
    // A leaf's request is not one for an intermediate.
    let key = OsKeys.make(KeyKind::EcP256).unwrap();
    let identity = SpiffeId::parse(&format!("spiffe://{TD}/ns/default/dc/dc1/svc/web")).unwrap();
    let csr = Csr::build(&*key, &identity).unwrap();
    assert!(matches!(
        primary.sign_intermediate(&csr, issue(3)),
        Err(ProviderError::Csr(CsrRefusal::NotAnIntermediate(_)))
    ));
}

#[test]
fn n_54_a_certificate_shows_nothing_of_its_request() {
    // The request's own extensions are in `csr::tests::n_54_csr_extensions_are_ignored`; here that
    // two requests of one key give the same certificate but for time and serial.
    let seeded = SeededKeys::new(3);
    let mut provider =
        BuiltinProvider::configure(CaSettings::default(), domain(), None, Arc::new(SeededKeys::new(4)))
            .unwrap();
    provider.generate_ca_chain(issue(1)).unwrap();
    let key = seeded.make(KeyKind::EcP256).unwrap();
    let identity = SpiffeId::parse(&format!("spiffe://{TD}/ns/default/dc/dc1/svc/web")).unwrap();
    let request =
        LeafRequest { identity: &identity, dns_names: &[], addresses: &[], public_key: key.public_key() };
    assert_eq!(
        provider.sign(&request, issue(9)).unwrap().der(),
        provider.sign(&request, issue(9)).unwrap().der()
    );
}
