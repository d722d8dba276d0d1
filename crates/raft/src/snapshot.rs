//! Snapshots: files with a checksum, of which the two newest are kept; or one snapshot in memory.
//!
//! A file is `magic · format · length of meta · length of body · meta · body · SHA-256 of everything before`. The
//! meta names the last entry and the members. A file is written as a whole (temporary file, flush, rename), so only a
//! failing disk can damage it. Then the older snapshot is used, together with the log, which is purged only up to the
//! older of the two.
//!
//! A failed snapshot file never stops the node: a snapshot that is not durable does not count, and the log after the
//! last good one is kept.

use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use concord_runtime::{Disk, DiskError};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use crate::engine::{LogId, SnapshotMeta};
use crate::limits::SNAPSHOTS_KEPT;

pub(crate) mod keeper;
pub(crate) mod progress;

const DIR: &str = "raft/snapshots";
const SUFFIX: &str = ".snapshot";
const MAGIC: &[u8; 8] = b"CNCDSNAP";
const FORMAT: u32 = 1;
const HEADER_BYTES: usize = 8 + 4 + 4 + 8;
const DIGEST_BYTES: usize = 32;

/// The snapshots of one node. Calls may block.
#[derive(Debug)]
pub(crate) struct Snapshots {
    disk: Option<Arc<dyn Disk>>,
    kept: Mutex<KeptSnapshot>,
}

#[derive(Debug, Default)]
struct KeptSnapshot {
    /// Oldest first.
    metas: Vec<SnapshotMeta>,
    /// The content of the newest one, if there is no disk.
    body: Option<Bytes>,
    /// The size of the newest one's content in bytes.
    newest_bytes: u64,
}

/// How far the snapshots allow to purge the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PurgeFloor {
    /// No snapshot needs the log.
    Free,
    /// There is only one snapshot. If its file is damaged, the log is needed from the beginning.
    KeepAll,
    /// The older snapshot ends at this entry.
    UpTo(LogId),
}

/// Why a snapshot file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error("{name}: {reason}")]
    Damaged { name: String, reason: String },
    #[error("{name}: format {found}, this version reads {FORMAT}; start a version that knows it")]
    Format { name: String, found: u32 },
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Snapshots {
    /// Opens the snapshots on a disk, or an empty store in memory. Damaged files are reported and not removed.
    pub(crate) fn open(disk: Option<Arc<dyn Disk>>) -> Result<Self, SnapshotError> {
        let mut kept = KeptSnapshot::default();
        if let Some(disk) = &disk {
            // Each of these files is as large as a snapshot, and has its own name, so no later file replaces it.
            if let Err(error) = disk.remove_unfinished(DIR) {
                tracing::warn!(%error, "cannot remove unfinished snapshots, which take disk space");
            }
            let mut found = Vec::new();
            for name in files(&**disk)? {
                match load(&**disk, &name) {
                    Ok((meta, body)) => found.push((meta, body.len() as u64)),
                    Err(error @ SnapshotError::Format { .. }) => return Err(error),
                    Err(error) => tracing::error!(%error, "a snapshot is damaged and will not be used"),
                }
            }
            found.sort_by_key(|(meta, _)| meta.last_log_id);
            kept.newest_bytes = found.last().map_or(0, |(_, bytes)| *bytes);
            kept.metas = found.into_iter().map(|(meta, _)| meta).collect();
        }
        Ok(Self { disk, kept: Mutex::new(kept) })
    }

    /// The size of the newest one's content; 0 if there is none.
    pub(crate) fn newest_bytes(&self) -> u64 {
        self.kept.lock().newest_bytes
    }

    /// The meta of the newest one; the empty meta if there is none.
    pub(crate) fn newest_meta(&self) -> SnapshotMeta {
        self.kept.lock().metas.last().cloned().unwrap_or_default()
    }

    /// Stores a snapshot durably and removes those that are no longer needed.
    pub(crate) fn save(&self, meta: &SnapshotMeta, body: Bytes) -> Result<(), SnapshotError> {
        let mut kept = self.kept.lock();
        if kept.metas.last().is_some_and(|newest| newest.last_log_id >= meta.last_log_id) {
            // The same state again: it was restored at the start, or nothing was applied since the last snapshot.
            return Ok(());
        }
        let bytes = body.len() as u64;
        match &self.disk {
            None => {
                kept.metas = vec![meta.clone()];
                kept.body = Some(body);
            }
            Some(disk) => {
                // Even a failed flush does not change the other files, and the next attempt writes a new one.
                disk.write_atomic(&format!("{DIR}/{}", name(meta)), &encode(meta, &body))?;
                kept.metas.push(meta.clone());
                let excess = kept.metas.len().saturating_sub(SNAPSHOTS_KEPT);
                kept.metas.drain(..excess);
                let wanted: Vec<String> = kept.metas.iter().map(name).collect();
                if kept.metas.len() == SNAPSHOTS_KEPT {
                    remove_others(&**disk, &wanted);
                }
            }
        }
        kept.newest_bytes = bytes;
        Ok(())
    }

    /// The newest good snapshot. A file that was damaged since the start is skipped.
    pub(crate) fn newest(&self) -> Result<Option<(SnapshotMeta, Bytes)>, SnapshotError> {
        let mut kept = self.kept.lock();
        let Some(disk) = &self.disk else {
            return Ok(kept.metas.last().cloned().zip(kept.body.clone()));
        };
        while let Some(meta) = kept.metas.last() {
            match load(&**disk, &name(meta)) {
                Ok(found) => return Ok(Some(found)),
                Err(error) => {
                    tracing::error!(%error, "a snapshot is damaged and will not be used");
                    kept.metas.pop();
                }
            }
        }
        Ok(None)
    }

    /// How far the log may be purged.
    pub(crate) fn purge_floor(&self) -> PurgeFloor {
        if self.disk.is_none() {
            return PurgeFloor::Free;
        }
        // A snapshot of the empty state needs no file.
        let ends: Vec<LogId> = self.kept.lock().metas.iter().filter_map(|meta| meta.last_log_id).collect();
        match ends.as_slice() {
            [] => PurgeFloor::Free,
            [_] => PurgeFloor::KeepAll,
            [oldest, ..] => PurgeFloor::UpTo(*oldest),
        }
    }

    /// The last entry in the newest snapshot.
    pub(crate) fn newest_index(&self) -> Option<LogId> {
        self.kept.lock().metas.last().and_then(|meta| meta.last_log_id)
    }
}

fn files(disk: &dyn Disk) -> Result<Vec<String>, DiskError> {
    let names = disk.list(DIR)?;
    Ok(names.into_iter().filter(|name| name.ends_with(SUFFIX)).collect())
}

fn load(disk: &dyn Disk, name: &str) -> Result<(SnapshotMeta, Bytes), SnapshotError> {
    decode(name, disk.read(&format!("{DIR}/{name}"))?)
}

fn remove_others(disk: &dyn Disk, wanted: &[String]) {
    let others = files(disk).unwrap_or_default();
    for other in others.iter().filter(|name| !wanted.contains(name)) {
        if let Err(error) = disk.remove(&format!("{DIR}/{other}")) {
            tracing::warn!(%error, "an old snapshot could not be removed");
        }
    }
}

fn name(meta: &SnapshotMeta) -> String {
    let (index, term) = meta.last_log_id.map_or((0, 0), |id| (id.index(), id.committed_leader_id().term));
    format!("{index:020}-{term}{SUFFIX}")
}

fn encode(meta: &SnapshotMeta, body: &Bytes) -> Vec<u8> {
    let meta = rmp_serde::to_vec_named(meta).expect("a snapshot's meta is plain data");
    let mut file = Vec::with_capacity(HEADER_BYTES + meta.len() + body.len() + DIGEST_BYTES);
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&FORMAT.to_be_bytes());
    file.extend_from_slice(&u32::try_from(meta.len()).expect("a meta is small").to_be_bytes());
    file.extend_from_slice(&(body.len() as u64).to_be_bytes());
    file.extend_from_slice(&meta);
    file.extend_from_slice(body);
    let digest = Sha256::digest(&file);
    file.extend_from_slice(&digest);
    file
}

fn decode(name: &str, file: Vec<u8>) -> Result<(SnapshotMeta, Bytes), SnapshotError> {
    let damaged = |reason: &str| SnapshotError::Damaged { name: name.to_owned(), reason: reason.to_owned() };
    let Some(end) = file.len().checked_sub(DIGEST_BYTES).filter(|end| *end >= HEADER_BYTES) else {
        return Err(damaged("too short"));
    };
    if Sha256::digest(&file[..end])[..] != file[end..] {
        return Err(damaged("the checksum does not match"));
    }
    let mut rest = Bytes::from(file).slice(..end);
    if rest.split_to(MAGIC.len()) != MAGIC[..] {
        return Err(damaged("not a snapshot"));
    }
    let found = rest.get_u32();
    if found != FORMAT {
        return Err(SnapshotError::Format { name: name.to_owned(), found });
    }
    let (meta_len, body_len) = (u64::from(rest.get_u32()), rest.get_u64());
    if meta_len.checked_add(body_len) != Some(rest.len() as u64) {
        return Err(damaged("the lengths do not add up"));
    }
    let meta = rest.split_to(usize::try_from(meta_len).expect("not longer than the file"));
    let meta = rmp_serde::from_slice(&meta).map_err(|error| damaged(&error.to_string()))?;
    Ok((meta, rest))
}

#[cfg(test)]
mod tests;
