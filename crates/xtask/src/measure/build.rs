//! The time and the disk space of a clean build, which a new developer needs first.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::bench::Bench;
use super::report::Report;
use crate::process;

pub(super) fn run(bench: &Bench<'_>) -> Result<Report> {
    ensure!(bench.args.is_empty(), "`build` takes no arguments");
    let mut report = Report::default();
    for (profile, flag) in [("dev", None), ("release", Some("--release"))] {
        let target = bench.scratch.join(profile);
        if target.exists() {
            std::fs::remove_dir_all(&target).with_context(|| format!("clearing {}", target.display()))?;
        }
        let mut cargo = process::cargo(&bench.root);
        cargo.args(["build", "--workspace", "--locked", "--quiet"]).args(flag);
        cargo.env("CARGO_TARGET_DIR", &target).env("CARGO_INCREMENTAL", "0");
        let started = Instant::now();
        process::run("cargo build", &mut cargo)?;
        report.add(format!("clean {profile} build"), started.elapsed().as_secs_f64(), "s");
        report.add(format!("what a {profile} build writes"), size(&target)? / 1e6, "MB");
    }
    Ok(report)
}

/// The size of all files below a directory, in bytes.
fn size(dir: &Path) -> Result<f64> {
    let mut sum = 0.0;
    for entry in std::fs::read_dir(dir).with_context(|| format!("listing {}", dir.display()))? {
        let entry = entry.with_context(|| format!("listing {}", dir.display()))?;
        let data = entry.metadata().with_context(|| format!("looking at {}", entry.path().display()))?;
        sum += if data.is_dir() { size(&entry.path())? } else { data.len() as f64 };
    }
    Ok(sum)
}
