//! Keys: the traits that make private keys and sign with them, and the checks on foreign public keys.
//!
//! A [`Signer`] is a private key; it need not be in the memory of this process. A [`PublicKey`] belongs to somebody
//! else; it is accepted only if the mesh uses its kind and it is strong enough (N-56).

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::{agreement, digest, signature};
use concord_model::Secret;
use concord_model::ca::KeyKind;
use concord_model::secret::SecretBytes;

use crate::der::{self, DerError, Reader};
use crate::hex::colon_hex;
use crate::limits::{RSA_BITS_MAX, RSA_BITS_MIN, RSA_EXPONENT_MIN};
use crate::oid;

mod os;

pub use self::os::OsKeys;

#[cfg(test)]
mod tests;

/// Makes and loads private keys.
pub trait KeyMaker: fmt::Debug + Send + Sync {
    /// Makes a new key.
    fn make(&self, kind: KeyKind) -> Result<Arc<dyn Signer>, KeyError>;

    /// Loads the key from PEM text: `EC PRIVATE KEY`, `RSA PRIVATE KEY` or `PRIVATE KEY`.
    fn load(&self, pem: &Secret) -> Result<Arc<dyn Signer>, KeyError>;
}

/// A private key.
pub trait Signer: fmt::Debug + Send + Sync {
    /// Its kind. Signatures use ECDSA with SHA-256 (P-256) or SHA-384 (P-384), or RSA PKCS #1 with SHA-256.
    fn kind(&self) -> KeyKind;

    /// Its public half.
    fn public_key(&self) -> &PublicKey;

    /// Signs `message`. The signature has the form that certificates use.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError>;

    /// The private key as PEM: SEC 1 for elliptic curves, PKCS #1 for RSA.
    fn private_key(&self) -> Result<Secret, KeyError>;
}

/// Why a private key cannot be made, loaded or used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// The text is not the PEM of a private key.
    #[error("expected a private key in PEM: \"EC PRIVATE KEY\", \"RSA PRIVATE KEY\" or \"PRIVATE KEY\"")]
    Pem,
    /// The key is damaged or of an unsupported kind.
    #[error("private key is damaged or of an unsupported kind; supported: ec 256, ec 384, rsa 2048")]
    Unsupported,
    /// The cryptographic library failed.
    #[error("the cryptographic library could not {0}")]
    Library(&'static str),
}

/// Why a foreign public key is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum KeyRefusal {
    /// An algorithm or curve that the mesh does not use.
    #[error("public keys of type {0} are not supported; use ec 256, ec 384 or rsa of at least 2048 bits")]
    Unsupported(&'static str),
    /// An algorithm or curve that this crate does not know; the text contains its object identifier.
    #[error("public keys of type {0} are not supported; use ec 256, ec 384 or rsa of at least 2048 bits")]
    Unknown(String),
    /// An RSA modulus that is too small or too large.
    #[error("RSA key has {0} bits; between 2048 and 8192 are accepted")]
    RsaBits(usize),
    /// An even RSA modulus, which cannot be valid.
    #[error("RSA modulus is even")]
    RsaModulus,
    /// An RSA exponent that is invalid or makes signatures weak.
    #[error("RSA exponent is below 65537, even or longer than 64 bits")]
    RsaExponent,
    /// A point that is not on its curve, or not in uncompressed form.
    #[error("elliptic-curve point is not on its curve, or not in uncompressed form")]
    Point,
    /// Not a public key.
    #[error("public key: {0}")]
    Der(#[from] DerError),
}

/// The kind of a public key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PublicKeyKind {
    /// Elliptic curve P-256.
    EcP256,
    /// Elliptic curve P-384.
    EcP384,
    /// RSA.
    Rsa {
        /// Size of the modulus in bits.
        bits: usize,
    },
}

impl From<KeyKind> for PublicKeyKind {
    fn from(kind: KeyKind) -> Self {
        match kind {
            KeyKind::EcP256 => Self::EcP256,
            KeyKind::EcP384 => Self::EcP384,
            KeyKind::Rsa2048 => Self::Rsa { bits: 2048 },
        }
    }
}

impl PublicKeyKind {
    /// The corresponding kind of CA key, if a CA may have such a key.
    pub fn ca_kind(self) -> Option<KeyKind> {
        match self {
            Self::EcP256 => Some(KeyKind::EcP256),
            Self::EcP384 => Some(KeyKind::EcP384),
            Self::Rsa { bits: 2048 } => Some(KeyKind::Rsa2048),
            Self::Rsa { .. } => None,
        }
    }
}

/// A public key of an accepted kind and strength.
#[derive(Clone, Eq, PartialEq)]
pub struct PublicKey {
    spki: Arc<[u8]>,
    kind: PublicKeyKind,
    /// Where the key itself begins in `spki`: the point or the RSAPublicKey.
    key_at: usize,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?}, {})", self.kind, colon_hex(&self.key_id()[..4]))
    }
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo. Refuses keys that the mesh does not accept.
    pub fn parse(spki: &[u8]) -> Result<Self, KeyRefusal> {
        let mut outer = der::only(spki, der::SEQUENCE)?;
        let mut algorithm = outer.nested(der::SEQUENCE)?;
        let identifier = algorithm.body(der::OID)?;
        if identifier == oid::ED25519 {
            return Err(KeyRefusal::Unsupported("Ed25519"));
        }
        if identifier != oid::EC && identifier != oid::RSA {
            return Err(KeyRefusal::Unknown(oid::text(identifier)));
        }
        let curve = if identifier == oid::EC {
            Some(algorithm.body(der::OID)?)
        } else {
            algorithm.body(der::NULL)?;
            None
        };
        algorithm.end()?;
        let key = outer.octets_in_bits()?;
        outer.end()?;
        let kind = match curve {
            None => check_rsa(key)?,
            Some(curve) => check_point(curve, key)?,
        };
        Ok(Self { spki: spki.into(), kind, key_at: spki.len() - key.len() })
    }

    /// Builds the key from an uncompressed point on P-256 or P-384.
    pub fn from_point(kind: KeyKind, point: &[u8]) -> Result<Self, KeyRefusal> {
        let curve = match kind {
            KeyKind::EcP256 => oid::P256,
            KeyKind::EcP384 => oid::P384,
            KeyKind::Rsa2048 => return Err(KeyRefusal::Point),
        };
        let algorithm = der::sequence(&[der::value(der::OID, oid::EC), der::value(der::OID, curve)]);
        Self::parse(&der::sequence(&[algorithm, der::octets_in_bits(point)]))
    }

    /// Builds the key from an RSAPublicKey.
    pub fn from_rsa(key: &[u8]) -> Result<Self, KeyRefusal> {
        let algorithm = der::sequence(&[der::value(der::OID, oid::RSA), der::value(der::NULL, &[])]);
        Self::parse(&der::sequence(&[algorithm, der::octets_in_bits(key)]))
    }

    /// The SubjectPublicKeyInfo.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The kind of the key.
    pub fn kind(&self) -> PublicKeyKind {
        self.kind
    }

    /// The key id that the mesh uses: the 32 bytes of the SHA-256 of the SubjectPublicKeyInfo.
    pub fn key_id(&self) -> [u8; 32] {
        let mut id = [0; 32];
        id.copy_from_slice(digest::digest(&digest::SHA256, &self.spki).as_ref());
        id
    }

    /// Whether `signature` is this key's signature over `message`. `algorithm` is the signature algorithm's identifier.
    pub fn verifies(&self, algorithm: &[u8], message: &[u8], signature: &[u8]) -> bool {
        use signature::{
            ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1,
            ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, RSA_PKCS1_2048_8192_SHA256,
            RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, VerificationAlgorithm,
        };
        let verifier: &'static dyn VerificationAlgorithm = match (self.kind, algorithm) {
            (PublicKeyKind::EcP256, oid::ECDSA_SHA256) => &ECDSA_P256_SHA256_ASN1,
            (PublicKeyKind::EcP256, oid::ECDSA_SHA384) => &ECDSA_P256_SHA384_ASN1,
            (PublicKeyKind::EcP256, oid::ECDSA_SHA512) => &ECDSA_P256_SHA512_ASN1,
            (PublicKeyKind::EcP384, oid::ECDSA_SHA256) => &ECDSA_P384_SHA256_ASN1,
            (PublicKeyKind::EcP384, oid::ECDSA_SHA384) => &ECDSA_P384_SHA384_ASN1,
            (PublicKeyKind::EcP384, oid::ECDSA_SHA512) => &ECDSA_P384_SHA512_ASN1,
            (PublicKeyKind::Rsa { .. }, oid::SHA256_RSA) => &RSA_PKCS1_2048_8192_SHA256,
            (PublicKeyKind::Rsa { .. }, oid::SHA384_RSA) => &RSA_PKCS1_2048_8192_SHA384,
            (PublicKeyKind::Rsa { .. }, oid::SHA512_RSA) => &RSA_PKCS1_2048_8192_SHA512,
            _ => return false,
        };
        signature::UnparsedPublicKey::new(verifier, &self.spki[self.key_at..])
            .verify(message, signature)
            .is_ok()
    }
}

fn check_point(curve: &[u8], point: &[u8]) -> Result<PublicKeyKind, KeyRefusal> {
    let (kind, length, agreement) = match curve {
        oid::P256 => (PublicKeyKind::EcP256, 65, &agreement::ECDH_P256),
        oid::P384 => (PublicKeyKind::EcP384, 97, &agreement::ECDH_P384),
        oid::P224 => return Err(KeyRefusal::Unsupported("ec 224")),
        oid::P521 => return Err(KeyRefusal::Unsupported("ec 521")),
        other => return Err(KeyRefusal::Unknown(format!("ec {}", oid::text(other)))),
    };
    let unparsed = agreement::UnparsedPublicKey::new(agreement, point);
    if point.len() != length || point[0] != 4 || agreement::ParsedPublicKey::try_from(&unparsed).is_err() {
        return Err(KeyRefusal::Point);
    }
    Ok(kind)
}

fn check_rsa(key: &[u8]) -> Result<PublicKeyKind, KeyRefusal> {
    let mut reader = der::only(key, der::SEQUENCE)?;
    let (modulus, exponent) = (reader.unsigned()?, reader.unsigned()?);
    reader.end()?;
    let leading = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    let bits = modulus.len() * 8 - leading;
    if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
        return Err(KeyRefusal::RsaBits(bits));
    }
    if modulus.last().is_none_or(|byte| byte & 1 == 0) {
        return Err(KeyRefusal::RsaModulus);
    }
    let value = exponent.iter().fold(0u64, |all, byte| (all << 8) | u64::from(*byte));
    if exponent.len() > 8 || value < RSA_EXPONENT_MIN || value % 2 == 0 {
        return Err(KeyRefusal::RsaExponent);
    }
    Ok(PublicKeyKind::Rsa { bits })
}

/// The AlgorithmIdentifier of signatures made with a key of this kind.
pub fn signature_algorithm(kind: KeyKind) -> Vec<u8> {
    match kind {
        KeyKind::EcP256 => der::sequence(&[der::value(der::OID, oid::ECDSA_SHA256)]),
        KeyKind::EcP384 => der::sequence(&[der::value(der::OID, oid::ECDSA_SHA384)]),
        KeyKind::Rsa2048 => {
            der::sequence(&[der::value(der::OID, oid::SHA256_RSA), der::value(der::NULL, &[])])
        }
    }
}

/// An elliptic-curve private key in SEC 1 form (RFC 5915), as OpenSSL writes it.
pub fn sec1(kind: KeyKind, scalar: &[u8], point: &[u8]) -> SecretBytes {
    let curve = if kind == KeyKind::EcP384 { oid::P384 } else { oid::P256 };
    let parameters = der::wrap(der::constructed(0), &[der::value(der::OID, curve)]);
    let public = der::wrap(der::constructed(1), &[der::octets_in_bits(point)]);
    let scalar = SecretBytes::new(der::value(der::OCTET_STRING, scalar));
    SecretBytes::new(der::sequence(&[&der::unsigned(&[1])[..], scalar.expose(), &parameters, &public]))
}

/// The parts of a PKCS #8 document.
struct Pkcs8<'a> {
    algorithm: &'a [u8],
    curve: Option<&'a [u8]>,
    key: &'a [u8],
}

impl<'a> Pkcs8<'a> {
    fn read(document: &'a [u8]) -> Result<Self, DerError> {
        let mut reader: Reader<'_> = der::only(document, der::SEQUENCE)?;
        reader.unsigned()?;
        let mut identifier = reader.nested(der::SEQUENCE)?;
        let algorithm = identifier.body(der::OID)?;
        let curve = identifier.optional(der::OID)?;
        Ok(Self { algorithm, curve, key: reader.body(der::OCTET_STRING)? })
    }
}
