//! The development tasks of this workspace: `cargo xtask <verb>`.
//!
//! Xtask is not part of the product: it is not shipped, and no crate depends on it. It uses the terminal, starts
//! processes and reads the clock, which the product's crates may not do.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a terminal program")]
#![allow(clippy::disallowed_methods, reason = "chores run on the real clock, environment and threads")]

use std::process::ExitCode;

use anyhow::{Result, bail};

mod differ;
mod measure;
mod mutate;
mod oracle;
mod process;
mod protos;
mod random;
mod setup;
mod source;
mod test;
mod tidy;
mod workspace;

const USAGE: &str = "\
usage: cargo xtask <verb>

  test [--fast]         set up what the tests need, then check and test everything
                        (--fast: no set-up, no clippy, no dependency check, unit tests only)
  random [--seed N] [--minutes N]
                        the tests that draw at random, with a new seed each round; prints it, repeats with it
  tidy [--bless]        check the rules no compiler knows; --bless rewrites generated tables
  mutate [--only N-54]  break each guard named by a negative case; its test must go red
  differ --ours ADDR --theirs ADDR [--token T] [--seed N] [--requests N]
                        generated requests to two fresh agents, and in what their answers differ
  oracle --reference PROGRAM --envoy PROGRAM [--only NAME] [--list FILE]
                        how we and a reference configure Envoy, by scenario, and in what it differs
  churn --envoy PROGRAM [--seed N] [--changes N] [--per-second N]
                        random changes while requests flow through two Envoys
  measure [name] [args] everything with a clock in it; without a name, the list
  protos                write the code of Envoy's messages anew (crates/envoy-proto/messages.txt says which)
  setup                 fetch the tools and foreign clients the tests can use, and print them
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result<()> {
    let Some((verb, rest)) = args.split_first() else {
        print!("{USAGE}");
        return Ok(());
    };
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    match (verb.as_str(), rest.as_slice()) {
        ("test", []) => test::run(test::Scope::Everything),
        ("test", ["--fast"]) => test::run(test::Scope::Fast),
        ("random", rest) => random::run(rest),
        ("tidy", []) => tidy::run(),
        ("tidy", ["--bless"]) => tidy::bless(),
        ("mutate", []) => mutate::run(None),
        ("mutate", ["--only", id]) => mutate::run(Some(id)),
        ("differ", rest) => differ::run(rest),
        ("oracle", rest) => oracle::compare(rest),
        ("churn", rest) => oracle::churn(rest),
        ("measure", rest) => measure::run(rest),
        ("protos", []) => protos::run(),
        ("setup", []) => setup::print_all(),
        ("help" | "--help" | "-h", _) => {
            print!("{USAGE}");
            Ok(())
        }
        _ => bail!("unknown: {}\n\n{USAGE}", args.join(" ")),
    }
}
