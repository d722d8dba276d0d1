//! Tests of the verdict file: what is read back, and which errors refuse it.

use concord_runtime::MemoryDisk;

use super::*;

const WALL: Timestamp = Timestamp::from_nanos(1_700_000_000_000_000_000);

fn id() -> CheckId {
    CheckId::parse("web").unwrap()
}

fn verdict(output: &str, left: u64) -> Verdict {
    Verdict {
        service: None,
        ttl: Duration::from_secs(30),
        status: CheckStatus::Passing,
        output: output.to_owned(),
        left: Duration::from_secs(left),
    }
}

fn known() -> BTreeMap<String, CheckId> {
    BTreeMap::from([(name(&id()), id())])
}

fn saved(verdicts: &[Verdict]) -> (MemoryDisk, Verdicts) {
    let disk = MemoryDisk::new();
    let files = Verdicts::new(Arc::new(disk.clone()));
    for verdict in verdicts {
        files.save_all(&[(id(), Some(verdict.clone()))], WALL).expect("saved");
    }
    (disk, files)
}

#[test]
fn what_is_read_back_is_what_was_saved_last() {
    let (_, files) =
        saved(&[verdict("a much longer output than the next one", 30), verdict("short\n\"ü", 20)]);
    let (found, dropped) = files.load(&known(), WALL.plus(Duration::from_secs(5)));
    assert_eq!(found, [(id(), verdict("short\n\"ü", 15))]);
    assert!(dropped.is_empty());
    let (found, _) = files.load(&known(), WALL.plus(Duration::from_secs(20)));
    assert!(found.is_empty(), "its time is over");
}

#[test]
fn what_belongs_to_no_check_is_removed_unread() {
    let (disk, files) = saved(&[verdict("fine", 30)]);
    let (found, dropped) = files.load(&BTreeMap::new(), WALL);
    assert!(found.is_empty() && dropped.is_empty() && disk.list(STATES).unwrap().is_empty());
}

#[track_caller]
fn refused(content: &[u8], why: &str) {
    let disk = MemoryDisk::new();
    let path = format!("{STATES}/{}", name(&id()));
    disk.write_atomic(&path, content).unwrap();
    let (found, dropped) = Verdicts::new(Arc::new(disk.clone())).load(&known(), WALL);
    let told: Vec<String> = dropped.iter().map(ToString::to_string).collect();
    assert!(found.is_empty());
    assert!(told.len() == 1 && told[0].starts_with(&path) && told[0].contains(why), "{told:?}");
    assert!(disk.list(STATES).unwrap().is_empty());
}

#[test]
fn a_damaged_file_is_named_and_removed() {
    let good = encoded(&id(), &verdict("fine", 30), WALL);
    refused(b"", "checksum");
    refused(&good[..good.len() - 10], "checksum");
    for at in [0, 20, good.len() / 2] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        refused(&bad, "checksum");
    }
    let sealed = |json: &str| format!("{} {json}\n", checksum(json.as_bytes())).into_bytes();
    refused(&sealed("{}"), "format");
    refused(&sealed(r#"{"format":99}"#), "later version");
    refused(&vec![b'x'; CHECK_STATE_FILE_BYTES_MAX + 1], "too many");
}

#[test]
fn the_longest_output_can_be_read_back() {
    use crate::limits::CHECK_STATE_OUTPUT_BYTES_MAX;
    let (_, files) = saved(&[verdict(&"\u{1}".repeat(CHECK_STATE_OUTPUT_BYTES_MAX), 30)]);
    let (found, dropped) = files.load(&known(), WALL);
    assert!(found.len() == 1 && dropped.is_empty(), "{dropped:?}");
}

#[test]
fn without_power_a_half_written_verdict_is_dropped_or_an_older_one_found() {
    let entropy = concord_runtime::SeededEntropy::new(3);
    for _ in 0..200 {
        let (disk, files) = saved(&[verdict(&"a".repeat(2000), 30), verdict(&"b".repeat(1500), 30)]);
        disk.crash_torn(&entropy);
        let (found, _) = files.load(&known(), WALL);
        for (_, found) in found {
            assert!(found.output == "a".repeat(2000) || found.output == "b".repeat(1500));
        }
    }
}
