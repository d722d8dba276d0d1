//! `cargo xtask random`: runs randomised tests with other seeds than the normal test run.
//!
//! The normal test run always uses the seed in `.cargo/config.toml`, so that it is reproducible. This command searches
//! for more faults, in rounds with consecutive seeds. A round that fails prints how to repeat it. The fault then gets
//! its own test, named after the fault.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::process;
use crate::source::{self, SourceFile, code, items};
use crate::workspace::{Workspace, package_name};

/// The variable from which proptest, and each test in [`INTERLEAVINGS`], reads the seed.
const SEED_VARIABLE: &str = "PROPTEST_RNG_SEED";

/// Tests with their own random generator, by crate.
const INTERLEAVINGS: &[(&str, &str)] = &[
    ("agent", "n_30_ten_thousand_interleavings_show_nothing_to_whom_it_is_not_allowed"),
    ("mesh", "random_requests_are_decided_as_the_second_evaluator_decides_them"),
    ("mesh", "every_chain_of_random_entries_is_sound_and_only_what_breaks_one_is_refused"),
    ("server", "n_28_n_30_interleavings_show_nothing_to_whom_it_is_not_allowed"),
];

/// The arguments: `[--seed N] [--minutes N]`.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Wish {
    /// The seed of the first round. `None`: a new one.
    seed: Option<u64>,
    /// New rounds start until this number of minutes has passed. 0 means one round.
    minutes: u64,
}

impl Wish {
    pub(crate) fn parse(args: &[&str]) -> Result<Self> {
        let mut wish = Self::default();
        for pair in args.chunks(2) {
            let [name, value] = pair else { bail!("{} needs a number", pair.join(" ")) };
            let number: u64 = value.parse().with_context(|| format!("{name} {value}"))?;
            match *name {
                "--seed" => wish.seed = Some(number),
                "--minutes" => wish.minutes = number,
                _ => bail!("unknown: {name}; known are --seed and --minutes"),
            }
        }
        Ok(wish)
    }
}

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let Wish { seed, minutes } = Wish::parse(args)?;
    let workspace = Workspace::load()?;
    let mut tests: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for member in &workspace.members {
        let found = drawn_in(&source::of_crate(&workspace.root, &member.dir)?);
        let own =
            INTERLEAVINGS.iter().filter(|(of, _)| *of == member.name).map(|(_, test)| (*test).to_owned());
        let all: BTreeSet<String> = found.into_iter().chain(own).collect();
        if !all.is_empty() {
            tests.insert(package_name(&member.name), all);
        }
    }
    let first = seed.map_or_else(fresh_seed, Ok)?;
    let until = Instant::now() + Duration::from_secs(60 * minutes);
    for seed in first.. {
        println!("seed {seed}");
        round(&workspace.root, &tests, seed)?;
        if Instant::now() >= until {
            break;
        }
    }
    Ok(())
}

/// Runs all randomised tests once, with one seed.
fn round(root: &Path, tests: &BTreeMap<String, BTreeSet<String>>, seed: u64) -> Result<()> {
    let mut cargo = process::cargo(root);
    cargo.args(["test", "--locked", "--quiet", "--no-fail-fast", "--lib", "--tests"]);
    tests.keys().for_each(|package| _ = cargo.args(["-p", package]));
    cargo.arg("--").args(tests.values().flatten()).env(SEED_VARIABLE, seed.to_string());
    let mut ran = 0;
    let status = process::stream("the tests that draw", &mut cargo, |line| ran += passed(line))?;
    if !status.success() {
        bail!(
            "seed {seed} found a fault; `cargo xtask random --seed {seed}` repeats it. \
             Make a test of what it found, named for the fault"
        );
    }
    let wanted: usize = tests.values().map(BTreeSet::len).sum();
    if ran < wanted {
        bail!("{ran} tests ran, {wanted} draw at random");
    }
    Ok(())
}

/// Reads the number in `test result: ok. 3 passed; …`.
fn passed(line: &str) -> usize {
    let count = line.strip_prefix("test result: ok. ").and_then(|rest| rest.split_once(" passed"));
    count.and_then(|(count, _)| count.parse().ok()).unwrap_or_default()
}

/// The names of the tests inside `proptest!` blocks.
fn drawn_in(sources: &[SourceFile]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in sources {
        let code = code::only(&file.text);
        for (at, _) in code.match_indices("proptest! {") {
            let block = &code[at..code::matching_brace(&code, at + "proptest! ".len())];
            names.extend(items::functions(&file.module, block).into_iter().map(|function| function.name));
        }
    }
    names
}

fn fresh_seed() -> Result<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
    Ok(now.as_secs())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::source::Target;

    #[test]
    fn tests_that_draw_are_found_where_proptest_has_them() {
        let text = "fn plain() {} proptest::proptest! { #[test] fn one(x in 0..3) { f(|| {}) } } \
                    mod tests { proptest! { #![proptest_config(c())] #[test] fn two(x in 0..3) {} } fn other() {} }";
        let file = SourceFile {
            path: PathBuf::from("crates/x/src/lib.rs"),
            target: Target::Main,
            module: Vec::new(),
            text: text.to_owned(),
        };
        assert_eq!(drawn_in(&[file]), BTreeSet::from(["one".to_owned(), "two".to_owned()]));
    }

    #[test]
    fn the_interleavings_are_where_they_are_said_to_be() {
        let root = crate::workspace::root().unwrap();
        for (member, test) in INTERLEAVINGS {
            let sources = source::of_crate(&root, &Path::new("crates").join(member)).unwrap();
            let found = sources.iter().any(|file| {
                let named = items::functions(&file.module, &file.text).iter().any(|own| own.name == *test);
                named && file.text.contains(SEED_VARIABLE)
            });
            assert!(found, "{member}: {test} does not read {SEED_VARIABLE}");
        }
    }

    #[test]
    fn a_wish_is_read_and_anything_else_is_refused() {
        assert_eq!(Wish::parse(&[]).unwrap(), Wish::default());
        let both = Wish { seed: Some(7), minutes: 3 };
        assert_eq!(Wish::parse(&["--minutes", "3", "--seed", "7"]).unwrap(), both);
        for wrong in [&["--seed"][..], &["--seed", "x"], &["--hours", "1"]] {
            assert!(Wish::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_ran_is_counted() {
        assert_eq!(passed("test result: ok. 3 passed; 0 failed; 0 ignored"), 3);
        assert_eq!(passed("test result: FAILED. 3 passed; 1 failed"), 0);
    }
}
