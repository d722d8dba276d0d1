//! Long versions of tests, with the same assertions as in the test run but larger sizes. A test prints its figures as
//! `figure: <what> = <value> <unit>`, and these become the report.

use anyhow::{Result, bail, ensure};

use super::bench::Bench;
use super::report::Report;
use crate::process;

/// A test and the environment variables that make it long.
struct Long {
    /// Package and target.
    of: (&'static str, &'static [&'static str]),
    test: &'static str,
    sizes: &'static [(&'static str, &'static str)],
}

/// The end-to-end tests. They print their own figures.
const E2E: (&str, &[&str]) = ("concord-e2e", &["--test", "it"]);

/// Kills an agent with a data directory while writers run.
pub(super) fn kill9(bench: &Bench<'_>) -> Result<Report> {
    let test = "kill::nothing_acknowledged_is_lost_by_kill_9";
    run(bench, &[Long { of: E2E, test, sizes: &[("CONCORD_E2E_CYCLES", "200")] }])
}

/// Rotates the root while 200 connections a second are opened.
pub(super) fn rotations(bench: &Bench<'_>) -> Result<Report> {
    let test = "rotation::rotations_under_traffic_fail_no_connection";
    run(
        bench,
        &[Long { of: E2E, test, sizes: &[("CONCORD_E2E_ROTATIONS", "10"), ("CONCORD_E2E_RATE", "200")] }],
    )
}

/// Runs interleavings of reads, warm-ups, narrowings and revocations, and a flood of unknown tokens.
pub(super) fn isolation(bench: &Bench<'_>) -> Result<Report> {
    const STEPS: &[(&str, &str)] = &[("CONCORD_E2E_STEPS", "120000")];
    const IN_PROCESS: &[(&str, &str)] = &[("CONCORD_ISOLATION", "100000")];
    let tests = [
        Long {
            of: E2E,
            test: "isolation::n_30_interleavings_over_http_show_nothing_to_whom_it_is_not_allowed",
            sizes: STEPS,
        },
        Long {
            of: E2E,
            test: "isolation::n_28_interleavings_with_believed_tokens_end_within_their_time_to_live",
            sizes: STEPS,
        },
        Long {
            of: E2E,
            test: "isolation::n_29_a_flood_of_unknown_tokens_over_http_leaves_no_entries",
            sizes: &[("CONCORD_E2E_FLOOD", "100000")],
        },
        Long {
            of: ("concord-agent", &["--lib"]),
            test: "agent::tests::isolation::n_30_ten_thousand_interleavings_show_nothing_to_whom_it_is_not_allowed",
            sizes: IN_PROCESS,
        },
        Long {
            of: ("concord-server", &["--test", "it"]),
            test: "isolation::n_28_n_30_interleavings_show_nothing_to_whom_it_is_not_allowed",
            sizes: IN_PROCESS,
        },
    ];
    run(bench, &tests)
}

fn run(bench: &Bench<'_>, tests: &[Long]) -> Result<Report> {
    ensure!(
        bench.args.is_empty(),
        "it takes no arguments; sizes are set by CONCORD_ISOLATION and variables named CONCORD_E2E_…"
    );
    let mut report = Report::default();
    for Long { of: (package, target), test, sizes } in tests {
        let mut cargo = process::cargo(&bench.root);
        cargo.args(["test", "--release", "--locked", "--quiet", "-p", package]).args(*target).arg("--");
        cargo.args(["--exact", test, "--nocapture"]);
        for (name, usual) in *sizes {
            // A variable that the caller has set is not changed.
            if std::env::var_os(name).is_none() {
                cargo.env(name, usual);
            }
        }
        let mut passed = false;
        let status = process::stream(test, &mut cargo, |line| {
            if let Some((what, value, unit)) = figure(line) {
                report.add(what, value, unit);
            }
            passed |= line.starts_with("test result: ok. 1 passed");
        })?;
        if !status.success() || !passed {
            bail!("{test} did not pass ({status})");
        }
        if *package != E2E.0 {
            for (name, usual) in *sizes {
                let size = std::env::var(name).ok().and_then(|text| text.parse().ok());
                report.add(
                    format!("{package}, in process ({name})"),
                    size.or_else(|| usual.parse().ok()).unwrap_or_default(),
                    "",
                );
            }
        }
    }
    Ok(report)
}

/// Reads `figure: <what> = <value> <unit>`. The unit may be missing.
fn figure(line: &str) -> Option<(&str, f64, &str)> {
    let (what, rest) = line.strip_prefix("figure: ")?.split_once(" = ")?;
    let (value, unit) = rest.split_once(' ').unwrap_or((rest, ""));
    Some((what, value.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_what_a_test_prints() {
        assert_eq!(figure("figure: cycles = 12.000 "), Some(("cycles", 12.0, "")));
        assert_eq!(figure("figure: start, longest = 320.5 ms"), Some(("start, longest", 320.5, "ms")));
        assert_eq!(figure("figure: without a value"), None);
        assert_eq!(figure("test result: ok. 1 passed"), None);
    }
}
