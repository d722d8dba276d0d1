//! `concord-differ --ours ADDR --theirs ADDR [--token T] [--seed N] [--seeds N] [--requests N] [--only AREA] [--list FILE]`: sends
//! generated requests to two fresh agents and prints how their answers differ. Exits with 1 at unknown differences.

#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a terminal program on real sockets"
)]

use std::process::ExitCode;

const USAGE: &str = "usage: concord-differ --ours ADDR --theirs ADDR [--token T] [--seed N] [--seeds N] [--requests N] [--only AREA] [--list FILE]\n\
    Both agents must be fresh and alike; everything that is registered with them is removed.\n\
    Without a token both must be without ACLs. The list holds every request with its differences, one JSON object a line.";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let differ = match concord_e2e::differ::parse(&args) {
        Ok(differ) => differ,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match differ.run() {
        Ok(report) => {
            println!("{report}");
            if report.unknown() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("the run broke off: {error}");
            ExitCode::from(2)
        }
    }
}
