//! Tests of the contract that both disks share, and of the faults of the disk in memory.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::entropy::SeededEntropy;

#[track_caller]
fn check_contract(disk: &dyn Disk) {
    assert!(matches!(disk.read("raft/a"), Err(DiskError::NotFound { .. })));
    assert!(matches!(disk.remove("raft/a"), Err(DiskError::NotFound { .. })));
    assert_eq!(disk.list("raft").expect("list"), Vec::<String>::new());

    disk.write_atomic("raft/b", b"one").expect("write");
    disk.write_atomic("raft/a", b"one").expect("write");
    disk.write_atomic("raft/a", b"two").expect("write");
    disk.write_atomic("raft/deeper/c", b"").expect("write");
    assert_eq!(disk.read("raft/a").expect("read"), b"two");
    assert_eq!(disk.list("raft").expect("list"), ["a", "b"]);
    disk.remove("raft/b").expect("remove");
    assert!(disk.exists("raft/a").expect("stat") && !disk.exists("raft/b").expect("stat"));

    let file = disk.open("raft/log").expect("open");
    file.write_at(3, b"def").expect("write");
    file.write_at(0, b"abc").expect("write");
    file.set_len(8).expect("extend");
    file.sync_data().expect("flush");
    let mut buffer = [9; 8];
    file.read_at(0, &mut buffer).expect("read");
    assert_eq!((&buffer, file.len().expect("stat")), (b"abcdef\0\0", 8));
    assert!(file.read_at(1, &mut buffer).is_err(), "reading past the end");
    assert_eq!(disk.open("raft/log").expect("open").len().expect("stat"), 8);
    file.allocate(6).expect("allocate");
    file.allocate(9000).expect("allocate");
    let mut tail = [9; 4];
    file.read_at(8996, &mut tail).expect("read");
    file.read_at(0, &mut buffer).expect("read");
    assert_eq!((&buffer, tail, file.len().expect("stat")), (b"abcdef\0\0", [0; 4], 9000));
    file.set_len(8).expect("cut");

    let held = disk.lock("lock").expect("lock");
    assert!(matches!(disk.lock("lock"), Err(DiskError::Locked { .. })));
    drop(held);
    disk.lock("lock").expect("lock again");

    for bad in ["", "/etc/passwd", "../x", "a/../../x", "a\0b"] {
        assert!(matches!(disk.read(bad), Err(DiskError::BadPath { .. })), "{bad:?}");
        assert!(matches!(disk.write_atomic(bad, b""), Err(DiskError::BadPath { .. })), "{bad:?}");
        assert!(matches!(disk.open(bad), Err(DiskError::BadPath { .. })), "{bad:?}");
    }
}

#[test]
fn the_disk_in_memory_keeps_the_contract() {
    check_contract(&MemoryDisk::new());
}

#[test]
fn the_disk_of_the_machine_keeps_the_contract() {
    let dir = tempfile::tempdir().expect("a directory");
    check_contract(&HostDisk::new(&dir.path().join("data")).expect("a disk"));
}

#[test]
fn n_117_files_and_directories_are_ours_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = HostDisk::new(&dir.path().join("data")).expect("a disk");
    disk.write_atomic("raft/vote", b"x").expect("write");
    disk.open("raft/log").expect("open");
    disk.lock("raft/lock").expect("lock");
    let mode = |path: &str| {
        let full = dir.path().join("data").join(path);
        std::fs::metadata(full).expect("stat").permissions().mode() & 0o777
    };
    assert_eq!([mode(""), mode("raft")], [0o700; 2]);
    assert_eq!([mode("raft/vote"), mode("raft/log"), mode("raft/lock")], [0o600; 3]);
}

#[test]
fn a_crash_drops_what_was_not_flushed() {
    let disk = MemoryDisk::new();
    let file = disk.open("log").expect("open");
    file.write_at(0, b"kept").expect("write");
    file.sync_data().expect("flush");
    file.write_at(4, b"lost").expect("write");
    assert_eq!(disk.read("log").expect("read"), b"keptlost");
    let lock = disk.lock("lock").expect("lock");
    disk.crash();
    assert_eq!(disk.read("log").expect("read"), b"kept");
    assert!(file.write_at(0, b"ghost").is_err() && file.sync_data().is_err());
    let _next = disk.lock("lock").expect("the old life's lock is gone");
    drop(lock);
    assert!(disk.lock("lock").is_err(), "and dropping the old guard does not release the new one");
}

#[test]
fn a_torn_crash_keeps_any_part() {
    let mut seen = BTreeSet::new();
    for seed in 0..64 {
        let disk = MemoryDisk::new();
        let file = disk.open("log").expect("open");
        file.write_at(0, &[1; 1024]).expect("write");
        file.write_at(1024, &[2; 512]).expect("write");
        disk.crash_torn(&SeededEntropy::new(seed));
        seen.insert(disk.read("log").expect("read"));
    }
    assert!(
        seen.contains(&vec![]) && seen.contains(&vec![1; 1024]) && seen.contains(&vec![1; 512]),
        "{}",
        seen.len()
    );
}

#[test]
fn a_failed_flush_is_fatal_and_leaves_nothing_durable() {
    let disk = MemoryDisk::new();
    let file = disk.open("log").expect("open");
    file.write_at(0, b"x").expect("write");
    disk.fail_next_sync();
    assert!(file.sync_data().expect_err("fails once").is_fatal());
    disk.crash();
    assert_eq!(disk.read("log").expect("read"), b"");
}

#[test]
fn a_full_disk_is_not_fatal() {
    let disk = MemoryDisk::new();
    disk.set_full(true);
    let error = disk.write_atomic("a", b"x").expect_err("full");
    assert!(matches!(error, DiskError::Full { .. }) && !error.is_fatal());
    disk.set_full(false);
    disk.write_atomic("a", b"x").expect("space again");
}

#[test]
fn power_is_cut_after_the_given_number_of_writes() {
    let disk = MemoryDisk::new();
    let file = disk.open("log").expect("open");
    disk.cut_power_after(1);
    file.write_at(0, b"x").expect("the last one");
    assert!(file.sync_data().is_err() && file.write_at(0, b"y").is_err() && disk.read("log").is_err());
    disk.crash();
    assert_eq!(disk.read("log").expect("read"), b"");
}

#[test]
fn a_full_disk_takes_no_new_block_and_lets_the_old_ones_be_written() {
    let disk = MemoryDisk::new();
    let file = disk.open("a").expect("open");
    // Three blocks long, of which one exists.
    file.set_len(3 * 4096).expect("extend");
    file.write_at(4096, b"here").expect("write");
    assert_eq!(disk.used(), 4096);
    disk.set_full(true);
    file.write_at(4100, b"again").expect("the block is there");
    assert!(matches!(file.write_at(0, b"hole"), Err(DiskError::Full { .. })));
    assert!(matches!(file.allocate(4096), Err(DiskError::Full { .. })));
    assert!(matches!(disk.write_atomic("b", b"new"), Err(DiskError::Full { .. })));
    disk.set_free(4096);
    file.write_at(0, b"hole").expect("one block was free");
    assert!(disk.write_atomic("b", b"new").is_err());
    file.set_len(4096).expect("cut");
    disk.write_atomic("b", b"new").expect("cutting gave one back");
    disk.set_full(false);
    file.allocate(1 << 20).expect("space without bound");
}

#[test]
fn faults_hit_the_files_they_name_until_they_are_mended() {
    let disk = MemoryDisk::new();
    let (log, other) = (disk.open("raft/log").expect("open"), disk.open("other").expect("open"));
    log.write_at(0, b"x").expect("write");
    for fault in [Fault::Read, Fault::Write, Fault::Sync] {
        disk.fail(fault, "raft/");
        for _ in 0..2 {
            assert_eq!(log.read_at(0, &mut [0]).is_err(), fault == Fault::Read);
            assert_eq!(log.write_at(0, b"y").is_err(), fault == Fault::Write);
            assert_eq!(log.sync_data().is_err(), fault == Fault::Sync);
            assert_eq!(disk.read("raft/log").is_err(), fault == Fault::Read);
            assert_eq!(disk.write_atomic("raft/b", b"").is_err(), fault != Fault::Read);
        }
        other.write_at(0, b"z").and_then(|()| other.sync_data()).expect("it is not meant");
        disk.mend();
        log.write_at(0, b"y").and_then(|()| log.sync_data()).expect("mended");
    }
}

#[test]
fn n_117_what_became_readable_for_others_is_closed_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path();
    let disk = HostDisk::new(root).expect("a disk");
    for path in ["services/a", "checks/state/b", "acl-tokens.json", "own.txt"] {
        disk.write_atomic(path, b"x").expect("write");
    }
    let set = |path: &str, mode: u32| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(root.join(path), permissions).expect("chmod");
    };
    let mode = |path: &str| std::fs::metadata(root.join(path)).expect("stat").permissions().mode() & 0o777;
    let outside = tempfile::NamedTempFile::new().expect("a file");
    std::fs::set_permissions(outside.path(), std::fs::Permissions::from_mode(0o644)).expect("chmod");
    std::os::unix::fs::symlink(outside.path(), root.join("services/link")).expect("link");
    let wide = [("services", 0o755), ("services/a", 0o644), ("checks", 0o770), ("checks/state", 0o755)];
    let wide =
        [&wide[..], &[("checks/state/b", 0o666), ("acl-tokens.json", 0o640), ("own.txt", 0o644)]].concat();
    wide.iter().for_each(|(path, wider)| set(path, *wider));
    let modes = Modes::restore(root, &["services", "checks", "acl-tokens.json", "nothing"]);
    assert_eq!((modes.restored, modes.open), (6, 0), "{modes:?}");
    assert_eq!(["services", "checks", "checks/state"].map(mode), [0o700; 3]);
    assert_eq!(["services/a", "checks/state/b", "acl-tokens.json"].map(mode), [0o600; 3]);
    assert_eq!(mode("own.txt"), 0o644, "not ours");
    let linked = std::fs::metadata(outside.path()).expect("stat").permissions().mode() & 0o777;
    assert_eq!(linked, 0o644, "what a link leads to is not ours");
    assert_eq!(Modes::restore(root, &["services", "checks", "acl-tokens.json"]).restored, 0);
}

#[test]
fn modes_that_cannot_be_changed_are_counted_with_one_example() {
    // Nobody may change modes below /proc, not even the owner.
    let modes = Modes::restore(Path::new("/proc/self"), &["stat", "status", "maps"]);
    assert_eq!((modes.restored, modes.open), (0, 3), "{modes:?}");
    assert!(modes.example.is_some_and(|(path, _)| path.ends_with("stat")));
}

#[test]
fn a_file_that_could_not_be_written_leaves_nothing_that_takes_space() {
    let root = tempfile::tempdir().expect("a directory");
    let disk = HostDisk::new(root.path()).expect("a disk");
    // A directory is in the way of the file: the last step fails after all content was written.
    std::fs::create_dir_all(root.path().join("raft/snapshot")).expect("a directory");
    disk.write_atomic("raft/snapshot", &[7; 9000]).expect_err("it cannot take the place of a directory");
    let left = std::fs::read_dir(root.path().join("raft")).expect("a directory");
    let left: Vec<_> = left.map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(left, ["snapshot"]);
}

#[test]
fn n_118_what_a_crash_left_unfinished_is_removed() {
    let dir = tempfile::tempdir().expect("a directory");
    let disk = HostDisk::new(dir.path()).expect("a disk");
    disk.write_atomic("services/a", b"x").expect("write");
    let left = dir.path().join("services/a.unfinished");
    std::fs::write(&left, b"a token of an earlier version").expect("write");
    HostDisk::drop_unfinished(dir.path(), &["services", "missing"]).expect("removed");
    assert!(!left.exists() && disk.exists("services/a").expect("stat"));
}
