//! Tests of snapshot files: what is kept, what is refused, and which older one is used instead.

use concord_runtime::{HostDisk, MemoryDisk};

use super::*;
use crate::engine::StoredMembership;

fn meta(index: u64) -> SnapshotMeta {
    let last_log_id = Some(LogId::new_term_index(2, index));
    SnapshotMeta { last_log_id, last_membership: StoredMembership::default() }
}

fn open(disk: &MemoryDisk) -> Result<Snapshots, SnapshotError> {
    Snapshots::open(Some(Arc::new(disk.clone())))
}

#[track_caller]
fn check_newest(snapshots: &Snapshots, expected: Option<(u64, &'static [u8])>) {
    let newest = snapshots.newest().expect("readable");
    let expected = expected.map(|(index, body)| (meta(index), Bytes::from_static(body)));
    assert_eq!(newest, expected);
}

#[test]
fn the_two_newest_are_kept() {
    let disk = MemoryDisk::new();
    let snapshots = open(&disk).expect("opens");
    check_newest(&snapshots, None);
    assert_eq!(snapshots.purge_floor(), PurgeFloor::Free);
    snapshots.save(&meta(10), Bytes::from_static(b"ten")).expect("saves");
    assert_eq!(snapshots.purge_floor(), PurgeFloor::KeepAll);
    snapshots.save(&meta(20), Bytes::from_static(b"twenty")).expect("saves");
    snapshots.save(&meta(30), Bytes::from_static(b"thirty")).expect("saves");
    snapshots.save(&meta(30), Bytes::from_static(b"again")).expect("the same is not written twice");
    for snapshots in [snapshots, open(&disk).expect("opens again")] {
        check_newest(&snapshots, Some((30, b"thirty")));
        assert_eq!(snapshots.purge_floor(), PurgeFloor::UpTo(LogId::new_term_index(2, 20)));
    }
    assert_eq!(disk.list(DIR).expect("list").len(), SNAPSHOTS_KEPT);
}

#[test]
fn n_114_a_damaged_snapshot_is_passed_over() {
    let disk = MemoryDisk::new();
    let snapshots = open(&disk).expect("opens");
    snapshots.save(&meta(10), Bytes::from_static(b"ten")).expect("saves");
    snapshots.save(&meta(20), Bytes::from_static(b"twenty")).expect("saves");
    disk.flip_byte(&format!("{DIR}/{}", name(&meta(20))), 40);
    check_newest(&snapshots, Some((10, b"ten")));
    let reopened = open(&disk).expect("opens");
    check_newest(&reopened, Some((10, b"ten")));
    // It does not count, so the good one stays when the next one is written.
    reopened.save(&meta(30), Bytes::from_static(b"thirty")).expect("saves");
    assert_eq!(reopened.purge_floor(), PurgeFloor::UpTo(LogId::new_term_index(2, 10)));
    check_newest(&open(&disk).expect("opens"), Some((30, b"thirty")));
}

#[test]
fn n_114_every_change_of_a_file_is_found() {
    let good = encode(&meta(7), &Bytes::from_static(b"the state"));
    assert_eq!(decode("x", good.clone()).expect("good").1, Bytes::from_static(b"the state"));
    for position in 0..good.len() {
        let mut bad = good.clone();
        bad[position] ^= 0x10;
        assert!(matches!(decode("x", bad), Err(SnapshotError::Damaged { .. })), "byte {position}");
        assert!(decode("x", good[..position].to_vec()).is_err(), "cut at {position}");
    }
    let mut longer = good;
    longer.push(0);
    assert!(decode("x", longer).is_err());
}

#[test]
fn n_116_an_unknown_format_is_refused_with_the_remedy() {
    let mut file = encode(&meta(7), &Bytes::from_static(b"the state"));
    file.truncate(file.len() - DIGEST_BYTES);
    file[8..12].copy_from_slice(&9_u32.to_be_bytes());
    let digest = Sha256::digest(&file);
    file.extend_from_slice(&digest);
    let disk = MemoryDisk::new();
    disk.write_atomic(&format!("{DIR}/{}", name(&meta(7))), &file).expect("writes");
    let error = open(&disk).expect_err("a newer version's snapshot is not skipped");
    assert!(matches!(error, SnapshotError::Format { found: 9, .. }));
    assert!(error.to_string().contains("start a version that knows it"));
}

#[test]
fn what_a_crash_left_of_a_snapshot_is_removed_at_the_start() {
    let root = tempfile::tempdir().expect("a directory");
    let disk: Arc<dyn Disk> = Arc::new(HostDisk::new(root.path()).expect("a disk"));
    let snapshots = Snapshots::open(Some(Arc::clone(&disk))).expect("opens");
    snapshots.save(&meta(10), Bytes::from_static(b"ten")).expect("saves");
    let dir = root.path().join(DIR);
    std::fs::write(dir.join(format!("{}.unfinished", name(&meta(20)))), [7; 9000]).expect("written");
    let snapshots = Snapshots::open(Some(disk)).expect("opens again");
    check_newest(&snapshots, Some((10, b"ten")));
    let left: Vec<_> = std::fs::read_dir(dir)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(left, [std::ffi::OsString::from(name(&meta(10)))]);
}
