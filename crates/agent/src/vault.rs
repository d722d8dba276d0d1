//! The agent's files that hold tokens. Each is encrypted as a whole, with the keys that also encrypt the CA's keys.
//!
//! Encryption also serves as a checksum: a file can be decrypted only under its own path, and no byte of it can be
//! changed. Unencrypted files of earlier versions and of other programs are read once; the reader writes them again
//! encrypted.

use std::fmt;
use std::sync::Arc;

use concord_ca::seal::{self, Kek, SealError};
use concord_model::ca::Sealed;
use concord_model::secret::SecretBytes;
use concord_runtime::{Disk, DiskError, World};
use serde::{Deserialize, Serialize};

/// The current format number. A file with a smaller one, or with none, is not encrypted.
const FORMAT: u32 = 2;

/// Encrypts files before they are written, and decrypts them.
#[derive(Clone)]
pub(crate) struct Vault {
    keks: Arc<[Kek]>,
    world: World,
}

/// The content of a file.
pub(crate) enum Content {
    /// It was encrypted.
    Sealed(SecretBytes),
    /// It was not encrypted.
    Clear(Vec<u8>),
}

/// Why a file cannot be encrypted or decrypted.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The file was changed or is damaged.
    #[error(
        "{path} in the data directory has been changed or is damaged; restore it, or remove it and register or set anew \
         what was in it"
    )]
    Damaged {
        /// The file.
        path: String,
    },
    /// The file is not encrypted, although all files are by now.
    #[error(
        "{path} in the data directory is not sealed, and this agent did not write it so; remove it and register again"
    )]
    NotSealed {
        /// The file.
        path: String,
    },
    /// It was encrypted with a key that is not configured.
    #[error(
        "{path} in the data directory: {error}. Name the key it was sealed with in sealing.key_file or sealing.key_env. If \
         that is lost for good, remove acl-tokens.json and the directories services, checks and registered from the data \
         directory, then register the services and set the tokens again"
    )]
    Key {
        /// The file.
        path: String,
        /// Which key is missing.
        error: SealError,
    },
    /// The file was written by a later version.
    #[error(
        "{path} in the data directory: written by a later version (format {format}); start that version, or remove the file \
         and register or set anew what was in it"
    )]
    Later {
        /// The file.
        path: String,
        /// Its format number.
        format: u32,
    },
    /// The encryption failed.
    #[error("{path} in the data directory cannot be sealed: {error}")]
    Sealing {
        /// The file.
        path: String,
        /// The cause.
        error: SealError,
    },
}

/// A file as it is on disk.
#[derive(Deserialize, Serialize)]
struct SealedFile {
    format: u32,
    sealed: Sealed,
}

/// The fields that show whether a file is encrypted.
#[derive(Deserialize)]
struct Outside {
    #[serde(default)]
    format: u32,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("keks", &self.keks).finish_non_exhaustive()
    }
}

impl Vault {
    pub(crate) fn new(keks: &[Kek], world: &World) -> Self {
        Self { keks: keks.into(), world: world.clone() }
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.world.disk
    }

    /// The bytes of a file on disk; `None` if it does not exist.
    pub(crate) fn raw(&self, path: &str) -> Result<Option<Vec<u8>>, DiskError> {
        match self.disk().read(path) {
            Ok(content) => Ok(Some(content)),
            Err(DiskError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The encrypted bytes for a file at this path. They are valid for no other path.
    pub(crate) fn seal(&self, path: &str, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mut fill = |buffer: &mut [u8]| self.world.entropy.fill(buffer);
        let sealed = seal::seal(&purpose(path), plain, &self.keks, &mut fill)
            .map_err(|error| VaultError::Sealing { path: path.to_owned(), error })?;
        let file = SealedFile { format: FORMAT, sealed };
        Ok(serde_json::to_vec(&file).expect("numbers and texts have a form in JSON"))
    }

    /// Decrypts the bytes of the file at this path.
    pub(crate) fn open(&self, path: &str, raw: Vec<u8>) -> Result<Content, VaultError> {
        let own = || path.to_owned();
        match serde_json::from_slice(&raw) {
            Ok(Outside { format: FORMAT }) => {}
            Ok(Outside { format }) if format > FORMAT => {
                return Err(VaultError::Later { path: own(), format });
            }
            // If the bytes are not JSON, the caller reports it: it expects unencrypted content.
            Ok(Outside { .. }) | Err(_) => return Ok(Content::Clear(raw)),
        }
        let file: SealedFile =
            serde_json::from_slice(&raw).map_err(|_| VaultError::Damaged { path: own() })?;
        match seal::open(&purpose(path), &file.sealed, &self.keks) {
            Ok(plain) => Ok(Content::Sealed(plain)),
            Err(error @ SealError::UnknownKek { .. }) => Err(VaultError::Key { path: own(), error }),
            Err(_) => Err(VaultError::Damaged { path: own() }),
        }
    }
}

fn purpose(path: &str) -> String {
    format!("concord agent file {path}")
}
