//! Churn: random changes while requests flow through two Envoys.
//!
//! `web` calls `api` by HTTP. Instances of `api` come and go, entries are written and deleted, intentions flip, the
//! authority rotates, tokens change. Each answer must be one that the entries gave at some moment of the request. In
//! the end what each Envoy knows must be what an Envoy knows that is started then.
//!
//! ```text
//!   asking threads ─► Envoy of web ─► Envoy of api (each instance is an address of it) ─► the service
//! ```

mod change;
mod history;
mod load;
mod mesh;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use self::change::Change;
use self::load::Asking;
use self::mesh::Meshed;
use crate::chance::Chance;
use crate::world::{World, figure};

/// Pause after each change, so that requests flow between two of them.
const PAUSE: Duration = Duration::from_millis(60);

/// The settings of a run.
#[derive(Clone, Debug)]
pub struct Churn {
    /// Envoy's program.
    pub envoy: PathBuf,
    /// The seed from which changes are drawn.
    pub seed: u64,
    /// Number of changes.
    pub changes: usize,
    /// Number of requests a second.
    pub per_second: u64,
}

/// The result of a run.
#[derive(Debug)]
pub struct Churned {
    /// Number of answers by status.
    pub answers: Vec<(u16, u64)>,
    /// Number of changes by what they are, and the time until they had arrived, together.
    pub changes: Vec<(&'static str, usize, Duration)>,
    /// Number of requests a second that were answered.
    pub per_second: f64,
    /// Answers that nothing explains, and requests without an answer.
    pub unexpected: Vec<String>,
    /// What long-lived Envoys know otherwise than fresh ones.
    pub differences: Vec<String>,
}

impl Churn {
    /// Makes the changes under load.
    ///
    /// # Panics
    /// Something does not start, a change is refused, or does not reach an Envoy.
    #[track_caller]
    pub fn run(&self) -> Churned {
        eprintln!("seed {}", self.seed);
        let world = World::new();
        let mut mesh = Meshed::start(&world, &self.envoy);
        let began = Instant::now();
        let asking = Asking::start(mesh.upstream(), self.per_second, mesh.history());
        let mut chance = Chance::of_seed(self.seed);
        let mut made = std::collections::BTreeMap::new();
        for at in 0..self.changes {
            let change = Change::draw(&mut chance, &mesh.now());
            let changing = Instant::now();
            mesh.make(at, &change);
            let (count, took) = made.entry(change.name()).or_insert((0, Duration::ZERO));
            (*count, *took) = (*count + 1, *took + changing.elapsed());
            std::thread::sleep(PAUSE);
        }
        let (answers, unexpected) = asking.finish();
        let total: u64 = answers.iter().map(|(_, count)| count).sum();
        let per_second = total as f64 / began.elapsed().as_secs_f64();
        figure("churn, requests answered", total as f64, "");
        figure("churn, requests answered a second", per_second, "1/s");
        let differences = mesh.compare_with_fresh(&world, &self.envoy);
        let changes = made.into_iter().map(|(name, (count, took))| (name, count, took)).collect();
        Churned { answers, changes, per_second, unexpected, differences }
    }
}

impl Churned {
    /// Whether all went well.
    pub fn is_clean(&self) -> bool {
        self.unexpected.is_empty() && self.differences.is_empty()
    }
}

/// Reads the arguments of the program: `--envoy PROGRAM [--seed N] [--changes N] [--per-second N]`.
///
/// # Errors
/// A sentence that says what is wrong with the arguments.
pub fn parse(args: &[String]) -> Result<Churn, String> {
    let mut envoy = std::env::var_os("CONCORD_TEST_ENVOY").map(PathBuf::from);
    let (mut seed, mut changes, mut per_second) = (SEED, CHANGES, PER_SECOND);
    for pair in args.chunks(2) {
        let [name, value] = pair else { return Err(format!("{} needs a value", pair.concat())) };
        let number = || value.parse::<u64>().map_err(|_| format!("{name} {value}: a number is needed"));
        match name.as_str() {
            "--envoy" => envoy = Some(value.into()),
            "--seed" => seed = number()?,
            "--changes" => changes = number()?,
            "--per-second" => per_second = number()?,
            _ => return Err(format!("unknown: {name}")),
        }
    }
    let envoy = envoy.ok_or("--envoy is missing: Envoy's program")?;
    let changes = usize::try_from(changes).map_err(|error| error.to_string())?;
    Ok(Churn { envoy, seed, changes, per_second })
}

/// The default seed.
const SEED: u64 = 1;
/// The default number of changes.
const CHANGES: u64 = 500;
/// The default number of requests a second.
const PER_SECOND: u64 = 300;
