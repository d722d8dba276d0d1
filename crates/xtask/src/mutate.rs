//! `cargo xtask mutate`: a test of a negative case is useful only if it can fail. For each case there is a small patch
//! `crates/xtask/mutations/<id>.patch` that breaks the guard. With this patch the test must fail.
//!
//! The work tree is not changed. It is copied to a directory below the target directory; there each patch is applied,
//! tested with its own target directory, and reverted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{self, Ended};
use crate::setup;
use crate::source::{self, Target};
use crate::tidy::negative;
use crate::workspace::{self, Workspace, package_name};

mod patch;
mod scratch;

use negative::{NegativeId, Proofs, TestName};
use patch::Mutation;
use scratch::Scratch;

const MUTATIONS: &str = "crates/xtask/mutations";

/// A broken guard may make its test hang. That counts as a failure.
const HANG: Duration = Duration::from_secs(300);

/// The result of one mutation.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The test failed, as it must.
    Red,
    /// The test hung. A run of the tests would report that too.
    Hung,
    /// The test passed although its guard is broken.
    StillGreen,
    /// The test fails without the mutation.
    RedBefore,
    /// The patch can be applied, but the code does not compile.
    DoesNotBuild,
    /// The patch, its header or its test is wrong.
    Broken(String),
}

pub(crate) fn run(only: Option<&str>) -> Result<()> {
    let root = workspace::root()?;
    let only = only.map(str::parse::<NegativeId>).transpose()?;
    let workspace = Workspace::load()?;
    let mut sources = BTreeMap::new();
    for member in &workspace.members {
        sources.insert(member.name.clone(), source::of_crate(&root, &member.dir)?);
    }
    let proofs = negative::proofs(&sources);
    let mutations: Vec<Mutation> =
        read_mutations(&root)?.into_iter().filter(|m| only.as_ref().is_none_or(|id| *id == m.id)).collect();
    let document = std::fs::read_to_string(root.join(negative::DOCUMENT))
        .with_context(|| format!("reading {}", negative::DOCUMENT))?;
    let wanted =
        negative::listed(&document).into_iter().filter(|id| only.as_ref().is_none_or(|one| one == id));
    let missing = missing(wanted, &mutations);

    let scratch = Scratch::prepare(&root, &setup::target_dir()?.join("mutate"))?;
    let unbroken = run_unbroken(&scratch, &mutations, &proofs)?;
    let mut survivors = 0_usize;
    for mutation in &mutations {
        let verdict = judge(&scratch, mutation, &proofs, &unbroken)?;
        if !verdict.is_red() {
            survivors += 1;
        }
        println!("{:<10} {:<24} {}", mutation.id.to_string(), verdict.to_string(), mutation.test);
    }
    for id in &missing {
        println!("{:<10} {:<24} {MUTATIONS}/{id}.patch", id.to_string(), "NO PATCH");
    }
    println!("{} red, {survivors} not red, {} without a patch", mutations.len() - survivors, missing.len());
    if survivors + missing.len() > 0 {
        bail!("not every negative case can fail");
    }
    if mutations.is_empty() {
        bail!("nothing to do");
    }
    Ok(())
}

fn missing(wanted: impl Iterator<Item = NegativeId>, mutations: &[Mutation]) -> Vec<NegativeId> {
    let have: BTreeSet<&NegativeId> = mutations.iter().map(|mutation| &mutation.id).collect();
    wanted.filter(|id| !have.contains(id)).collect()
}

fn read_mutations(root: &Path) -> Result<Vec<Mutation>> {
    let mut paths: Vec<PathBuf> = Vec::new();
    source::collect(&root.join(MUTATIONS), "patch", &mut paths)?;
    let mut mutations = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        mutations.push(Mutation::parse(name, &text).with_context(|| path.display().to_string())?);
    }
    // Sort the patches by crate, so that the crates below it are built only once.
    mutations
        .sort_by_key(|mutation| (mutation.files.first().map(|file| file.path.clone()), mutation.id.clone()));
    Ok(mutations)
}

/// The test that a patch names, if it belongs to the patch's case.
fn test_of<'a>(mutation: &Mutation, proofs: &'a Proofs) -> Option<&'a TestName> {
    proofs.get(&mutation.id).into_iter().flatten().find(|test| test.to_string() == mutation.test)
}

/// Runs each test once without a patch, before all patches, so that the original sources are built only once.
fn run_unbroken<'a>(
    scratch: &Scratch,
    mutations: &[Mutation],
    proofs: &'a Proofs,
) -> Result<BTreeMap<&'a TestName, Outcome>> {
    let tests: BTreeSet<&TestName> =
        mutations.iter().filter_map(|mutation| test_of(mutation, proofs)).collect();
    tests.into_iter().map(|test| Ok((test, run_test(scratch, test)?))).collect()
}

fn judge(
    scratch: &Scratch,
    mutation: &Mutation,
    proofs: &Proofs,
    unbroken: &BTreeMap<&TestName, Outcome>,
) -> Result<Verdict> {
    let Some(test) = test_of(mutation, proofs) else {
        return Ok(Verdict::Broken(format!("`{}` is not a test of {}", mutation.test, mutation.id)));
    };
    match unbroken.get(test) {
        Some(Outcome::Green) => {}
        Some(Outcome::Missing) | None => return Ok(Verdict::Broken("the test did not run".to_owned())),
        Some(Outcome::DoesNotBuild | Outcome::Red | Outcome::Hung) => return Ok(Verdict::RedBefore),
    }
    if let Err(error) = scratch.apply(mutation) {
        scratch.restore(mutation)?;
        return Ok(Verdict::Broken(format!("{error:#}")));
    }
    let outcome = run_test(scratch, test);
    scratch.restore(mutation)?;
    Ok(match outcome? {
        Outcome::Red => Verdict::Red,
        Outcome::Hung => Verdict::Hung,
        Outcome::Green => Verdict::StillGreen,
        Outcome::DoesNotBuild => Verdict::DoesNotBuild,
        Outcome::Missing => Verdict::Broken("the patch removes its own test".to_owned()),
    })
}

enum Outcome {
    Green,
    Red,
    Hung,
    Missing,
    DoesNotBuild,
}

fn run_test(scratch: &Scratch, test: &TestName) -> Result<Outcome> {
    let mut build = test_command(scratch, test);
    build.arg("--no-run");
    if process::capture("building the test", &mut build).is_err() {
        return Ok(Outcome::DoesNotBuild);
    }
    let mut run = test_command(scratch, test);
    run.args(["--", "--exact", &test.path]);
    Ok(match process::run_within("the test", &mut run, HANG)? {
        Ended::Killed => Outcome::Hung,
        Ended::Exited { output, .. } if ran_nothing(&output) => Outcome::Missing,
        Ended::Exited { success: true, .. } => Outcome::Green,
        Ended::Exited { success: false, .. } => Outcome::Red,
    })
}

fn test_command(scratch: &Scratch, test: &TestName) -> std::process::Command {
    let mut command = process::cargo(scratch.tree());
    command.env("CARGO_TARGET_DIR", scratch.target());
    // A patch changes few lines, and nobody debugs the result.
    command.env("CARGO_INCREMENTAL", "1").env("CARGO_PROFILE_DEV_DEBUG", "false");
    command.args(["test", "--quiet", "--color", "never", "--package", &package_name(&test.member)]);
    match &test.target {
        Target::Main if scratch.has_library(&test.member) => command.arg("--lib"),
        Target::Main => command.arg("--bins"),
        Target::Test(name) | Target::Other(name) => command.args(["--test", name]),
    };
    command
}

/// Whether no test binary contains the test.
fn ran_nothing(output: &str) -> bool {
    let ran = |line: &str| {
        let count = line.strip_prefix("running ")?.split_whitespace().next()?;
        count.parse::<u32>().ok()
    };
    output.lines().filter_map(ran).sum::<u32>() == 0
}

// === impl Verdict ===

impl Verdict {
    fn is_red(&self) -> bool {
        matches!(self, Self::Red | Self::Hung)
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = match self {
            Self::Red => "red",
            Self::Hung => "red (hung)",
            Self::StillGreen => "STILL GREEN",
            Self::RedBefore => "RED WITHOUT THE PATCH",
            Self::DoesNotBuild => "DOES NOT BUILD",
            Self::Broken(why) => return f.pad(&format!("BROKEN: {why}")),
        };
        f.pad(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_run_is_told_from_a_failure() {
        assert!(ran_nothing("running 0 tests\ntest result: ok. 0 passed"));
        assert!(ran_nothing("error: could not compile"));
        assert!(!ran_nothing("running 0 tests\nrunning 1 test\ntest result: FAILED"));
    }

    #[test]
    fn a_row_without_a_patch_is_missing() {
        let mutation = Mutation::parse("N-54-extensions", "# test: ca::n_54_a\n").unwrap();
        let wanted = ["N-54", "N-55"].map(|id| id.parse().unwrap());
        let left: Vec<String> =
            missing(wanted.into_iter(), &[mutation]).iter().map(ToString::to_string).collect();
        assert_eq!(left, ["N-55"]);
    }

    /// Each patch can be applied to the current sources, so that a moved guard is noticed before `mutate` runs.
    #[test]
    fn every_patch_still_fits() {
        let root = workspace::root().unwrap();
        for mutation in read_mutations(&root).unwrap() {
            for file in &mutation.files {
                let text = std::fs::read_to_string(root.join(&file.path)).unwrap();
                file.apply(&text).unwrap_or_else(|error| panic!("{}: {error:#}", mutation.id));
            }
        }
    }
}
