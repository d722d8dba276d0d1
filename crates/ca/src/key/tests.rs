//! Keys survive writing and reading; weak and unsupported keys are refused.

use super::*;
use crate::pem;

#[track_caller]
fn round(kind: KeyKind, label: &str) {
    let made = OsKeys.make(kind).unwrap();
    let text = made.private_key().unwrap();
    assert_eq!(pem::first_label(text.expose()), Some(label));
    let loaded = OsKeys.load(&text).unwrap();
    assert_eq!(loaded.public_key(), made.public_key());
    assert_eq!(loaded.kind(), kind);
    let signature = loaded.sign(b"message").unwrap();
    let algorithm = signature_algorithm(kind);
    let algorithm = Reader::new(&algorithm).nested(der::SEQUENCE).unwrap().body(der::OID).unwrap().to_vec();
    assert!(made.public_key().verifies(&algorithm, b"message", &signature));
    assert!(!made.public_key().verifies(&algorithm, b"massage", &signature));
    assert!(!format!("{made:?}").contains("PRIVATE"));
}

#[test]
fn keys_survive_writing_and_reading() {
    round(KeyKind::EcP256, pem::EC_KEY);
    round(KeyKind::EcP384, pem::EC_KEY);
    round(KeyKind::Rsa2048, pem::RSA_KEY);
}

#[test]
fn texts_that_are_no_key_are_refused() {
    assert_eq!(OsKeys.load(&Secret::new(String::new())).err(), Some(KeyError::Pem));
    let junk = Secret::new(pem::encode(pem::EC_KEY, &[0x30, 0]));
    assert_eq!(OsKeys.load(&junk).err(), Some(KeyError::Unsupported));
    let junk = Secret::new(pem::encode(pem::PKCS8_KEY, &[1, 2, 3]));
    assert_eq!(OsKeys.load(&junk).err(), Some(KeyError::Unsupported));
}

fn spki(algorithm: &[u8], parameters: Vec<u8>, key: &[u8]) -> Vec<u8> {
    der::sequence(&[der::sequence(&[der::value(der::OID, algorithm), parameters]), der::octets_in_bits(key)])
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let key = der::sequence(&[der::unsigned(modulus), der::unsigned(exponent)]);
    spki(oid::RSA, der::value(der::NULL, &[]), &key)
}

#[track_caller]
fn refused(spki: &[u8], why: KeyRefusal) {
    assert_eq!(PublicKey::parse(spki), Err(why));
}

#[test]
fn n_56_weak_rsa_keys_are_refused() {
    let good = vec![0xc1; 256];
    assert!(PublicKey::parse(&rsa(&good, &[1, 0, 1])).is_ok());
    refused(&rsa(&[0xc1; 128], &[1, 0, 1]), KeyRefusal::RsaBits(1024));
    refused(&rsa(&[0xc1; 1025], &[1, 0, 1]), KeyRefusal::RsaBits(8200));
    refused(&rsa(&[], &[1, 0, 1]), KeyRefusal::RsaBits(0));
    for exponent in [&[1][..], &[3], &[17], &[0], &[1, 0, 0], &[1; 9]] {
        refused(&rsa(&good, exponent), KeyRefusal::RsaExponent);
    }
    let even = [&[0xc1; 255][..], &[2]].concat();
    refused(&rsa(&even, &[1, 0, 1]), KeyRefusal::RsaModulus);
}

#[test]
fn n_56_other_curves_and_algorithms_are_refused() {
    let curve = |curve: &[u8]| der::value(der::OID, curve);
    refused(&spki(oid::EC, curve(oid::P224), &[4; 57]), KeyRefusal::Unsupported("ec 224"));
    refused(&spki(oid::EC, curve(oid::P521), &[4; 133]), KeyRefusal::Unsupported("ec 521"));
    refused(
        &spki(oid::EC, curve(&[0x2b, 0x81, 0x04, 0, 0x0a]), &[4; 65]),
        KeyRefusal::Unknown("ec 1.3.132.0.10".into()),
    );
    let ed25519 =
        der::sequence(&[der::sequence(&[der::value(der::OID, oid::ED25519)]), der::octets_in_bits(&[7; 32])]);
    refused(&ed25519, KeyRefusal::Unsupported("Ed25519"));
}

#[test]
fn n_56_points_off_the_curve_are_refused() {
    let made = OsKeys.make(KeyKind::EcP256).unwrap();
    let mut bytes = made.public_key().spki().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    refused(&bytes, KeyRefusal::Point);
    let curve = || der::value(der::OID, oid::P256);
    refused(&spki(oid::EC, curve(), &[0]), KeyRefusal::Point);
    refused(&spki(oid::EC, curve(), &[0; 65]), KeyRefusal::Point);
    // The compressed form is valid elsewhere, but the mesh writes and accepts only the uncompressed form.
    let point = &made.public_key().spki()[made.public_key().spki().len() - 65..];
    let compressed = [&[2 + (point[64] & 1)][..], &point[1..33]].concat();
    refused(&spki(oid::EC, curve(), &compressed), KeyRefusal::Point);
}
