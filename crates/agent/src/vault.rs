//! Files of the agent that hold tokens, each sealed whole under the keys the authority's keys are sealed under.
//!
//! Sealing is also the checksum: an envelope is opened for its own path only, and no byte of it can be
//! changed. What landed versions and other programs wrote in the clear is read once; who reads it writes it
//! anew.

use std::fmt;
use std::sync::Arc;

use concord_ca::seal::{self, Kek, SealError};
use concord_model::ca::Sealed;
use concord_model::secret::SecretBytes;
use concord_runtime::{Disk, DiskError, World};
use serde::{Deserialize, Serialize};

/// The number of the format written now; what has a smaller one, or none, is in the clear.
const FORMAT: u32 = 2;

/// Seals files on their way to the disk, and opens them.
#[derive(Clone)]
pub(crate) struct Vault {
    keks: Arc<[Kek]>,
    world: World,
}

/// What was in a file.
pub(crate) enum Content {
    /// It was sealed.
    Sealed(SecretBytes),
    /// It was not.
    Clear(Vec<u8>),
}

/// Why a file cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// It is not what was written.
    #[error(
        "{path} in the data directory has been changed or is damaged; restore it, or remove it and register or set anew \
         what was in it"
    )]
    Damaged {
        /// The file.
        path: String,
    },
    /// It is in the clear where nothing is any more.
    #[error(
        "{path} in the data directory is not sealed, and this agent did not write it so; remove it and register again"
    )]
    NotSealed {
        /// The file.
        path: String,
    },
    /// It was sealed with a key that is not at hand.
    #[error(
        "{path} in the data directory: {error}. Name the key it was sealed with in sealing.key_file or sealing.key_env. If \
         that is lost for good, remove acl-tokens.json and the directories services, checks and registered from the data \
         directory, then register the services and set the tokens again"
    )]
    Key {
        /// The file.
        path: String,
        /// Which key it wants.
        error: SealError,
    },
    /// A file of a later version.
    #[error(
        "{path} in the data directory: written by a later version (format {format}); start that version, or remove the file \
         and register or set anew what was in it"
    )]
    Later {
        /// The file.
        path: String,
        /// Its format.
        format: u32,
    },
    /// Sealing itself failed.
    #[error("{path} in the data directory cannot be sealed: {error}")]
    Sealing {
        /// The file.
        path: String,
        /// Why.
        error: SealError,
    },
}

/// A file as it lies on the disk.
#[derive(Deserialize, Serialize)]
struct SealedFile {
    format: u32,
    sealed: Sealed,
}

/// As much of any file as tells whether it is sealed.
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

    /// A file's bytes as they lie on the disk; `None` if there is none.
    pub(crate) fn raw(&self, path: &str) -> Result<Option<Vec<u8>>, DiskError> {
        match self.disk().read(path) {
            Ok(content) => Ok(Some(content)),
            Err(DiskError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What is to lie on the disk at this path, and nowhere else.
    pub(crate) fn seal(&self, path: &str, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mut fill = |buffer: &mut [u8]| self.world.entropy.fill(buffer);
        let sealed = seal::seal(&purpose(path), plain, &self.keks, &mut fill)
            .map_err(|error| VaultError::Sealing { path: path.to_owned(), error })?;
        let file = SealedFile { format: FORMAT, sealed };
        Ok(serde_json::to_vec(&file).expect("numbers and texts have a form in JSON"))
    }

    /// What lies on the disk at this path, opened.
    pub(crate) fn open(&self, path: &str, raw: Vec<u8>) -> Result<Content, VaultError> {
        let own = || path.to_owned();
        match serde_json::from_slice(&raw) {
            Ok(Outside { format: FORMAT }) => {}
            Ok(Outside { format }) if format > FORMAT => {
                return Err(VaultError::Later { path: own(), format });
            }
            // What is no JSON at all is told by whoever expects something in the clear.
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
