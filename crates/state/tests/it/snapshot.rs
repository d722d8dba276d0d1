//! Tests of snapshots from outside. (Beside the store, random histories test that a snapshot restores the same
//! state.)

use std::sync::LazyLock;

use concord_state::{SnapshotError, Store};
use proptest::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::corpus;
use crate::samples::*;

fn snapshot() -> (Store, Vec<u8>) {
    let store = corpus::applied();
    let bytes = store.view().snapshot(4).unwrap();
    (store, bytes)
}

/// The bytes of one snapshot, taken once.
static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| snapshot().1);

#[test]
fn a_snapshot_brings_everything_back() {
    let (store, bytes) = snapshot();
    let mut restored = Store::new();
    let header = restored.restore(&bytes).unwrap();
    assert_eq!((header.index, header.term), (store.view().index(), 4));
    assert_eq!((header.cluster, header.at), (store.view().read().cluster_id(), store.view().at()));
    assert_eq!(restored.view().digest(), store.view().digest());
    assert_eq!(restored.view().snapshot(4).unwrap(), bytes);
}

#[test]
fn the_term_is_no_part_of_the_state() {
    let (store, bytes) = snapshot();
    let mut restored = Store::new();
    restored.restore(&store.view().snapshot(9).unwrap()).unwrap();
    assert_ne!(store.view().snapshot(9).unwrap(), bytes);
    assert_eq!(restored.view().digest(), store.view().digest());
}

#[test]
fn restoring_begins_a_new_epoch() {
    let (mut store, bytes) = snapshot();
    let before = store.view();
    store.restore(&bytes).unwrap();
    assert_eq!(store.view().epoch(), before.epoch() + 1);
    assert_ne!(before.read().finish().epoch(), store.view().read().finish().epoch());
}

#[test]
fn n_114_a_flipped_bit_is_refused_and_touches_nothing() {
    let (_, bytes) = snapshot();
    let mut own = Log::new();
    own.changed(register(node("n1", None)));
    let before = own.store.view();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        let refused = own.store.restore(&damaged);
        assert!(matches!(refused, Err(SnapshotError::Damaged | SnapshotError::NoSnapshot)), "byte {at}");
    }
    assert_eq!(own.store.view().digest(), before.digest());
    assert_eq!(own.store.view().epoch(), before.epoch());
}

#[test]
fn n_114_a_cut_or_lengthened_snapshot_is_refused() {
    let (_, bytes) = snapshot();
    for end in 0..bytes.len() {
        assert!(Store::new().restore(&bytes[..end]).is_err(), "cut at {end}");
    }
    let longer = [&bytes[..], b"x"].concat();
    assert_eq!(Store::new().restore(&longer), Err(SnapshotError::Damaged));
}

/// A snapshot with a correct checksum, whatever it contains.
fn sealed(mut body: Vec<u8>) -> Vec<u8> {
    let digest = Sha256::digest(&body);
    body.extend_from_slice(&digest);
    body
}

/// The body of a snapshot in pieces: the magic, then each record with its length.
fn pieces(bytes: &[u8]) -> Vec<Vec<u8>> {
    let body = &bytes[..bytes.len() - 32];
    let mut pieces = vec![body[..16].to_vec()];
    let mut rest = &body[16..];
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize + 4;
        pieces.push(rest[..length].to_vec());
        rest = &rest[length..];
    }
    pieces
}

#[test]
fn n_114_missing_doubled_and_reordered_records_are_refused_under_a_checksum_that_fits() {
    let (_, bytes) = snapshot();
    let whole = pieces(&bytes);
    assert_eq!(sealed(whole.concat()), bytes);
    let restore = |pieces: Vec<Vec<u8>>| Store::new().restore(&sealed(pieces.concat()));
    for at in 1..whole.len() {
        let mut missing = whole.clone();
        missing.remove(at);
        assert!(restore(missing).is_err(), "without record {at}");
        let mut doubled = whole.clone();
        doubled.insert(at, whole[at].clone());
        assert!(restore(doubled).is_err(), "record {at} twice");
    }
    let mut reordered = whole;
    reordered.swap(1, 2);
    assert!(restore(reordered).is_err());
}

/// The records of a snapshot without those of one table, counted again.
pub(crate) fn without_table(bytes: &[u8], table: &str) -> Vec<u8> {
    let speaks = |piece: &[u8]| {
        let name = [&[0xa0 | u8::try_from(table.len()).unwrap()], table.as_bytes()].concat();
        let marks = [&b"Changed"[..], b"Floor"];
        marks.iter().any(|mark| find(piece, mark)) && find(piece, &name)
    };
    let mut pieces = pieces(bytes);
    pieces.pop();
    pieces.retain(|piece| !speaks(piece));
    let records = pieces.len() as u64 - 1;
    sealed([pieces.concat(), framed(&End::End { records })].concat())
}

fn find(piece: &[u8], what: &[u8]) -> bool {
    piece.windows(what.len()).any(|window| window == what)
}

fn framed(record: &impl Serialize) -> Vec<u8> {
    let record = rmp_serde::to_vec_named(record).unwrap();
    [&u32::try_from(record.len()).unwrap().to_be_bytes()[..], &record].concat()
}

#[derive(Serialize)]
enum End {
    End { records: u64 },
}

#[derive(Serialize)]
enum Newer {
    Floor {
        table: &'static str,
        index: u64,
    },
    #[allow(dead_code, reason = "its name is what counts")]
    Moon {
        phase: u8,
    },
}

#[test]
fn a_snapshot_of_a_version_without_a_table_is_read() {
    let (store, bytes) = snapshot();
    let mut restored = Store::new();
    restored.restore(&without_table(&bytes, "health")).unwrap();
    let service = service_ref("web-sidecar-proxy");
    let (mut reader, mut expected) = (restored.view().read(), store.view().read());
    assert_eq!(reader.health_service(&service), expected.health_service(&service));
    assert_eq!(reader.finish().index(), store.view().index());
    assert!(expected.finish().index() < store.view().index());
}

#[test]
fn a_table_of_a_newer_version_is_passed_over_and_a_record_is_not() {
    let (store, bytes) = snapshot();
    let with = |record: &Newer| {
        let mut pieces = pieces(&bytes);
        let records = pieces.len() as u64 - 1;
        let last = pieces.len() - 1;
        pieces[last] = framed(record);
        sealed([pieces.concat(), framed(&End::End { records })].concat())
    };
    let mut restored = Store::new();
    restored.restore(&with(&Newer::Floor { table: "moons", index: 3 })).unwrap();
    assert_eq!(restored.view().digest(), store.view().digest());
    let refused = Store::new().restore(&with(&Newer::Moon { phase: 1 }));
    assert!(matches!(refused, Err(SnapshotError::Record { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn damage_under_a_checksum_that_fits_never_panics(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut body = BYTES[..BYTES.len() - 32].to_vec();
        let at = at.index(body.len());
        body[at] = byte;
        let mut store = Store::new();
        if store.restore(&sealed(body)).is_ok() {
            // The accepted state is a state like any other.
            let again = store.view().snapshot(0).unwrap();
            prop_assert!(Store::new().restore(&again).is_ok());
        }
    }
}
