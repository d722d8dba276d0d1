//! Stores the reports of services for TTL checks over a restart: one file per check below `checks/state/`, until the
//! report's TTL is over.
//!
//! A verdict is not a registration: the service repeats it every few seconds, and without it the check only begins
//! with its initial state. So a report does not wait for the disk, and the file is not flushed:
//! [`Saver`] writes it in place soon afterwards. That survives the end of the process. After a power
//! loss the checksum shows a damaged file; it is dropped with a warning, and the service reports again.

mod saving;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use concord_model::catalog::CheckStatus;
use concord_model::registration::Probe;
use concord_model::{CheckId, InstanceId, Timestamp};
use concord_runtime::{Disk, DiskError, World};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub(crate) use self::saving::Saver;
use crate::limits::CHECK_STATE_FILE_BYTES_MAX;
use crate::local::{Local, Verdict};

/// The current format number.
const FORMAT: u32 = 1;
const STATES: &str = "checks/state";
/// Hexadecimal digits of the checksum before each verdict.
const CHECKSUM: usize = 16;

/// Why a stored verdict is not used. The check then begins with its initial state.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Dropped {
    /// The disk reported an error.
    #[error("the verdict of a check in the data directory: {0}; the check begins anew")]
    Disk(#[from] DiskError),
    /// A file is damaged.
    #[error(
        "{path}: cannot be read as the verdict of a check ({error}); it is dropped and the check begins anew"
    )]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        error: Damage,
    },
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Damage {
    /// It is longer than any file that was written.
    #[error("{0} bytes are too many")]
    TooLong(u64),
    /// It was not completely written.
    #[error("its checksum is not that of its content")]
    Checksum,
    /// Its content is not of this version, or not valid.
    #[error(transparent)]
    Content(#[from] serde_json::Error),
    /// It was written by a later version.
    #[error("it was written by a later version, format {0}")]
    Later(u32),
}

#[derive(Deserialize, Serialize)]
struct VerdictFile {
    format: u32,
    check: CheckId,
    #[serde(default)]
    service: Option<InstanceId>,
    ttl: Duration,
    status: CheckStatus,
    output: String,
    /// When it expires, by the wall clock.
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

/// The directory of verdicts.
#[derive(Clone, Debug)]
pub(crate) struct Verdicts {
    disk: Arc<dyn Disk>,
}

/// Restores the stored verdicts that are still valid. Removes files of checks that do not exist, that are no TTL
/// checks, or whose report has expired.
pub(crate) fn restore(local: &mut Local, world: &World) {
    let verdicts = Verdicts::new(Arc::clone(&world.disk));
    let of_ttl = local.checks.values().filter(|record| matches!(record.spec.probe, Probe::Ttl(_)));
    let known = of_ttl.map(|record| (name(&record.spec.id), record.spec.id.clone())).collect();
    let (wall, now) = (Timestamp::from_nanos(world.clock.wall_nanos()), world.clock.now());
    let (found, dropped) = verdicts.load(&known, wall);
    for dropped in dropped {
        tracing::warn!(%dropped, "the stored verdict of a check is not used");
    }
    found.into_iter().for_each(|(id, verdict)| local.restore(&id, verdict, now));
}

impl Verdicts {
    fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk }
    }

    /// Loads the valid verdicts of these checks, by file name. Removes all other files.
    fn load(
        &self,
        known: &BTreeMap<String, CheckId>,
        wall: Timestamp,
    ) -> (Vec<(CheckId, Verdict)>, Vec<Dropped>) {
        let (mut found, mut dropped) = (Vec::new(), Vec::new());
        let names = self.disk.list(STATES).unwrap_or_else(|error| {
            dropped.push(error.into());
            Vec::new()
        });
        for name in names {
            let path = format!("{STATES}/{name}");
            let read = known.get(&name).map(|id| self.read(&path, id, wall)).transpose();
            match read.map(Option::flatten) {
                Ok(Some(one)) => {
                    found.push(one);
                    continue;
                }
                Ok(None) => {}
                Err(error) => dropped.push(error),
            }
            if let Err(error) = self.remove(&path) {
                dropped.push(error.into());
            }
        }
        (found, dropped)
    }

    /// Reads one verdict. `None` if it has expired or belongs to another check.
    fn read(&self, path: &str, id: &CheckId, wall: Timestamp) -> Result<Option<(CheckId, Verdict)>, Dropped> {
        let content = self.disk.read(path)?;
        let file = decoded(&content).map_err(|error| Dropped::Damaged { path: path.to_owned(), error })?;
        let VerdictFile { format: _, check, service, ttl, status, output, expires_at } = file;
        if check != *id || expires_at <= wall {
            return Ok(None);
        }
        let left = expires_at.since(wall);
        Ok(Some((check, Verdict { service, ttl, status, output, left })))
    }

    /// Saves each of these verdicts. Returns the worst error.
    fn save_all(&self, batch: &[(CheckId, Option<Verdict>)], wall: Timestamp) -> Result<(), DiskError> {
        let mut outcome = Ok(());
        for (id, verdict) in batch {
            let path = format!("{STATES}/{}", name(id));
            let saved = match verdict {
                Some(verdict) => self.save(&path, id, verdict, wall),
                None => self.remove(&path),
            };
            match saved {
                Ok(()) => {}
                Err(error) if error.is_fatal() => return Err(error),
                Err(error) => {
                    // The file holds an older report: no report is better than a wrong one.
                    let _ = self.remove(&path);
                    outcome = Err(error);
                }
            }
        }
        outcome
    }

    /// Writes in place and without a flush. Bytes after the line may remain from a longer one.
    fn save(&self, path: &str, id: &CheckId, verdict: &Verdict, wall: Timestamp) -> Result<(), DiskError> {
        let content = encoded(id, verdict, wall);
        let file = self.disk.open(path)?;
        file.write_at(0, &content)?;
        let len = content.len() as u64;
        if file.len()? > len { file.set_len(len) } else { Ok(()) }
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        match self.disk.exists(path)? {
            true => self.disk.remove(path),
            false => Ok(()),
        }
    }
}

fn name(id: &CheckId) -> String {
    hex(&Sha256::digest(id.as_str()))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn checksum(text: &[u8]) -> String {
    hex(&Sha256::digest(text)[..CHECKSUM / 2])
}

/// One line: checksum, space, JSON.
fn encoded(id: &CheckId, verdict: &Verdict, wall: Timestamp) -> Vec<u8> {
    let Verdict { service, ttl, status, output, left } = verdict.clone();
    let expires_at = wall.plus(left);
    let file = VerdictFile { format: FORMAT, check: id.clone(), service, ttl, status, output, expires_at };
    let json = serde_json::to_string(&file).expect("names, numbers and texts have a form in JSON");
    format!("{} {json}\n", checksum(json.as_bytes())).into_bytes()
}

fn decoded(content: &[u8]) -> Result<VerdictFile, Damage> {
    if content.len() > CHECK_STATE_FILE_BYTES_MAX {
        return Err(Damage::TooLong(content.len() as u64));
    }
    let line = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let (sum, json) = line.split_at_checked(CHECKSUM).ok_or(Damage::Checksum)?;
    let json = json.strip_prefix(b" ").ok_or(Damage::Checksum)?;
    if sum != checksum(json).as_bytes() {
        return Err(Damage::Checksum);
    }
    let FormatOnly { format } = serde_json::from_slice(json)?;
    if format > FORMAT {
        return Err(Damage::Later(format));
    }
    Ok(serde_json::from_slice(json)?)
}

#[cfg(test)]
mod tests;
