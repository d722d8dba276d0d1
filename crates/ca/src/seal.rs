//! Sealed envelopes: the form in which the log and snapshots contain CA keys (N-118).
//!
//! The cipher is AES-256-GCM. Each envelope has its own data key, which encrypts the data. Each key-encryption key
//! wraps that data key once. The purpose is authenticated data of the encryption and of each wrap; a wrap also
//! authenticates the fingerprint of its key-encryption key. So an envelope cannot be opened for another purpose, and a
//! wrap cannot be moved. Key-encryption keys come from outside the data directory.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use concord_model::ca::{KeyWrap, Sealed};
use concord_model::secret::SecretBytes;
use zeroize::Zeroizing;

use crate::limits::KEKS_MAX;

#[cfg(test)]
mod tests;

/// Fills a buffer with unpredictable bytes. The only source of randomness of this module.
pub type Entropy<'a> = &'a mut dyn FnMut(&mut [u8]);

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// Why sealing or opening failed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SealError {
    /// The text of a key-encryption key is not 32 bytes in base64.
    #[error("a key-encryption key must be 32 bytes, written in base64")]
    Kek,
    /// There are no key-encryption keys, or more than [`KEKS_MAX`].
    #[error("between 1 and 8 key-encryption keys are needed, found {0}")]
    KekCount(usize),
    /// The envelope was sealed for another purpose.
    #[error("the envelope was sealed for {sealed_for:?}, not for {wanted:?}")]
    Purpose {
        /// The purpose for which it was sealed.
        sealed_for: String,
        /// The purpose for which it should be opened.
        wanted: String,
    },
    /// None of the given key-encryption keys opens the envelope.
    #[error("none of the key-encryption keys at hand opens the envelope; it wants {}", .wanted.join(" or "))]
    UnknownKek {
        /// Fingerprints of the keys that can open it.
        wanted: Vec<String>,
    },
    /// The envelope was modified or is damaged.
    #[error("the envelope has been changed or is damaged")]
    Damaged,
    /// The cryptographic library failed.
    #[error("the cryptographic library could not seal")]
    Library,
}

/// A key-encryption key of 32 bytes.
#[derive(Clone)]
pub struct Kek {
    key: SecretBytes,
    id: String,
}

impl fmt::Debug for Kek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kek({})", self.id)
    }
}

impl Kek {
    /// Builds the key from its 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealError> {
        if bytes.len() != KEY_BYTES {
            return Err(SealError::Kek);
        }
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"concord kek fingerprint\0");
        context.update(bytes);
        let id = context.finish().as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { key: SecretBytes::new(bytes.to_vec()), id })
    }

    /// Reads base64 text, as it is in a file or a variable. Surrounding white space is ignored.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| SealError::Kek)?);
        Self::from_bytes(&bytes)
    }

    /// Makes a new key, and its base64 text for storage.
    pub fn generate(entropy: Entropy<'_>) -> Result<(Self, concord_model::Secret), SealError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        entropy(&mut *bytes);
        Ok((Self::from_bytes(&*bytes)?, concord_model::Secret::new(STANDARD.encode(*bytes))))
    }

    /// The key's fingerprint. It identifies the key and reveals nothing of it.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// Seals `plaintext` for `purpose` under each of the keys.
pub fn seal(
    purpose: &str,
    plaintext: &[u8],
    keks: &[Kek],
    entropy: Entropy<'_>,
) -> Result<Sealed, SealError> {
    if keks.is_empty() || keks.len() > KEKS_MAX {
        return Err(SealError::KekCount(keks.len()));
    }
    let mut data_key = Zeroizing::new([0; KEY_BYTES]);
    entropy(&mut *data_key);
    let (nonce, ciphertext) = encrypt(&*data_key, purpose.as_bytes(), plaintext, entropy)?;
    let mut wraps = Vec::with_capacity(keks.len());
    for kek in keks {
        let bound = wrap_data(purpose, &kek.id);
        let (nonce, ciphertext) = encrypt(kek.key.expose(), &bound, &*data_key, entropy)?;
        wraps.push(KeyWrap { kek_id: kek.id.clone(), nonce, ciphertext });
    }
    Ok(Sealed { purpose: purpose.to_owned(), nonce, ciphertext, wraps })
}

/// Opens an envelope that was sealed for `purpose`, with one of the keys.
pub fn open(purpose: &str, sealed: &Sealed, keks: &[Kek]) -> Result<SecretBytes, SealError> {
    if sealed.purpose != purpose {
        return Err(SealError::Purpose { sealed_for: sealed.purpose.clone(), wanted: purpose.to_owned() });
    }
    let pair = keks
        .iter()
        .find_map(|kek| sealed.wraps.iter().find(|wrap| wrap.kek_id == kek.id).map(|wrap| (kek, wrap)))
        .ok_or_else(|| SealError::UnknownKek {
            wanted: sealed.wraps.iter().take(KEKS_MAX).map(|wrap| wrap.kek_id.clone()).collect(),
        })?;
    let (kek, wrap) = pair;
    let data_key = decrypt(kek.key.expose(), &wrap_data(purpose, &kek.id), &wrap.nonce, &wrap.ciphertext)?;
    decrypt(data_key.expose(), purpose.as_bytes(), &sealed.nonce, &sealed.ciphertext)
}

/// Opens an envelope and seals it under other keys, after a key-encryption key was added or removed.
pub fn reseal(
    purpose: &str,
    sealed: &Sealed,
    old: &[Kek],
    new: &[Kek],
    entropy: Entropy<'_>,
) -> Result<Sealed, SealError> {
    seal(purpose, open(purpose, sealed, old)?.expose(), new, entropy)
}

/// The length before the purpose makes the encoding unambiguous.
fn wrap_data(purpose: &str, kek_id: &str) -> Vec<u8> {
    let length = u64::try_from(purpose.len()).unwrap_or(u64::MAX).to_be_bytes();
    [&b"concord key wrap\0"[..], &length, purpose.as_bytes(), kek_id.as_bytes()].concat()
}

fn cipher(key: &[u8]) -> Result<LessSafeKey, SealError> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(|_| SealError::Damaged)
}

fn encrypt(
    key: &[u8],
    bound: &[u8],
    plaintext: &[u8],
    entropy: Entropy<'_>,
) -> Result<(Vec<u8>, Vec<u8>), SealError> {
    let mut nonce = [0; NONCE_BYTES];
    entropy(&mut nonce);
    let mut buffer = Vec::with_capacity(plaintext.len() + AES_256_GCM.tag_len());
    buffer.extend_from_slice(plaintext);
    cipher(key)?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(bound), &mut buffer)
        .map_err(|_| SealError::Library)?;
    Ok((nonce.to_vec(), buffer))
}

fn decrypt(key: &[u8], bound: &[u8], nonce: &[u8], ciphertext: &[u8]) -> Result<SecretBytes, SealError> {
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Damaged)?;
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let plaintext =
        cipher(key)?.open_in_place(nonce, Aad::from(bound), &mut buffer).map_err(|_| SealError::Damaged)?;
    Ok(SecretBytes::take_from(plaintext))
}
