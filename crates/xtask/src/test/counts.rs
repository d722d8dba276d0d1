//! The numbers of passed, failed and skipped tests, from the output of the runner.

use std::fmt;

/// Decides which summaries are read: nextest repeats output of failed tests, which may look like a cargo test summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runner {
    Nextest,
    CargoTest,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
}

// === impl Counts ===

impl Counts {
    /// Adds the numbers of a line if it is a summary. nextest prints one, cargo test one for each binary.
    pub(super) fn read(&mut self, runner: Runner, line: &str) {
        let line = line.trim();
        match runner {
            Runner::CargoTest => {
                if let Some(rest) = line.strip_prefix("test result:") {
                    self.read_libtest(rest);
                }
            }
            Runner::Nextest => {
                let summary = line.strip_prefix("Summary [").and_then(|rest| rest.split_once(" run: "));
                if let Some((_, counts)) = summary {
                    self.read_nextest(counts);
                }
            }
        }
    }

    /// A test that reported a skip counts as skipped, not as passed.
    pub(super) fn skip_one(&mut self) {
        self.passed = self.passed.saturating_sub(1);
        self.skipped += 1;
    }

    /// Reads the language and the numbers of a suite from a line such as `go 120 0 3`.
    pub(super) fn of_suite(line: &str) -> Option<(&str, Self)> {
        let mut words = line.split(' ');
        let language = words.next()?;
        let mut number = || words.next()?.parse().ok();
        let (passed, failed, skipped) = (number()?, number()?, number()?);
        words.next().is_none().then_some((language, Self { passed, failed, skipped }))
    }

    pub(super) fn add(&mut self, other: Self) {
        let Self { passed, failed, skipped } = other;
        self.passed += passed;
        self.failed += failed;
        self.skipped += skipped;
    }

    /// Reads ` ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s`.
    fn read_libtest(&mut self, rest: &str) {
        let counts = rest.split_once(". ").map_or(rest, |(_, counts)| counts);
        for (number, what) in pairs(counts, ';') {
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.skipped += number,
                _ => {}
            }
        }
    }

    /// Reads `120 passed (1 slow), 3 failed, 1 timed out, 4 skipped`.
    fn read_nextest(&mut self, counts: &str) {
        for (number, what) in pairs(&without_parentheses(counts), ',') {
            match what {
                "passed" => self.passed += number,
                "skipped" => self.skipped += number,
                "failed" | "timed" | "exec" => self.failed += number,
                _ => {}
            }
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

fn pairs(text: &str, separator: char) -> impl Iterator<Item = (u64, &str)> {
    text.split(separator).filter_map(|part| {
        let mut words = part.split_whitespace();
        Some((words.next()?.parse().ok()?, words.next()?))
    })
}

fn without_parentheses(text: &str) -> String {
    let mut depth = 0_usize;
    text.chars()
        .filter(|c| match c {
            '(' => {
                depth += 1;
                false
            }
            ')' => {
                depth = depth.saturating_sub(1);
                false
            }
            _ => depth == 0,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(runner: Runner, lines: &[&str], expected: &str) {
        let mut counts = Counts::default();
        lines.iter().for_each(|line| counts.read(runner, line));
        assert_eq!(counts.to_string(), expected);
    }

    #[test]
    fn summaries_of_nextest_are_read() {
        check(
            Runner::Nextest,
            &["     Summary [  12.345s] 120 tests run: 120 passed, 0 skipped"],
            "120 passed, 0 failed, 0 skipped",
        );
        check(
            Runner::Nextest,
            &[
                "     Summary [   1.0s] 9 tests run: 5 passed (1 slow, 1 flaky), 2 failed, 1 timed out, 1 exec failed, 4 skipped",
            ],
            "5 passed, 4 failed, 4 skipped",
        );
        check(
            Runner::Nextest,
            &["     Summary [   1.0s] 1 test run: 1 passed, 2 skipped"],
            "1 passed, 0 failed, 2 skipped",
        );
    }

    #[test]
    fn summaries_of_cargo_test_add_up() {
        check(
            Runner::CargoTest,
            &[
                "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
                "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.01s",
            ],
            "5 passed, 1 failed, 1 skipped",
        );
    }

    #[test]
    fn other_lines_say_nothing() {
        let none = "0 passed, 0 failed, 0 skipped";
        check(Runner::CargoTest, &["running 3 tests", "3 passed, 4 failed"], none);
        check(
            Runner::Nextest,
            &["   PASS [ 0.01s] (1/2) a b", "    test result: FAILED. 0 passed; 1 failed;"],
            none,
        );
    }

    #[test]
    fn a_test_that_skipped_has_not_passed() {
        let mut counts = Counts { passed: 3, failed: 0, skipped: 0 };
        counts.skip_one();
        assert_eq!(counts.to_string(), "2 passed, 0 failed, 1 skipped");
    }

    #[test]
    fn suites_in_other_languages_are_added() {
        let mut counts = Counts { passed: 3, failed: 0, skipped: 1 };
        let (language, suite) = Counts::of_suite("go 120 2 3").unwrap();
        assert_eq!(language, "go");
        counts.add(suite);
        assert_eq!(counts.to_string(), "123 passed, 2 failed, 4 skipped");
        for bad in ["", "go", "go 1 2", "go 1 2 x", "go 1 2 3 4"] {
            assert_eq!(Counts::of_suite(bad), None, "{bad}");
        }
    }
}
