//! Measurements by `concord-load`. It and the program are built in release mode; its figures become the report.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::bench::Bench;
use super::report::Report;
use crate::{process, setup};

pub(super) fn authorize(bench: &Bench<'_>) -> Result<Report> {
    run(bench, "authorize")
}

pub(super) fn entries(bench: &Bench<'_>) -> Result<Report> {
    run(bench, "entries")
}

pub(super) fn reads(bench: &Bench<'_>) -> Result<Report> {
    run(bench, "reads")
}

pub(super) fn leaf(bench: &Bench<'_>) -> Result<Report> {
    run(bench, "leaf")
}

pub(super) fn start(bench: &Bench<'_>) -> Result<Report> {
    run(bench, "start")
}

pub(super) fn memory(bench: &Bench<'_>) -> Result<Report> {
    run(bench, "memory")
}

pub(super) fn growth(bench: &Bench<'_>) -> Result<Report> {
    run(bench, "growth")
}

pub(super) fn proxy(bench: &Bench<'_>) -> Result<Report> {
    run(bench, "proxy")
}

pub(super) fn reloads(bench: &Bench<'_>) -> Result<Report> {
    run(bench, "reloads")
}

pub(super) fn strangers(bench: &Bench<'_>) -> Result<Report> {
    run(bench, "strangers")
}

pub(super) fn streams(bench: &Bench<'_>) -> Result<Report> {
    run(bench, "streams")
}

fn run(bench: &Bench<'_>, question: &str) -> Result<Report> {
    let (program, load) = build(&bench.root)?;
    let mut command = Command::new(load);
    command.arg(question).args(bench.args).env("CONCORD_BIN", program);
    if question == "proxy" {
        match setup::envoy() {
            Ok(envoy) => _ = command.env(setup::ENVOY_VARIABLE, envoy),
            Err(error) => eprintln!("measure: no comparison with Envoy: {error:#}"),
        }
    }
    read(&process::capture("concord-load", &mut command)?)
}

/// Builds the program and `concord-load` in release mode.
fn build(root: &Path) -> Result<(PathBuf, PathBuf)> {
    let mut cargo = process::cargo(root);
    cargo.args(["build", "--release", "--locked", "--quiet", "-p", "concord", "-p", "concord-load"]);
    process::run("cargo build --release", &mut cargo)?;
    let built = setup::target_dir()?.join("release");
    Ok((built.join("concord"), built.join("concord-load")))
}

/// `{"figures":[{"what":…,"value":…,"unit":…},…]}`
fn read(text: &str) -> Result<Report> {
    let printed: Value = serde_json::from_str(text).context("concord-load printed no JSON")?;
    let mut report = Report::default();
    for figure in printed["figures"].as_array().context("concord-load printed no figures")? {
        let text = |key: &str| figure[key].as_str().with_context(|| format!("no `{key}` in {figure}"));
        let value = figure["value"].as_f64().with_context(|| format!("no `value` in {figure}"))?;
        report.add(text("what")?, value, text("unit")?);
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::report::Origin;

    #[test]
    fn what_the_load_prints_becomes_rows() {
        let report = read(r#"{"figures":[{"what":"idle","value":31.25,"unit":"MB"}]}"#).unwrap();
        let origin = Origin { machine: "m".to_owned(), commit: "c".to_owned() };
        assert!(report.to_text(&origin, "x").ends_with("| idle | 31.2 MB | c | `x` |\n"));
    }

    #[test]
    fn anything_else_is_an_error() {
        for wrong in ["", "{}", r#"{"figures":[{"what":"idle","value":"31","unit":"MB"}]}"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
