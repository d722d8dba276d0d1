//! Snapshots: the whole state as bytes.
//!
//! ```text
//!   MAGIC │ length record │ length record │ … │ length End │ SHA-256 of everything before it
//! ```
//!
//! The first record is the header. The others are the primary rows, in an order in which each
//! finds what it refers to, then for every table, derived ones too, its remembered indexes and
//! its floor. Derived rows are left out and arranged again. Records are MessagePack with named
//! fields. One state has one encoding, which is why its hash is the state's fingerprint.

mod record;

use concord_model::{Timestamp, Uuid};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::apply::cluster;
use crate::envelope::RULE_SET;
use crate::limits::RECORD_BYTES_MAX;
use crate::snapshot::record::{Record, RecordRef};
use crate::tables::Tables;

/// The newest form of snapshots this version reads, and the one it writes. In 1 an entry held its sources;
/// in 2 they follow it, each a record of its own.
pub const SNAPSHOT_FORMAT: u32 = 2;

const MAGIC: &[u8; 16] = b"concord-snapshot";
const DIGEST_BYTES: usize = 32;
const LENGTH_BYTES: usize = 4;

/// What a snapshot is of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SnapshotHeader {
    /// Form of the encoding.
    pub format: u32,
    /// Rules in force.
    pub rule_set: u32,
    /// Identity of the cluster, if it had one.
    #[serde(default)]
    pub cluster: Option<Uuid>,
    /// Index of the last entry of the log that is in it.
    pub index: u64,
    /// Term of that entry.
    pub term: u64,
    /// The leader's clock as of that entry.
    pub at: Timestamp,
}

/// Why a snapshot cannot be written or used. The state is as it was before.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SnapshotError {
    /// It does not begin as one.
    #[error("this is not a snapshot")]
    NoSnapshot,
    /// It is shorter than it says, or its checksum does not fit.
    #[error("the snapshot is damaged: its checksum does not fit; use another copy")]
    Damaged,
    /// Written in a newer form.
    #[error(
        "the snapshot is in format {found}, this version reads up to {SNAPSHOT_FORMAT}; upgrade this server first"
    )]
    NewerFormat {
        /// The form.
        found: u32,
    },
    /// Its commands were applied by newer rules.
    #[error(
        "the snapshot needs rule set {found}, this version knows up to {RULE_SET}; upgrade this server first"
    )]
    NewerRules {
        /// The rules.
        found: u32,
    },
    /// A record that cannot be read, under a checksum that fits.
    #[error("record {number} of the snapshot cannot be read: {reason}")]
    Record {
        /// Its number, from 0.
        number: u64,
        /// What the decoder said.
        reason: String,
    },
    /// Records that contradict each other, under a checksum that fits.
    #[error("record {number} of the snapshot does not fit those before it")]
    Contradiction {
        /// Its number, from 0.
        number: u64,
    },
    /// A record is larger than a snapshot may hold.
    #[error("a record of {bytes} bytes does not fit a snapshot; at most {RECORD_BYTES_MAX} do")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// A record has no encoding.
    #[error("a record cannot be encoded: {reason}")]
    Unencodable {
        /// What the encoder said.
        reason: String,
    },
}

// === Writing ===

pub(crate) fn encode(tables: &Tables, term: u64, sink: &mut dyn FnMut(&[u8])) -> Result<(), SnapshotError> {
    let mut hash = Sha256::new();
    let mut hashed = |piece: &[u8]| {
        hash.update(piece);
        sink(piece);
    };
    hashed(MAGIC);
    let header = header(tables, term);
    let mut number = 0;
    let mut write = |record: RecordRef<'_>| {
        number += 1;
        let bytes = rmp_serde::to_vec_named(&record)
            .map_err(|error| SnapshotError::Unencodable { reason: error.to_string() })?;
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(SnapshotError::TooLarge { bytes: bytes.len() });
        }
        let length = u32::try_from(bytes.len()).expect("bounded above");
        hashed(&length.to_be_bytes());
        hashed(&bytes);
        Ok(number)
    };
    write(RecordRef::Header(&header))?;
    let records = record::write_all(tables, &mut write)?;
    write(RecordRef::End { records })?;
    let digest = hash.finalize();
    sink(&digest);
    Ok(())
}

pub(crate) fn digest(tables: &Tables) -> Result<[u8; DIGEST_BYTES], SnapshotError> {
    let mut last = [0; DIGEST_BYTES];
    // The last piece of a snapshot is the hash of the others.
    encode(tables, 0, &mut |piece| {
        if let Ok(piece) = piece.try_into() {
            last = piece;
        }
    })?;
    Ok(last)
}

fn header(tables: &Tables, term: u64) -> SnapshotHeader {
    SnapshotHeader {
        format: SNAPSHOT_FORMAT,
        rule_set: cluster::rule_set(tables),
        cluster: cluster::id(tables),
        index: tables.applied,
        term,
        at: tables.at,
    }
}

// === Reading ===

pub(crate) fn decode(bytes: &[u8]) -> Result<(SnapshotHeader, Tables), SnapshotError> {
    let mut records = Records::verified(bytes)?;
    let Some(Record::Header(header)) = records.next_record()? else {
        return Err(SnapshotError::Contradiction { number: 0 });
    };
    if header.format > SNAPSHOT_FORMAT {
        return Err(SnapshotError::NewerFormat { found: header.format });
    }
    if header.rule_set > RULE_SET {
        return Err(SnapshotError::NewerRules { found: header.rule_set });
    }
    let mut tables = Tables::new();
    tables.applied = header.index;
    tables.at = header.at;
    let mut restore = record::Restore::new(tables);
    while let Some(record) = records.next_record()? {
        let number = records.number - 1;
        if !restore.take(record, number) {
            return Err(SnapshotError::Contradiction { number });
        }
    }
    let number = records.number;
    let tables = restore.finish(&header).ok_or(SnapshotError::Contradiction { number })?;
    Ok((header, tables))
}

struct Records<'a> {
    rest: &'a [u8],
    number: u64,
}

impl<'a> Records<'a> {
    /// Checks the whole before a single record is looked at.
    fn verified(bytes: &'a [u8]) -> Result<Self, SnapshotError> {
        if !bytes.starts_with(MAGIC) {
            return Err(SnapshotError::NoSnapshot);
        }
        let end = bytes.len().checked_sub(DIGEST_BYTES).filter(|end| *end >= MAGIC.len());
        let (body, digest) = bytes.split_at(end.ok_or(SnapshotError::Damaged)?);
        if Sha256::digest(body).as_slice() != digest {
            return Err(SnapshotError::Damaged);
        }
        Ok(Self { rest: &body[MAGIC.len()..], number: 0 })
    }

    fn next_record(&mut self) -> Result<Option<Record>, SnapshotError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (length, rest) = self.rest.split_first_chunk::<LENGTH_BYTES>().ok_or(SnapshotError::Damaged)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (record, rest) = rest.split_at_checked(length).ok_or(SnapshotError::Damaged)?;
        let number = self.number;
        let record =
            crate::envelope::decode(record).map_err(|reason| SnapshotError::Record { number, reason })?;
        self.rest = rest;
        self.number += 1;
        Ok(Some(record))
    }
}
