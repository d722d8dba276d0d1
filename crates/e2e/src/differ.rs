//! The differential runner sends generated requests to two agents and reports how their answers differ.
//!
//! Both agents get the same requests in the same order. The requests form episodes, and each episode begins with
//! nothing registered. The runner masks values which the two cannot have in common (indexes, times, ids, certificates),
//! and then compares status, headers and JSON. It does not compare the wording of refusals. The table in `known`
//! lists the known differences with their reasons; any other difference makes the run fail.
//!
//! The caller gives the addresses of the agents. They must be fresh and configured alike, and the run removes
//! everything that is registered with them. It does not judge response times.

mod about;
mod acl;
mod agent;
mod area;
mod catalog;
mod compare;
mod known;
mod mask;
mod mesh;
mod names;
mod odd;
mod report;
mod request;
mod reset;
mod routing;
mod side;
mod vary;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::chance::Chance;
use crate::http::Http;

use self::about::{About, parts};
pub use self::area::Area;
pub use self::report::Report;
use self::request::Request;
pub(crate) use self::reset::wipe;
use self::side::{Ids, Side};

/// Maximum number of requests in an episode.
const EPISODE: usize = 40;
/// How often a read is repeated while its answers differ: an agent's registration reaches the catalog a moment later.
const LOOKS: u32 = 6;
/// Time between two repetitions.
const LOOK: Duration = Duration::from_millis(50);

/// The settings of a run.
#[derive(Clone, Debug)]
pub struct Differ {
    /// The agent under test.
    pub ours: Http,
    /// The agent to compare with.
    pub theirs: Http,
    /// A management token of both agents, if ACLs are on.
    pub token: Option<String>,
    /// The first seed.
    pub seed: u64,
    /// Number of seeds: the run uses the first seed and those which follow it.
    pub seeds: u64,
    /// Number of requests to each agent for each seed.
    pub requests: usize,
    /// Only requests about this area. `None` means all areas.
    pub only: Option<Area>,
    /// File which lists every request with all its differences, known or not.
    pub list: Option<PathBuf>,
}

impl Differ {
    /// Sends the requests and reports the differences.
    pub fn run(&self) -> io::Result<Report> {
        let mut ours = Side::new(&self.ours, self.token.as_deref());
        let mut theirs = Side::new(&self.theirs, self.token.as_deref());
        let mut report = Report::default();
        for seed in self.seed..self.seed.saturating_add(self.seeds) {
            self.course(seed, &mut ours, &mut theirs, &mut report)?;
        }
        for side in [&mut ours, &mut theirs] {
            reset::clean(side)?;
        }
        if let Some(list) = &self.list {
            fs::write(list, report.lines())?;
        }
        Ok(report)
    }

    fn course(&self, seed: u64, ours: &mut Side, theirs: &mut Side, report: &mut Report) -> io::Result<()> {
        let mut chance = Chance::of_seed(seed);
        let mut sent = 0;
        while sent < self.requests {
            for side in [&mut *ours, &mut *theirs] {
                reset::clean(side)?;
            }
            report.begin_anew();
            let mut ids = Ids::default();
            let mut about = About::default();
            let mut course = chance.fork();
            let area = self.only.unwrap_or_else(|| Area::any(&mut course));
            let draw = if self.only.is_some() { area::any } else { area::mostly };
            for _ in 0..EPISODE.min(self.requests - sent) {
                let request = draw(area, &mut course, self.token.is_some());
                sent += 1;
                let diverged = exchange(ours, theirs, &request, &mut ids, report)?;
                if diverged || about.moved(&request) {
                    // From here on the agents hold different state, so further differences say nothing new.
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Sends a request to both agents and records the differences. Returns whether they hold different state afterwards.
fn exchange(
    ours: &mut Side,
    theirs: &mut Side,
    request: &Request,
    ids: &mut Ids,
    report: &mut Report,
) -> io::Result<bool> {
    let mut replies = [ours.send(request, ids, 0)?, theirs.send(request, ids, 1)?];
    let mut found = compare::differences(&replies[0], &replies[1]);
    let mut looks = 0;
    while request.method == "GET" && looks < LOOKS && report.is_new(request, &found) {
        looks += 1;
        thread::sleep(LOOK);
        replies = [ours.send(request, ids, 0)?, theirs.send(request, ids, 1)?];
        found = compare::differences(&replies[0], &replies[1]);
    }
    let [one, other] = &replies;
    ids.learn(request, one, other);
    let [accepted, by_other] = [one, other].map(|reply| (200..300).contains(&reply.status));
    report.add(request, accepted && by_other, &found);
    Ok(request.method != "GET" && (accepted != by_other || parts(request, accepted, &one.body)))
}

/// Parses the arguments of the program: `--ours ADDR --theirs ADDR [--token T] [--seed N] [--seeds N] [--requests N]
/// [--only AREA] [--list FILE]`. Without a token both agents must run without ACLs.
///
/// # Errors
///
/// A sentence which says what is wrong with the arguments.
pub fn parse(args: &[String]) -> Result<Differ, String> {
    let mut given: BTreeMap<&str, &str> = BTreeMap::new();
    for pair in args.chunks(2) {
        let [name, value] = pair else { return Err(format!("{} needs a value", pair.concat())) };
        if !["--ours", "--theirs", "--token", "--seed", "--seeds", "--requests", "--only", "--list"]
            .contains(&name.as_str())
        {
            return Err(format!("unknown: {name}"));
        }
        given.insert(name, value);
    }
    let address = |name: &str| {
        let text = given.get(name).ok_or_else(|| format!("{name} is missing"))?;
        let bare = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
        bare.parse().map(Http::new).map_err(|_| format!("{name} {text}: an address and port is needed"))
    };
    let number = |name: &str, usual: u64| match given.get(name) {
        None => Ok(usual),
        Some(text) => text.parse().map_err(|_| format!("{name} {text}: a number is needed")),
    };
    Ok(Differ {
        ours: address("--ours")?,
        theirs: address("--theirs")?,
        token: given.get("--token").map(|token| (*token).to_owned()),
        seed: number("--seed", SEED)?,
        seeds: number("--seeds", 1)?,
        only: match given.get("--only") {
            None => None,
            Some(name) => {
                Some(Area::parse(name).ok_or_else(|| format!("--only {name}: there is no such area"))?)
            }
        },
        list: given.get("--list").map(PathBuf::from),
        requests: usize::try_from(number("--requests", REQUESTS)?).map_err(|error| error.to_string())?,
    })
}

/// The default seed.
pub const SEED: u64 = 1;
/// The default number of requests.
pub const REQUESTS: u64 = 5_000;

#[cfg(test)]
mod tests;
