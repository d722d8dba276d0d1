//! Tests of pairs of certificates and keys.

use concord_model::Timestamp;
use concord_model::ca::KeyKind;

use super::*;
use crate::der;
use crate::key::{KeyMaker, OsKeys};
use crate::testing::Forge;

/// A certificate with an RSA key of 1024 bits.
const SHORT: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIB/jCCAWegAwIBAgIUT0Z8KI+GKV5I01l5bOP71JzOP8kwDQYJKoZIhvcNAQEL\n\
BQAwEDEOMAwGA1UEAwwFc2hvcnQwIBcNMjYxMTMwMjA0MzU2WhgPMjEyNjExMDYy\n\
MDQzNTZaMBAxDjAMBgNVBAMMBXNob3J0MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCB\n\
iQKBgQDeRXYBPxCH99TOwoa9Ro8r5z6Iv5tu3jbZ2aq+YNp1kdA4Wfyrvj24fKGM\n\
tCh2aIHZSnarB5oRnwpky/9XhhUhj+4EcLhbMUX+AH21SGmeJ9NB+Ymhk6Rl8bkz\n\
ak1Zyaly2zW47f0OnrQNrxKX/Wx3cGwJ1X6UfWc3fqa76MBVQwIDAQABo1MwUTAd\n\
BgNVHQ4EFgQUCr/TPNrgBtko20axrNHFAIlij8MwHwYDVR0jBBgwFoAUCr/TPNrg\n\
Btko20axrNHFAIlij8MwDwYDVR0TAQH/BAUwAwEB/zANBgkqhkiG9w0BAQsFAAOB\n\
gQAod65WhOsltqRcKXqYa2F7TSL5JA+XtrkrvLMIPOkypvITjcuHPTdwrOuuXjPJ\n\
BKl84XDd78yUBOSMmX7En3WQWZ47KXZU4ce5tpAZTu0wyZSsNzFH5CIBnA+eLVRK\n\
nwi2jGTWfbwv6i3x6U8ucFpAK0LZXmok+YaHVo8UxDoDUA==\n\
-----END CERTIFICATE-----\n";

fn made(kind: KeyKind) -> (String, Secret) {
    let key = OsKeys.make(kind).unwrap();
    let (issuer, now) = (der::value(der::SEQUENCE, &[]), Timestamp::from_secs(1_767_225_600));
    let own = Forge::authority("own", &*key, &issuer, now).sign(&*key);
    (crate::pem::encode(crate::pem::CERTIFICATE, &own), key.private_key().unwrap())
}

#[test]
fn n_196_a_certificate_is_taken_with_its_own_key_only() {
    for kind in [KeyKind::EcP256, KeyKind::EcP384, KeyKind::Rsa2048] {
        let ((own, key), (other, others)) = (made(kind), made(KeyKind::EcP256));
        assert_eq!(check_pair(&own, &key), Ok(()));
        assert_eq!(check_pair(&format!("{own}{other}"), &key), Ok(()), "with the one that leads on");
        assert_eq!(check_pair(&format!("{other}{own}"), &key), Err(PairRefusal::Mismatch));
        assert_eq!(check_pair(&own, &others), Err(PairRefusal::Mismatch));
    }
}

#[test]
fn what_is_no_certificate_and_no_key_is_told_by_its_field() {
    let (own, key) = made(KeyKind::EcP256);
    let check = |certificate: &str, key: &str, expected: PairRefusal, field: &str| {
        let found = check_pair(certificate, &Secret::new(key.to_owned())).unwrap_err();
        assert_eq!((found, found.field()), (expected, field));
    };
    check("", key.expose(), PairRefusal::CertificatePem, "Certificate");
    check("text", key.expose(), PairRefusal::CertificatePem, "Certificate");
    check(key.expose(), key.expose(), PairRefusal::CertificatePem, "Certificate");
    check(&own[..own.len() / 2], key.expose(), PairRefusal::CertificatePem, "Certificate");
    let other = crate::pem::encode(crate::pem::CERTIFICATE, b"no certificate");
    check(&other, key.expose(), PairRefusal::Certificate, "Certificate");
    check(&own.repeat(PEM_BLOCKS_MAX + 1), key.expose(), PairRefusal::CertificatePem, "Certificate");
    check(SHORT, key.expose(), PairRefusal::Short(1024), "PrivateKey");
    for text in ["", "text", own.as_str()] {
        check(&own, text, PairRefusal::KeyPem, "PrivateKey");
    }
    let damaged = crate::pem::encode(crate::pem::PKCS8_KEY, b"no key");
    check(&own, &damaged, PairRefusal::Key, "PrivateKey");
}
