//! Snapshots: the whole state as bytes.
//!
//! ```text
//!   MAGIC │ length record │ length record │ … │ length End │ SHA-256 of everything before it
//! ```
//!
//! The first record is the header. Then follow the rows of the primary tables, in the order of their declaration.
//! Then follow, for every table including derived ones, the remembered indexes and the floor. Derived rows are not
//! stored, but computed again. Records are MessagePack with named fields. Each state has exactly one encoding, so the
//! hash identifies the state.

mod header;
mod record;

pub use self::header::{SNAPSHOT_FORMAT, SnapshotError, SnapshotHeader};

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::apply::cluster;
use crate::envelope::RULE_SET;
use crate::limits::RECORD_BYTES_MAX;
use crate::snapshot::record::Record;
use crate::tables::Tables;

const MAGIC: &[u8; 16] = b"concord-snapshot";
const DIGEST_BYTES: usize = 32;
const LENGTH_BYTES: usize = 4;

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
    let mut write = |record: &Record<'_>| {
        number += 1;
        let bytes = rmp_serde::to_vec_named(record)
            .map_err(|error| SnapshotError::Unencodable { reason: error.to_string() })?;
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(SnapshotError::TooLarge { bytes: bytes.len() });
        }
        let length = u32::try_from(bytes.len()).expect("bounded above");
        hashed(&length.to_be_bytes());
        hashed(&bytes);
        Ok(number)
    };
    write(&Record::Header(Cow::Borrowed(&header)))?;
    let records = record::write_all(tables, &mut write)?;
    write(&Record::End { records })?;
    let digest = hash.finalize();
    sink(&digest);
    Ok(())
}

pub(crate) fn digest(tables: &Tables) -> Result<[u8; DIGEST_BYTES], SnapshotError> {
    let mut last = [0; DIGEST_BYTES];
    // The last piece of a snapshot is the hash of all others.
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
    Ok((header.into_owned(), tables))
}

struct Records<'a> {
    rest: &'a [u8],
    number: u64,
}

impl<'a> Records<'a> {
    /// Verifies the checksum of the whole before any record is decoded.
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

    fn next_record(&mut self) -> Result<Option<Record<'static>>, SnapshotError> {
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
