//! The encoding of entries and metadata: a format byte, a checksum, and named fields.
//!
//! The checksum covers the record's position as well as its content, so that a record at the wrong index is detected.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::engine::Entry;

const FORMAT: u8 = 1;
const CHECK_BYTES: usize = 8;
const HEADER_BYTES: usize = 1 + CHECK_BYTES;

/// Why a record cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("{place}: the checksum does not match")]
    Checksum { place: String },
    #[error("{place}: format {found}, this version reads {FORMAT}")]
    Format { place: String, found: u8 },
    #[error("{place}: {reason}")]
    Content { place: String, reason: String },
}

pub(crate) fn encode_entry(index: u64, entry: &Entry) -> Vec<u8> {
    encode(&entry_place(index), entry)
}

pub(crate) fn decode_entry(index: u64, record: &[u8]) -> Result<Entry, RecordError> {
    let place = entry_place(index);
    let entry: Entry = decode(&place, record)?;
    if entry.log_id.index() != index {
        return Err(RecordError::Content { place, reason: format!("it is entry {}", entry.log_id.index()) });
    }
    Ok(entry)
}

pub(crate) fn encode<T: Serialize>(place: &str, value: &T) -> Vec<u8> {
    let mut record = vec![0; HEADER_BYTES];
    rmp_serde::encode::write_named(&mut record, value).expect("what the log stores is plain data");
    record[0] = FORMAT;
    let check = check(place, &record[HEADER_BYTES..]);
    record[1..HEADER_BYTES].copy_from_slice(&check);
    record
}

pub(crate) fn decode<T: DeserializeOwned>(place: &str, record: &[u8]) -> Result<T, RecordError> {
    let content = |reason: String| RecordError::Content { place: place.to_owned(), reason };
    let Some((header, body)) = record.split_at_checked(HEADER_BYTES) else {
        return Err(content("too short".to_owned()));
    };
    if header[0] != FORMAT {
        return Err(RecordError::Format { place: place.to_owned(), found: header[0] });
    }
    if header[1..] != check(place, body) {
        return Err(RecordError::Checksum { place: place.to_owned() });
    }
    rmp_serde::from_slice(body).map_err(|error| content(error.to_string()))
}

fn entry_place(index: u64) -> String {
    format!("entry {index}")
}

fn check(place: &str, body: &[u8]) -> [u8; CHECK_BYTES] {
    let digest =
        Sha256::new().chain_update([FORMAT]).chain_update(place).chain_update([0]).chain_update(body);
    let digest = digest.finalize();
    digest[..CHECK_BYTES].try_into().expect("a digest has 32 bytes")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use openraft::entry::RaftEntry as _;
    use openraft::{EntryPayload, LogId};

    use super::*;
    use crate::engine::Payload;

    fn entry(index: u64) -> Entry {
        let command = EntryPayload::Normal(Payload(Bytes::from_static(b"command")));
        Entry::new(LogId::new_term_index(4, index), command)
    }

    #[test]
    fn an_entry_survives() {
        assert_eq!(decode_entry(9, &encode_entry(9, &entry(9))), Ok(entry(9)));
    }

    #[test]
    fn n_114_a_changed_or_misplaced_record_is_refused() {
        let good = encode_entry(9, &entry(9));
        for position in 0..good.len() {
            let mut bad = good.clone();
            bad[position] ^= 1;
            assert!(decode_entry(9, &bad).is_err(), "byte {position}");
            assert!(decode_entry(9, &good[..position]).is_err(), "cut at {position}");
        }
        assert!(matches!(decode_entry(8, &good), Err(RecordError::Checksum { .. })));
        assert!(matches!(decode_entry(9, &encode_entry(9, &entry(8))), Err(RecordError::Content { .. })));
    }
}
