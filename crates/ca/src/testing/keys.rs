//! Reproducible keys: the same seed makes the same keys, and these make the same signatures.
//!
//! ECDSA needs a random number for each signature. Here it is derived from the key and the message, similar to RFC
//! 6979. The arithmetic is not constant-time: never use these keys outside tests.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::{agreement, digest};
use concord_model::Secret;
use concord_model::ca::KeyKind;

use crate::der::{self, Reader};
use crate::key::{KeyError, KeyMaker, OsKeys, PublicKey, Signer, sec1};
use crate::pem;

/// A [`KeyMaker`] whose P-256 keys and signatures are derived from a seed.
///
/// Keys of other kinds come from the operating system and are not reproducible.
#[derive(Debug)]
pub struct SeededKeys {
    seed: u64,
    made: AtomicU64,
}

impl SeededKeys {
    /// The keys of this seed, starting with the first.
    pub fn new(seed: u64) -> Self {
        Self { seed, made: AtomicU64::new(0) }
    }
}

impl KeyMaker for SeededKeys {
    fn make(&self, kind: KeyKind) -> Result<Arc<dyn Signer>, KeyError> {
        if kind != KeyKind::EcP256 {
            return OsKeys.make(kind);
        }
        let count = self.made.fetch_add(1, Ordering::Relaxed);
        SeededKey::signer(scalar(&[b"key", &self.seed.to_be_bytes(), &count.to_be_bytes()]))
    }

    fn load(&self, text: &Secret) -> Result<Arc<dyn Signer>, KeyError> {
        let loaded = OsKeys.load(text)?;
        if loaded.kind() != KeyKind::EcP256 {
            return Ok(loaded);
        }
        let written = loaded.private_key()?;
        let document = pem::decode_one(pem::EC_KEY, written.expose()).map_err(|_| KeyError::Pem)?;
        let bytes = read_scalar(&document).map_err(|_| KeyError::Unsupported)?;
        SeededKey::signer(limbs(&bytes))
    }
}

fn read_scalar(document: &[u8]) -> Result<[u8; 32], der::DerError> {
    let mut reader: Reader<'_> = der::only(document, der::SEQUENCE)?;
    reader.unsigned()?;
    let body = reader.body(der::OCTET_STRING)?;
    body.try_into().map_err(|_| der::DerError::Value("private key"))
}

struct SeededKey {
    scalar: Limbs,
    point: Vec<u8>,
    public: PublicKey,
}

impl fmt::Debug for SeededKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SeededKey({:?})", self.public)
    }
}

impl SeededKey {
    fn signer(scalar: Limbs) -> Result<Arc<dyn Signer>, KeyError> {
        let point = times_base(&scalar)?;
        let public = PublicKey::from_point(KeyKind::EcP256, &point).map_err(|_| KeyError::Unsupported)?;
        Ok(Arc::new(Self { scalar, point, public }))
    }
}

impl Signer for SeededKey {
    fn kind(&self) -> KeyKind {
        KeyKind::EcP256
    }

    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let hash = digest::digest(&digest::SHA256, message);
        let nonce = scalar(&[b"nonce", &bytes(&self.scalar), hash.as_ref()]);
        let point = times_base(&nonce)?;
        let r = reduce(&point[1..33]);
        let z = reduce(hash.as_ref());
        let s = multiply(&inverse(&nonce), &add(&z, &multiply(&r, &self.scalar)));
        Ok(der::sequence(&[der::unsigned(&bytes(&r)), der::unsigned(&bytes(&s))]))
    }

    fn private_key(&self) -> Result<Secret, KeyError> {
        let document = sec1(KeyKind::EcP256, &bytes(&self.scalar), &self.point);
        Ok(Secret::new(pem::encode(pem::EC_KEY, document.expose())))
    }
}

fn times_base(scalar: &Limbs) -> Result<Vec<u8>, KeyError> {
    let failed = |_| KeyError::Library("multiply");
    let key = agreement::PrivateKey::from_private_key(&agreement::ECDH_P256, &bytes(scalar))
        .map_err(|_| KeyError::Library("multiply"))?;
    Ok(key.compute_public_key().map_err(failed)?.as_ref().to_vec())
}

/// A number below 2²⁵⁶, lowest limb first.
type Limbs = [u64; 4];

/// The order of P-256's base point (FIPS 186-5).
const ORDER: Limbs =
    [0xf3b9_cac2_fc63_2551, 0xbce6_faad_a717_9e84, 0xffff_ffff_ffff_ffff, 0xffff_ffff_0000_0000];

/// A number from 1 to the order minus 1, from a hash of the parts.
fn scalar(parts: &[&[u8]]) -> Limbs {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let value = reduce(context.finish().as_ref());
    if value == [0; 4] { [1, 0, 0, 0] } else { value }
}

fn limbs(bytes: &[u8]) -> Limbs {
    let mut out = [0; 4];
    for (at, byte) in bytes.iter().rev().take(32).enumerate() {
        out[at / 8] |= u64::from(*byte) << (8 * (at % 8));
    }
    out
}

fn bytes(limbs: &Limbs) -> [u8; 32] {
    let mut out = [0; 32];
    for (at, limb) in limbs.iter().rev().enumerate() {
        out[at * 8..at * 8 + 8].copy_from_slice(&limb.to_be_bytes());
    }
    out
}

/// Sum and carry.
fn plus(a: &Limbs, b: &Limbs) -> (Limbs, bool) {
    let (mut out, mut carry) = ([0; 4], false);
    for at in 0..4 {
        let (sum, first) = a[at].overflowing_add(b[at]);
        let (sum, second) = sum.overflowing_add(u64::from(carry));
        (out[at], carry) = (sum, first || second);
    }
    (out, carry)
}

/// Difference and borrow.
fn minus(a: &Limbs, b: &Limbs) -> (Limbs, bool) {
    let (mut out, mut borrow) = ([0; 4], false);
    for at in 0..4 {
        let (left, first) = a[at].overflowing_sub(b[at]);
        let (left, second) = left.overflowing_sub(u64::from(borrow));
        (out[at], borrow) = (left, first || second);
    }
    (out, borrow)
}

/// The number modulo the order, for a number below twice the order. `carry` adds 2²⁵⁶ to it.
fn below_order(value: Limbs, carry: bool) -> Limbs {
    let (less, borrow) = minus(&value, &ORDER);
    if carry || !borrow { less } else { value }
}

fn reduce(bytes: &[u8]) -> Limbs {
    below_order(limbs(bytes), false)
}

fn add(a: &Limbs, b: &Limbs) -> Limbs {
    let (sum, carry) = plus(a, b);
    below_order(sum, carry)
}

fn subtract(a: &Limbs, b: &Limbs) -> Limbs {
    let (left, borrow) = minus(a, b);
    if borrow { plus(&left, &ORDER).0 } else { left }
}

/// The product modulo the order, by doubling and adding.
fn multiply(a: &Limbs, b: &Limbs) -> Limbs {
    let mut out = [0; 4];
    for at in (0..256).rev() {
        out = add(&out, &out);
        if b[at / 64] >> (at % 64) & 1 == 1 {
            out = add(&out, a);
        }
    }
    out
}

fn halve(value: &Limbs, carry: bool) -> Limbs {
    let mut out = [0; 4];
    for at in 0..4 {
        let above = if at == 3 { u64::from(carry) } else { value[at + 1] & 1 };
        out[at] = value[at] >> 1 | above << 63;
    }
    out
}

fn halve_mod(value: &Limbs) -> Limbs {
    if value[0] & 1 == 0 {
        return halve(value, false);
    }
    let (sum, carry) = plus(value, &ORDER);
    halve(&sum, carry)
}

/// The inverse modulo the order, by the binary Euclidean algorithm.
fn inverse(value: &Limbs) -> Limbs {
    const ONE: Limbs = [1, 0, 0, 0];
    let (mut u, mut v, mut x, mut y) = (*value, ORDER, ONE, [0; 4]);
    while u != ONE && v != ONE {
        while u[0] & 1 == 0 {
            (u, x) = (halve(&u, false), halve_mod(&x));
        }
        while v[0] & 1 == 0 {
            (v, y) = (halve(&v, false), halve_mod(&y));
        }
        match minus(&u, &v) {
            (less, false) => (u, x) = (less, subtract(&x, &y)),
            (_, true) => (v, y) = (minus(&v, &u).0, subtract(&y, &x)),
        }
    }
    if u == ONE { x } else { y }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oid;

    #[test]
    fn the_same_seed_makes_the_same_keys_and_signatures() {
        let (one, two) = (SeededKeys::new(7), SeededKeys::new(7));
        for _ in 0..3 {
            let (a, b) = (one.make(KeyKind::EcP256).unwrap(), two.make(KeyKind::EcP256).unwrap());
            assert_eq!(a.public_key(), b.public_key());
            assert_eq!(a.sign(b"m").unwrap(), b.sign(b"m").unwrap());
        }
        let other = SeededKeys::new(8).make(KeyKind::EcP256).unwrap();
        assert_ne!(other.public_key(), one.make(KeyKind::EcP256).unwrap().public_key());
    }

    #[test]
    fn the_signatures_are_real_ones() {
        let keys = SeededKeys::new(1);
        for count in 0..20u8 {
            let key = keys.make(KeyKind::EcP256).unwrap();
            let signature = key.sign(&[count]).unwrap();
            assert!(key.public_key().verifies(oid::ECDSA_SHA256, &[count], &signature));
            assert!(!key.public_key().verifies(oid::ECDSA_SHA256, &[count + 1], &signature));
            let loaded = keys.load(&key.private_key().unwrap()).unwrap();
            assert_eq!(loaded.sign(&[count]).unwrap(), signature);
        }
    }
}
