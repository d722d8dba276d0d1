//! `cargo xtask differ`: builds the differential runner and hands it the arguments.
//!
//! What it does and what its arguments are is the runner's to say (`concord-e2e`, `differ`).

use anyhow::Result;

use crate::{process, workspace};

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let mut cargo = process::cargo(&workspace::root()?);
    cargo.args(["run", "--quiet", "--package", "concord-e2e", "--bin", "concord-differ", "--"]).args(args);
    process::run("concord-differ", &mut cargo)
}
