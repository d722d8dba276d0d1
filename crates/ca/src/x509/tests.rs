//! The form of certificates, down to the bytes where these matter.

use std::time::Duration;

use concord_model::ca::KeyKind;
use concord_model::{SpiffeId, TrustDomain};

use super::build::*;
use super::*;
use crate::key::{KeyMaker, OsKeys, Signer};

const TD: &str = "0a1b2c3d-2222-3333-4444-555555555555.consul";
const NOW: Timestamp = Timestamp::from_nanos(1_800_000_000_123_456_789);
const HOUR: Duration = Duration::from_secs(3600);

fn domain() -> TrustDomain {
    TrustDomain::parse(TD).unwrap()
}

fn root(signer: &dyn Signer) -> Certificate {
    let template = RootTemplate {
        common_name: &common_name("pri", "Ab-12cdefghi", &domain()),
        trust_domain: &domain(),
        validity: Validity::from_now(NOW, HOUR * 87_600),
        serial: Serial::from_counter(8).unwrap(),
    };
    build_root(template, signer).unwrap()
}

fn leaf_under(issuer: Authority<'_>, holder: &PublicKey, life: Duration) -> Certificate {
    let identity = SpiffeId::parse(&format!("spiffe://{TD}/ns/default/dc/dc1/svc/web")).unwrap();
    let template = LeafTemplate {
        identity: &identity,
        dns_names: &[],
        addresses: &[],
        public_key: holder,
        validity: Validity::backdated(NOW, life),
        serial: Serial::from_counter(0x1a3).unwrap(),
    };
    build_leaf(template, issuer).unwrap()
}

#[test]
fn a_root_has_consuls_shape() {
    let signer = OsKeys.make(KeyKind::EcP256).unwrap();
    let root = root(&*signer);
    assert_eq!(root.common_name().unwrap(), "pri-ab12cdef.consul.ca.0a1b2c3d.consul");
    assert_eq!(root.subject(), root.issuer());
    assert_eq!((root.serial_text().as_str(), root.serial_u64()), ("08", 8));
    assert_eq!(root.not_before(), NOW.truncated_to_seconds());
    assert_eq!(root.not_after(), NOW.plus(HOUR * 87_600).truncated_to_seconds());
    let expected = Extensions {
        basic_constraints: Some(BasicConstraints { critical: true, ca: true, path_len: None }),
        key_usage: Some(KeyUsage {
            critical: true,
            bits: usage::CERT_SIGN | usage::CRL_SIGN | usage::DIGITAL_SIGNATURE,
        }),
        extended_key_usage: None,
        alternative_names: Some(AlternativeNames {
            critical: false,
            names: vec![GeneralName::Uri(format!("spiffe://{TD}").into_bytes())],
        }),
        subject_key_id: Some(signer.public_key().key_id().to_vec()),
        authority_key_id: Some(signer.public_key().key_id().to_vec()),
        unknown_critical: None,
    };
    assert_eq!(*root.extensions(), expected);
    assert!(root.is_signed_by(signer.public_key()));
    assert_eq!(root.id().len(), 20 * 3 - 1);
    assert_eq!(root.key_id_text().len(), 32 * 3 - 1);
    assert_eq!(Certificate::parse_pem(&root.pem()).unwrap(), root);
}

#[test]
fn n_54_the_leaf_is_built_from_the_identity_alone() {
    let (signer, holder) = (OsKeys.make(KeyKind::EcP256).unwrap(), OsKeys.make(KeyKind::EcP256).unwrap());
    let root = root(&*signer);
    let leaf = leaf_under(Authority::try_new(&root, &*signer).unwrap(), holder.public_key(), HOUR * 72);
    assert_eq!(leaf.subject(), [0x30, 0]);
    assert_eq!(leaf.issuer(), root.subject());
    assert_eq!(leaf.serial_text(), "01:a3");
    assert_eq!(leaf.not_before(), NOW.minus(Duration::from_secs(60)).truncated_to_seconds());
    assert_eq!(leaf.not_after().since(leaf.not_before()), HOUR * 72);
    let expected = Extensions {
        basic_constraints: Some(BasicConstraints { critical: true, ca: false, path_len: None }),
        key_usage: Some(KeyUsage {
            critical: true,
            bits: usage::DIGITAL_SIGNATURE
                | usage::KEY_ENCIPHERMENT
                | usage::DATA_ENCIPHERMENT
                | usage::KEY_AGREEMENT,
        }),
        extended_key_usage: Some(vec![oid::CLIENT_AUTH.to_vec(), oid::SERVER_AUTH.to_vec()]),
        alternative_names: Some(AlternativeNames {
            critical: true,
            names: vec![GeneralName::Uri(format!("spiffe://{TD}/ns/default/dc/dc1/svc/web").into_bytes())],
        }),
        subject_key_id: Some(holder.public_key().key_id().to_vec()),
        authority_key_id: Some(root.key_id()),
        unknown_critical: None,
    };
    assert_eq!(*leaf.extensions(), expected);
    assert_eq!(leaf.authority_key_id_text(), root.key_id_text());
}

#[test]
fn intermediates_and_cross_signed_roots_have_consuls_shape() {
    for (old_kind, new_kind) in [(KeyKind::EcP256, KeyKind::EcP384), (KeyKind::EcP384, KeyKind::Rsa2048)] {
        let (old_key, new_key) = (OsKeys.make(old_kind).unwrap(), OsKeys.make(new_kind).unwrap());
        let (old, new) = (root(&*old_key), root(&*new_key));
        let by = Authority::try_new(&old, &*old_key).unwrap();
        let crossed = cross_sign(
            &new,
            &domain(),
            by,
            Validity::backdated(NOW, HOUR * 168),
            Serial::from_counter(9).unwrap(),
        )
        .unwrap();
        assert_eq!((crossed.subject(), crossed.public_key()), (new.subject(), new.public_key()));
        assert_eq!((crossed.issuer(), crossed.key_id()), (old.subject(), new.key_id()));
        assert_eq!(crossed.extensions().authority_key_id, Some(old.key_id()));
        assert!(crossed.is_signed_by(old.public_key()) && !crossed.is_signed_by(new.public_key()));
        let template = IntermediateTemplate {
            common_name: "sec",
            trust_domain: &domain(),
            public_key: new_key.public_key(),
            validity: Validity::backdated(NOW, HOUR * 8760),
            serial: Serial::from_counter(10).unwrap(),
        };
        let intermediate = build_intermediate(template, by).unwrap();
        assert_eq!(
            intermediate.extensions().basic_constraints,
            Some(BasicConstraints { critical: true, ca: true, path_len: Some(0) })
        );
    }
}

#[test]
fn a_leaf_does_not_outlive_its_issuer() {
    let signer = OsKeys.make(KeyKind::EcP256).unwrap();
    let root = root(&*signer);
    let authority = Authority::try_new(&root, &*signer).unwrap();
    let leaf = leaf_under(authority, signer.public_key(), HOUR * 100_000);
    assert_eq!(leaf.not_after(), root.not_after());
}

#[test]
fn a_key_that_is_not_the_certificates_is_refused() {
    let (signer, other) = (OsKeys.make(KeyKind::EcP256).unwrap(), OsKeys.make(KeyKind::EcP256).unwrap());
    assert_eq!(Authority::try_new(&root(&*signer), &*other).err(), Some(BuildError::WrongKey));
}

#[test]
fn serials_are_positive_and_bounded() {
    assert_eq!(Serial::from_counter(0), Err(BuildError::Serial));
    assert_eq!(Serial::from_bytes(&[1; 20]), Err(BuildError::Serial));
    assert!(Serial::from_bytes(&[0xff; 19]).is_ok());
}

#[test]
fn another_library_reads_the_same() {
    let signer = OsKeys.make(KeyKind::EcP384).unwrap();
    let root = root(&*signer);
    let leaf = leaf_under(Authority::try_new(&root, &*signer).unwrap(), signer.public_key(), HOUR * 72);
    let (rest, seen) = x509_parser::parse_x509_certificate(leaf.der()).unwrap();
    assert!(rest.is_empty());
    assert_eq!(seen.raw_serial_as_string(), leaf.serial_text());
    assert_eq!(seen.validity().not_after.timestamp(), leaf.not_after().secs());
    assert!(seen.subject_alternative_name().unwrap().unwrap().critical);
    assert!(!seen.basic_constraints().unwrap().unwrap().value.ca);
    let usage = seen.key_usage().unwrap().unwrap();
    assert!(usage.critical && usage.value.digital_signature() && !usage.value.key_cert_sign());
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..600)) {
        let _ = Certificate::parse(&bytes);
    }
}
