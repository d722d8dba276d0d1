//! Keys from the randomness of the operating system. aws-lc makes them and signs with them.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsBigEndian, AsDer, EcPrivateKeyBin, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use concord_model::Secret;
use concord_model::ca::KeyKind;
use concord_model::secret::SecretBytes;

use super::{KeyError, KeyMaker, Pkcs8, PublicKey, Signer, sec1};
use crate::der::{self, Reader};
use crate::{oid, pem};

/// The [`KeyMaker`] of the product. Only the `concord` binary and tests construct it.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsKeys;

impl KeyMaker for OsKeys {
    fn make(&self, kind: KeyKind) -> Result<Arc<dyn Signer>, KeyError> {
        let failed = |_| KeyError::Library("make a key");
        match kind {
            KeyKind::EcP256 | KeyKind::EcP384 => {
                ec_signer(kind, EcdsaKeyPair::generate(ec_algorithm(kind)).map_err(failed)?)
            }
            KeyKind::Rsa2048 => rsa_signer(RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?),
        }
    }

    fn load(&self, text: &Secret) -> Result<Arc<dyn Signer>, KeyError> {
        let label = match pem::first_label(text.expose()) {
            Some(pem::EC_KEY) => pem::EC_KEY,
            Some(pem::RSA_KEY) => pem::RSA_KEY,
            Some(pem::PKCS8_KEY) => pem::PKCS8_KEY,
            _ => return Err(KeyError::Pem),
        };
        let document = SecretBytes::new(pem::decode_one(label, text.expose()).map_err(|_| KeyError::Pem)?);
        let rejected = |_| KeyError::Unsupported;
        let bad = |_| KeyError::Unsupported;
        match label {
            pem::RSA_KEY => rsa_signer(RsaKeyPair::from_der(document.expose()).map_err(rejected)?),
            pem::EC_KEY => {
                let kind = curve_kind(sec1_curve(document.expose()).map_err(bad)?)?;
                ec_signer(
                    kind,
                    EcdsaKeyPair::from_private_key_der(ec_algorithm(kind), document.expose())
                        .map_err(rejected)?,
                )
            }
            _ => {
                let Pkcs8 { algorithm, curve, key: _ } = Pkcs8::read(document.expose()).map_err(bad)?;
                if algorithm == oid::RSA {
                    return rsa_signer(RsaKeyPair::from_pkcs8(document.expose()).map_err(rejected)?);
                }
                let kind = curve_kind(curve)?;
                ec_signer(
                    kind,
                    EcdsaKeyPair::from_private_key_der(ec_algorithm(kind), document.expose())
                        .map_err(rejected)?,
                )
            }
        }
    }
}

fn ec_algorithm(kind: KeyKind) -> &'static EcdsaSigningAlgorithm {
    match kind {
        KeyKind::EcP384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
        KeyKind::EcP256 | KeyKind::Rsa2048 => &ECDSA_P256_SHA256_ASN1_SIGNING,
    }
}

fn curve_kind(curve: Option<&[u8]>) -> Result<KeyKind, KeyError> {
    match curve {
        Some(oid::P256) => Ok(KeyKind::EcP256),
        Some(oid::P384) => Ok(KeyKind::EcP384),
        _ => Err(KeyError::Unsupported),
    }
}

/// The curve that a SEC 1 document names.
fn sec1_curve(document: &[u8]) -> Result<Option<&[u8]>, der::DerError> {
    let mut reader: Reader<'_> = der::only(document, der::SEQUENCE)?;
    reader.unsigned()?;
    reader.body(der::OCTET_STRING)?;
    match reader.optional(der::constructed(0))? {
        Some(parameters) => Reader::new(parameters).body(der::OID).map(Some),
        None => Ok(None),
    }
}

fn ec_signer(kind: KeyKind, pair: EcdsaKeyPair) -> Result<Arc<dyn Signer>, KeyError> {
    let public =
        PublicKey::from_point(kind, pair.public_key().as_ref()).map_err(|_| KeyError::Unsupported)?;
    Ok(Arc::new(EcKey { kind, pair, public }))
}

fn rsa_signer(pair: RsaKeyPair) -> Result<Arc<dyn Signer>, KeyError> {
    let public = PublicKey::from_rsa(pair.public_key().as_ref()).map_err(|_| KeyError::Unsupported)?;
    if public.kind() != KeyKind::Rsa2048.into() {
        return Err(KeyError::Unsupported);
    }
    Ok(Arc::new(RsaKey { pair, public }))
}

struct EcKey {
    kind: KeyKind,
    pair: EcdsaKeyPair,
    public: PublicKey,
}

impl fmt::Debug for EcKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EcKey({}, <hidden>)", self.kind)
    }
}

impl Signer for EcKey {
    fn kind(&self) -> KeyKind {
        self.kind
    }

    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature =
            self.pair.sign(&SystemRandom::new(), message).map_err(|_| KeyError::Library("sign"))?;
        Ok(signature.as_ref().to_vec())
    }

    fn private_key(&self) -> Result<Secret, KeyError> {
        let scalar: EcPrivateKeyBin<'static> =
            self.pair.private_key().as_be_bytes().map_err(|_| KeyError::Library("write a key"))?;
        let document = sec1(self.kind, scalar.as_ref(), self.pair.public_key().as_ref());
        Ok(Secret::new(pem::encode(pem::EC_KEY, document.expose())))
    }
}

struct RsaKey {
    pair: RsaKeyPair,
    public: PublicKey,
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RsaKey(rsa 2048, <hidden>)")
    }
}

impl Signer for RsaKey {
    fn kind(&self) -> KeyKind {
        KeyKind::Rsa2048
    }

    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| KeyError::Library("sign"))?;
        Ok(signature)
    }

    fn private_key(&self) -> Result<Secret, KeyError> {
        let failed = KeyError::Library("write a key");
        let document: Pkcs8V1Der<'static> = self.pair.as_der().map_err(|_| failed.clone())?;
        let inner = Pkcs8::read(document.as_ref()).map_err(|_| failed)?.key;
        Ok(Secret::new(pem::encode(pem::RSA_KEY, inner)))
    }
}
