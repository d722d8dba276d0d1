//! `concord-load <question> [--seconds N]`: puts load on the program through its public ports, as a stranger would, and
//! prints one JSON object of figures. `cargo xtask measure` builds it, runs it, and records the machine and the commit
//! of the figures.
//!
//! It also contains simple peers for comparison: `relay` shows the cost of rustls and tokio alone, and Envoy is started
//! with a bootstrap from here. Nothing here is part of the product, and nothing here judges a figure.

#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    reason = "load lives on the real clock, on real threads and in a real environment"
)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "its output is what it is for")]

mod agents;
mod authorize;
mod bare_http;
mod entries;
mod envoy;
mod figures;
mod growth;
mod leaf;
mod memory;
mod pair;
mod peer;
mod proxy;
mod reads;
mod relay;
mod reloads;
mod requests;
mod spread;
mod start;
mod strangers;
mod streams;
mod traffic;
mod usage;

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::figures::Figures;

/// Default duration of each phase. All phases of a question take less than three minutes.
const SECONDS: u64 = 5;
/// Longer phases give no better figures and keep the machine busy.
const SECONDS_MAX: u64 = 10;

const USAGE: &str = "concord-load authorize|entries|reads|leaf|start|memory|growth|proxy|reloads [--seconds N]\n\
    concord-load strangers [<beginning of a cell's name> [<connections>]]\n\
    concord-load streams [<number>]\n\
    concord-load bare-http <listen> <headers.json> <body>\n\
    concord-load bare-streams <listen> <bytes>\n\
    concord-load relay egress|ingress <listen> <connect> <leaf.pem> <key.pem> <roots.pem>";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let Some((&question, rest)) = args.split_first() else { bail!("usage:\n{USAGE}") };
    if question == "relay" {
        return relay::run(rest);
    }
    if question == "bare-http" {
        return bare_http::run(rest);
    }
    if question == "bare-streams" {
        return streams::run_bare(rest);
    }
    if question == "streams" {
        println!("{}", streams::run(streams::count(rest)?)?.to_json());
        return Ok(());
    }
    if question == "strangers" {
        println!("{}", strangers::run(rest)?.to_json());
        return Ok(());
    }
    let lasting = lasting(rest)?;
    let figures: Figures = match question {
        "authorize" => authorize::run(lasting)?,
        "entries" => entries::run()?,
        "reads" => reads::run(lasting)?,
        "leaf" => leaf::run(lasting)?,
        "start" => start::run()?,
        "memory" => memory::run()?,
        "growth" => growth::run()?,
        "proxy" => proxy::run(lasting)?,
        "reloads" => reloads::run(lasting)?,
        unknown => bail!("`{unknown}` is no question; usage:\n{USAGE}"),
    };
    println!("{}", figures.to_json());
    Ok(())
}

/// Reads the duration of a phase from the arguments.
fn lasting(args: &[&str]) -> Result<Duration> {
    let seconds = match args {
        [] => SECONDS,
        ["--seconds", number] => number.parse().with_context(|| format!("--seconds {number}"))?,
        _ => bail!("usage:\n{USAGE}"),
    };
    ensure!((1..=SECONDS_MAX).contains(&seconds), "--seconds: from 1 to {SECONDS_MAX}");
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_has_a_length_and_a_bound() {
        assert_eq!(lasting(&[]).unwrap(), Duration::from_secs(SECONDS));
        assert_eq!(lasting(&["--seconds", "2"]).unwrap(), Duration::from_secs(2));
        for wrong in [&["--seconds", "0"][..], &["--seconds", "3600"], &["--seconds", "x"], &["2"]] {
            assert!(lasting(wrong).is_err(), "{wrong:?}");
        }
    }
}
