//! Tests of the log file: its names, its rotation, and which files are kept.

use concord_runtime::ManualClock;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

struct Bench {
    directory: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl Bench {
    fn new() -> Self {
        // The present time, because an existing file was also created now.
        let now = i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_nanos()).unwrap();
        Self { directory: tempfile::tempdir().unwrap(), clock: Arc::new(ManualClock::new(now)) }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    fn log(&self, name: &str, rotate_bytes: Option<u64>, keep: Archives) -> LogFile {
        let path = self.path(name);
        let section = LogFileSection { path, rotate_bytes, rotate_after: 24 * HOUR, keep };
        LogFile::open(&section, Arc::clone(&self.clock) as Arc<dyn Clock>).unwrap()
    }

    /// All files by name with their content; numbers in names are shown as `#`.
    fn files(&self) -> Vec<(String, String)> {
        let mut all: Vec<_> = fs::read_dir(self.directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
            })
            .collect();
        all.sort();
        let told = |name: String| {
            let digits = name.chars().filter(char::is_ascii_digit).count();
            if digits < 19 { name } else { name.chars().filter(|c| !c.is_ascii_digit()).collect::<String>() }
        };
        let mut all: Vec<_> = all.into_iter().map(|(name, text)| (told(name), text)).collect();
        all.sort();
        all
    }

    /// Writes lines at intervals of an hour.
    fn write(&self, log: &LogFile, lines: &[&str]) {
        for line in lines {
            log.write_line(format!("{line}\n").as_bytes());
            self.clock.advance(HOUR);
        }
    }
}

fn of(names: &[(&str, &str)]) -> Vec<(String, String)> {
    names.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn a_file_that_is_large_enough_is_renamed_and_another_begun() {
    let bench = Bench::new();
    let log = bench.log("a.log", Some(4), Archives::All);
    bench.write(&log, &["1", "2", "3", "4", "5"]);
    assert_eq!(bench.files(), of(&[("a-.log", "1\n2\n"), ("a-.log", "3\n4\n"), ("a.log", "5\n")]));
}

#[test]
fn a_file_that_is_old_enough_is_renamed_too() {
    let bench = Bench::new();
    let log = bench.log("a.log", None, Archives::All);
    bench.write(&log, &["1", "2"]);
    bench.clock.advance(22 * HOUR);
    bench.write(&log, &["3"]);
    assert_eq!(bench.files(), of(&[("a-.log", "1\n2\n"), ("a.log", "3\n")]));
}

#[test]
fn so_many_earlier_files_are_kept_and_no_other_file_is_touched() {
    let bench = Bench::new();
    for other in ["a-b.log", "a-1.txt", "ab-1.log"] {
        fs::write(bench.path(other), "").unwrap();
    }
    let others = [("a-1.txt", ""), ("a-b.log", "")];
    let log = bench.log("a.log", Some(1), Archives::Newest(1));
    bench.write(&log, &["1", "2", "3"]);
    let left = [&[("a-.log", "2\n")][..], &others, &[("a.log", "3\n"), ("ab-1.log", "")]].concat();
    assert_eq!(bench.files(), of(&left));
    // At the start, too.
    drop(log);
    let log = bench.log("a.log", None, Archives::None);
    assert_eq!(bench.files(), of(&[&others[..], &[("a.log", "3\n"), ("ab-1.log", "")]].concat()));
    drop(log);
}

#[test]
fn names_are_as_consul_has_them() {
    let bench = Bench::new();
    fs::create_dir(bench.path("d")).unwrap();
    drop(bench.log("d/", None, Archives::All));
    assert!(Path::new(&bench.path("d/consul.log")).exists());
    fs::remove_dir_all(bench.path("d")).unwrap();
    let log = bench.log("plain", Some(1), Archives::All);
    bench.write(&log, &["1", "2"]);
    assert_eq!(bench.files(), of(&[("plain", "2\n"), ("plain-.log", "1\n")]));
    let mode = fs::metadata(bench.path("plain")).unwrap().permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o137, 0, "{mode:?}");
}

#[test]
fn what_was_there_before_the_start_counts() {
    let bench = Bench::new();
    bench.write(&bench.log("a.log", None, Archives::All), &["1"]);
    // One hour of its day is over.
    let log = bench.log("a.log", None, Archives::All);
    bench.clock.advance(22 * HOUR);
    bench.write(&log, &["2"]);
    assert_eq!(bench.files(), of(&[("a.log", "1\n2\n")]));
    // The clock of the file system may differ from ours by a second.
    bench.clock.advance(HOUR);
    bench.write(&log, &["3"]);
    assert_eq!(bench.files(), of(&[("a-.log", "1\n2\n"), ("a.log", "3\n")]));
    let log = bench.log("a.log", Some(2), Archives::None);
    bench.write(&log, &["4"]);
    assert_eq!(bench.files(), of(&[("a.log", "4\n")]));
}

#[test]
fn a_file_that_cannot_be_opened_keeps_from_starting_and_one_that_cannot_be_renamed_from_nothing() {
    let bench = Bench::new();
    let section = LogFileSection {
        path: bench.path("nowhere/a.log"),
        rotate_bytes: None,
        rotate_after: HOUR,
        keep: Archives::All,
    };
    let refused = LogFile::open(&section, Arc::clone(&bench.clock) as Arc<dyn Clock>).unwrap_err();
    assert!(refused.to_string().contains("nowhere/a.log: "), "{refused}");
    let log = bench.log("a.log", Some(1), Archives::All);
    bench.write(&log, &["1"]);
    fs::rename(bench.path("a.log"), bench.path("b.log")).unwrap();
    bench.write(&log, &["2"]);
    assert_eq!(bench.files(), of(&[("b.log", "1\n2\n")]));
}
