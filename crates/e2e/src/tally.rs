//! Results of the tests of a suite in another language, read from its runner's output. They are counted together with
//! our tests: `CONCORD_TEST_COUNTS` names a file to which each suite adds a line.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;

/// Variable which names that file. Each line is `language passed failed skipped`.
const COUNTS_VARIABLE: &str = "CONCORD_TEST_COUNTS";

/// The runner whose output is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Runner {
    /// `go test -v`.
    Go,
    /// The Test Anything Protocol, without nested tests.
    Tap,
    /// `cargo test`.
    Libtest,
}

/// Number of tests by result.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Tests which passed.
    pub passed: usize,
    /// Tests which failed.
    pub failed: usize,
    /// Tests which were skipped.
    pub skipped: usize,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    Passed,
    Failed,
    Skipped,
}

// === impl Tally ===

impl Tally {
    /// Counts the results in the output of a runner.
    pub fn read(runner: Runner, output: &str) -> Self {
        let verdicts: BTreeMap<&str, Verdict> =
            output.lines().filter_map(|line| verdict(runner, line)).collect();
        let mut tally = Self::default();
        for (name, verdict) in &verdicts {
            let within: Vec<Verdict> = match runner {
                Runner::Go => parts(&verdicts, name),
                Runner::Tap | Runner::Libtest => Vec::new(),
            };
            // A test with subtests is counted by its subtests. If only the test itself fails, it counts as one failure.
            let counts = within.is_empty() || (*verdict == Verdict::Failed && !within.contains(verdict));
            match verdict {
                _ if !counts => {}
                Verdict::Passed => tally.passed += 1,
                Verdict::Failed => tally.failed += 1,
                Verdict::Skipped => tally.skipped += 1,
            }
        }
        tally
    }

    /// Prints the numbers, and adds them to the file which counts all tests.
    pub fn report(self, language: &str) {
        eprintln!("{language}: {self}");
        if let Some(path) = std::env::var_os(COUNTS_VARIABLE) {
            let Self { passed, failed, skipped } = self;
            let file = OpenOptions::new().create(true).append(true).open(path);
            let _ = file.and_then(|mut file| writeln!(file, "{language} {passed} {failed} {skipped}"));
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// The results of the subtests of a Go test.
fn parts(verdicts: &BTreeMap<&str, Verdict>, name: &str) -> Vec<Verdict> {
    let within = |other: &str| other.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'));
    verdicts.iter().filter(|(other, _)| within(other)).map(|(_, verdict)| *verdict).collect()
}

/// The test which a line reports, and its result.
fn verdict(runner: Runner, line: &str) -> Option<(&str, Verdict)> {
    let verdict = |word: &str| match word {
        "PASS" | "ok" => Some(Verdict::Passed),
        "FAIL" | "FAILED" => Some(Verdict::Failed),
        "SKIP" | "ignored" => Some(Verdict::Skipped),
        _ => None,
    };
    match runner {
        // `    --- PASS: TestA/b (0.01s)`
        Runner::Go => {
            let (word, rest) = line.trim_start().strip_prefix("--- ")?.split_once(": ")?;
            let (name, _) = rest.rsplit_once(" (")?;
            Some((name, verdict(word)?))
        }
        // `ok 1 - name`, `not ok 2 - name`, `ok 3 - name # SKIP reason`
        Runner::Tap => {
            let (passed, rest) = match line.strip_prefix("not ") {
                Some(rest) => (Verdict::Failed, rest),
                None => (Verdict::Passed, line),
            };
            let (_, name) = rest.strip_prefix("ok ")?.split_once(" - ")?;
            match name.split_once(" # SKIP") {
                Some((name, _)) => Some((name, Verdict::Skipped)),
                None => Some((name, passed)),
            }
        }
        // `test a::b ... ok`
        Runner::Libtest => {
            let (name, word) = line.strip_prefix("test ")?.split_once(" ... ")?;
            Some((name, verdict(word.split([',', ' ']).next()?)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(runner: Runner, output: &str, expected: &str) {
        assert_eq!(Tally::read(runner, output).to_string(), expected);
    }

    #[test]
    fn of_gos_tests_those_count_that_consist_of_no_others() {
        let output = "=== RUN   TestA\n--- FAIL: TestA (1.00s)\n    --- PASS: TestA/b_c (0.00s)\n    \
                      --- FAIL: TestA/d (0.00s)\n        --- FAIL: TestA/d/e (0.00s)\n--- SKIP: TestF (0.00s)\nFAIL";
        check(Runner::Go, output, "1 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn what_goes_wrong_around_gos_parts_is_a_failure() {
        check(
            Runner::Go,
            "--- FAIL: TestA (1.00s)\n    --- PASS: TestA/b (0.00s)",
            "1 passed, 1 failed, 0 skipped",
        );
    }

    #[test]
    fn lines_of_the_test_anything_protocol_are_read() {
        let output = "TAP version 13\n# Subtest: a\nok 1 - a\n  ---\n  duration_ms: 1\n  ...\nnot ok 2 - b - c\n\
                      ok 3 - d # SKIP not offered\n    ok 1 - within\n1..3\n# pass 1";
        check(Runner::Tap, output, "1 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn lines_of_cargo_test_are_read() {
        let output = "running 3 tests\ntest a::b ... ok\ntest c ... FAILED\ntest d ... ignored, why\n\
                      test result: FAILED. 1 passed; 1 failed";
        check(Runner::Libtest, output, "1 passed, 1 failed, 1 skipped");
    }
}
