//! The oracle compares how two meshes configure Envoy: ours and a reference that was built outside the project.
//!
//! Both get the same authority, names and calls. For each scenario an Envoy is started against each of them, one after
//! the other, and what its admin interface tells (`/config_dump?include_eds`) is compared. Keys, serials, versions and
//! times are masked. The table in `known` lists the known differences with their reasons; any other makes the run
//! fail. The oracle says nothing about traffic: `xds::it::envoy` and the tests of Envoys in this crate do.

mod authority;
mod compare;
mod dump;
mod known;
mod party;
mod report;
mod scenario;
mod scenarios;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use self::authority::Authority;
use self::party::Party;
pub use self::report::Report;
use self::scenario::Scenario;
use crate::envoy::EnvoyProcess;
use crate::world::World;

/// Time within which two Envoys of one agent must know the same.
const SAME: Duration = Duration::from_secs(20);
/// Time between two looks at them.
const LOOK: Duration = Duration::from_millis(200);

/// The settings of a run.
#[derive(Clone, Debug)]
pub struct Oracle {
    /// Envoy's program.
    pub envoy: PathBuf,
    /// With whom ours is compared.
    pub with: With,
    /// Only scenarios whose name begins so. Empty: all.
    pub only: String,
    /// File in which all dumps and differences are written down, one JSON object a line.
    pub list: Option<PathBuf>,
}

/// With whom ours is compared.
#[derive(Clone, Debug)]
pub enum With {
    /// A reference: its program.
    Reference(PathBuf),
    /// Another agent of ours, with a further fragment of configuration.
    Ours(String),
}

impl Oracle {
    /// Plays all scenarios and reports the differences.
    ///
    /// # Errors
    /// An agent or an Envoy does not start, or refuses a call.
    pub fn run(&self) -> Result<Report, String> {
        let is_whole = self.only.is_empty() && matches!(self.with, With::Reference(_));
        let mut report = Report::of_run(is_whole);
        for denies in [false, true] {
            let all: Vec<_> = scenarios::all().into_iter().filter(|own| own.denies == denies).collect();
            let chosen: Vec<_> = all.iter().filter(|own| own.name.starts_with(&self.only)).collect();
            if !chosen.is_empty() {
                self.play(&chosen, denies, &mut report)?;
            }
        }
        if let Some(list) = &self.list {
            std::fs::write(list, report.lines()).map_err(|error| format!("{}: {error}", list.display()))?;
        }
        Ok(report)
    }

    fn play(&self, scenarios: &[&Scenario], denies: bool, report: &mut Report) -> Result<(), String> {
        let world = World::new();
        let authority = Authority::new();
        let settings = authority.settings(denies);
        let parties = [
            Party::ours(&world, "ours", &[&settings]),
            match &self.with {
                With::Reference(program) => Party::reference(&world, program, &settings),
                With::Ours(more) => Party::ours(&world, "theirs", &[&settings, more]),
            },
        ];
        for scenario in scenarios {
            eprintln!("scenario: {}", scenario.name);
            let [ours, theirs] = parties.each_ref().map(|party| party.play(&world, &self.envoy, scenario));
            report.add(scenario.name, &ours?, &theirs?);
        }
        Ok(())
    }
}

/// In what two Envoys of one agent, which serves proxies at this port, differ: nothing as soon as they know the same.
pub(crate) fn differences(one: &EnvoyProcess, other: &EnvoyProcess, grpc: u16) -> Vec<String> {
    let began = Instant::now();
    loop {
        let [one, other] = [one, other].map(|envoy| {
            let told = envoy.admin().get("/config_dump?include_eds").json();
            dump::resources(&told, grpc, envoy.admin_port())
        });
        let found = compare::differences(&one, &other);
        if found.is_empty() || began.elapsed() > SAME {
            return found.iter().map(|one| format!("{}: {:?}", one.path, one.sides)).collect();
        }
        std::thread::sleep(LOOK);
    }
}

/// Reads the arguments of the program: `--reference PROGRAM --envoy PROGRAM [--only NAME] [--list FILE]`. The programs may
/// be named by `CONCORD_TEST_REFERENCE` and `CONCORD_TEST_ENVOY_OLDEST`.
///
/// # Errors
/// A sentence that says what is wrong with the arguments.
pub fn parse(args: &[String]) -> Result<Oracle, String> {
    let named = |variable: &str| std::env::var_os(variable).map(PathBuf::from);
    let (mut reference, mut envoy) = (named("CONCORD_TEST_REFERENCE"), named("CONCORD_TEST_ENVOY_OLDEST"));
    let (mut only, mut list) = (String::new(), None);
    for pair in args.chunks(2) {
        let [name, value] = pair else { return Err(format!("{} needs a value", pair.concat())) };
        match name.as_str() {
            "--reference" => reference = Some(value.into()),
            "--envoy" => envoy = Some(value.into()),
            "--only" => only.clone_from(value),
            "--list" => list = Some(value.into()),
            _ => return Err(format!("unknown: {name}")),
        }
    }
    let reference = reference.ok_or("--reference is missing: the program of a reference")?;
    let envoy = envoy.ok_or("--envoy is missing: Envoy's program")?;
    Ok(Oracle { envoy, with: With::Reference(reference), only, list })
}

/// The names of all scenarios.
pub fn names() -> Vec<&'static str> {
    scenarios::all().iter().map(|own| own.name).collect()
}
