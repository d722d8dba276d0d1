//! `cargo xtask oracle` and `cargo xtask churn`: build the programs and the two runners, and pass the arguments on.
//!
//! The runners document their behaviour and their arguments (`concord-e2e`, `oracle` and `churn`).

use anyhow::Result;

use crate::{process, workspace};

/// How we and a reference configure Envoy.
pub(crate) fn compare(args: &[&str]) -> Result<()> {
    run("concord-oracle", args)
}

/// Random changes under load.
pub(crate) fn churn(args: &[&str]) -> Result<()> {
    run("concord-churn", args)
}

fn run(runner: &str, args: &[&str]) -> Result<()> {
    let mut cargo = process::cargo(&workspace::root()?);
    cargo.args(["run", "--quiet", "--package", "concord-e2e", "--bin", runner, "--"]).args(args);
    process::run(runner, &mut cargo)
}
