//! A certificate of a gateway with its key, as an operator writes them: whether they can be read and belong together.
//!
//! The certificate is not one of the mesh, so nothing else of it is checked here: clients do that.

use concord_model::Secret;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use webpki::EndEntityCert;

use crate::key::{KeyRefusal, PublicKey};
use crate::limits::PEM_BLOCKS_MAX;
use crate::tls::provider;

/// Why a certificate and a key are refused, with the remedy.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PairRefusal {
    /// There is no certificate in the text, or too many.
    #[error(
        "failed to parse certificate PEM; put the certificate first, then those that lead to its authority"
    )]
    CertificatePem,
    /// The first block is not a certificate.
    #[error("failed to parse certificate: its first block is no X.509 certificate")]
    Certificate,
    /// The key is too short.
    #[error("key length must be at least 2048 bits; it has {0}")]
    Short(usize),
    /// There is no key in the text.
    #[error(
        "failed to parse private key PEM; use a block \"PRIVATE KEY\", \"RSA PRIVATE KEY\" or \"EC PRIVATE KEY\""
    )]
    KeyPem,
    /// The key cannot be used.
    #[error("cannot be used; use an RSA key of 2048 bits or more, an EC key of P-256 or P-384, or Ed25519")]
    Key,
    /// The key is another certificate's.
    #[error("private key does not match public key of the certificate")]
    Mismatch,
}

impl PairRefusal {
    /// The field that is wrong.
    pub fn field(self) -> &'static str {
        match self {
            Self::CertificatePem | Self::Certificate => "Certificate",
            Self::Short(_) | Self::KeyPem | Self::Key | Self::Mismatch => "PrivateKey",
        }
    }
}

/// Checks a certificate, with those that lead to its authority, and its key, both in PEM.
pub fn check_pair(certificate: &str, key: &Secret) -> Result<(), PairRefusal> {
    let chain: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_slice_iter(certificate.as_bytes()).take(PEM_BLOCKS_MAX + 1).collect();
    let chain = chain.map_err(|_| PairRefusal::CertificatePem)?;
    let first = chain.first().filter(|_| chain.len() <= PEM_BLOCKS_MAX).ok_or(PairRefusal::CertificatePem)?;
    let leaf = EndEntityCert::try_from(first).map_err(|_| PairRefusal::Certificate)?;
    if let Err(KeyRefusal::RsaBits(bits)) = PublicKey::parse(&leaf.subject_public_key_info())
        && bits < 2048
    {
        return Err(PairRefusal::Short(bits));
    }
    let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes()).map_err(|_| PairRefusal::KeyPem)?;
    match CertifiedKey::from_der(chain, key, &provider()) {
        Ok(_) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => Err(PairRefusal::Mismatch),
        Err(_) => Err(PairRefusal::Key),
    }
}

#[cfg(test)]
mod tests;
