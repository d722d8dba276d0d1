//! `concord-oracle --reference PROGRAM --envoy PROGRAM [--only NAME] [--list FILE]`: compares how we and a reference
//! configure Envoy, and prints in what they differ. Exits with 1 at unknown differences, and at known ones that are none.

#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a terminal program on real processes"
)]

use std::process::ExitCode;

const USAGE: &str = "usage: concord-oracle --reference PROGRAM --envoy PROGRAM [--only NAME] [--list FILE]\n\
    CONCORD_TEST_REFERENCE and CONCORD_TEST_ENVOY_OLDEST name the programs, too. Only scenarios are played whose name begins\n\
    with NAME. The list holds every scenario with its differences and what both Envoys knew, one JSON object a line.";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let oracle = match concord_e2e::oracle::parse(&args) {
        Ok(oracle) => oracle,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match oracle.run() {
        Ok(report) => {
            println!("{report}");
            if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("the run broke off: {error}");
            ExitCode::from(2)
        }
    }
}
