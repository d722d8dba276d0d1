//! `concord-churn --envoy PROGRAM [--seed N] [--changes N] [--per-second N]`: random changes while requests flow through two
//! Envoys. Exits with 1 at an unexpected answer, and if Envoys know something else than fresh ones.

#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a terminal program on real processes"
)]

use std::process::ExitCode;

const USAGE: &str = "usage: concord-churn --envoy PROGRAM [--seed N] [--changes N] [--per-second N]\n\
    CONCORD_TEST_ENVOY names the program, too.";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let churn = match concord_e2e::churn::parse(&args) {
        Ok(churn) => churn,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let churned = churn.run();
    for (what, count, took) in &churned.changes {
        println!(
            "{count:>6}  {what}: {:.0} ms each until it had arrived",
            took.as_secs_f64() * 1e3 / (*count).max(1) as f64
        );
    }
    println!("answers: {:?}, {:.0} a second", churned.answers, churned.per_second);
    for what in churned.unexpected.iter().chain(&churned.differences) {
        println!("{what}");
    }
    println!("{} unexpected, {} differences", churned.unexpected.len(), churned.differences.len());
    if churned.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
