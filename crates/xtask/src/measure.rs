//! `cargo xtask measure <name>`: all measurements of time. Tests check nothing about real time. Measurements print
//! their figures with the machine and the commit; docs/performance.md is updated by hand.
//!
//! To add a measurement, write a file below `measure/` with a `run` function, and a row in [`MEASUREMENTS`].

use anyhow::{Result, bail};

use crate::setup;
use crate::workspace;

mod bench;
mod build;
mod endurance;
mod load;
mod report;

use bench::Bench;
use report::Report;

/// A measurement and its name on the command line.
struct Measurement {
    name: &'static str,
    /// What is measured, and about how long that takes.
    about: &'static str,
    run: fn(&Bench<'_>) -> Result<Report>,
}

const MEASUREMENTS: &[Measurement] = &[
    Measurement {
        name: "build",
        about: "clean builds of every crate, dev and release: seconds and megabytes (about ten minutes)",
        run: build::run,
    },
    Measurement {
        name: "authorize",
        about: "authorize over HTTP, compared with a bare server, and in process, with 10, 10,000 and 100,000 intentions (two minutes)",
        run: load::authorize,
    },
    Measurement {
        name: "entries",
        about: "configuration entries changed among 10,000 services and 5,000 entries, and whom that wakes (a minute)",
        run: load::entries,
    },
    Measurement {
        name: "reads",
        about: "health of a service and a leaf over HTTP, compared with a bare server (a minute)",
        run: load::reads,
    },
    Measurement {
        name: "leaf",
        about: "leaves issued end to end, compared with bare key generation and signing (half a minute)",
        run: load::leaf,
    },
    Measurement {
        name: "start",
        about: "from exec to the first answer, new and after kill -9 (half a minute)",
        run: load::start,
    },
    Measurement {
        name: "memory",
        about: "resident memory of an agent, idle and with a thousand services (half a minute)",
        run: load::memory,
    },
    Measurement {
        name: "growth",
        about: "100,000 intentions one by one, the last compared with the first, and then kill -9 (five minutes)",
        run: load::growth,
    },
    Measurement {
        name: "proxy",
        about: "the L4 proxy pair, compared with a bare rustls pair and an Envoy pair (two minutes)",
        run: load::proxy,
    },
    Measurement {
        name: "reloads",
        about: "certificates of HTTPS replaced under 200 requests a second (ten seconds)",
        run: load::reloads,
    },
    Measurement {
        name: "strangers",
        about: "floods of 2,000 and 10,000 connections against each port, while a client with a token is served (fifteen minutes)",
        run: load::strangers,
    },
    Measurement {
        name: "streams",
        about: "streams of discovery for 1,000 Envoys, or the number that is given, compared with a bare server (two minutes)",
        run: load::streams,
    },
    Measurement {
        name: "kill9",
        about: "200 kills of an agent under writers: what was acknowledged is there (four minutes)",
        run: endurance::kill9,
    },
    Measurement {
        name: "rotations",
        about: "ten rotations of the root under 200 new connections a second (half a minute)",
        run: endurance::rotations,
    },
    Measurement {
        name: "isolation",
        about: "120,000 interleavings over HTTP and 100,000 unknown tokens (five minutes)",
        run: endurance::isolation,
    },
];

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let Some((name, rest)) = args.split_first() else {
        for Measurement { name, about, .. } in MEASUREMENTS {
            println!("{name:<14} {about}");
        }
        return Ok(());
    };
    let Some(measurement) = MEASUREMENTS.iter().find(|measurement| measurement.name == *name) else {
        bail!("no measurement is called `{name}`; `cargo xtask measure` lists them");
    };
    let scratch = setup::target_dir()?.join("measure").join(measurement.name);
    std::fs::create_dir_all(&scratch)?;
    let bench = Bench { root: workspace::root()?, scratch, args: rest };
    let report = (measurement.run)(&bench)?;
    println!("{}", report.to_text(&report::Origin::of(&bench.root)?, &command(name, rest)));
    Ok(())
}

fn command(name: &str, rest: &[&str]) -> String {
    std::iter::once(format!("cargo xtask measure {name}"))
        .chain(rest.iter().map(|arg| (*arg).to_owned()))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_an_error_and_no_name_lists() {
        assert!(run(&["no-such-measurement"]).is_err());
        run(&[]).unwrap();
    }
}
