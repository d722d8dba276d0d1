//! `cargo xtask differ`: builds the differential runner and passes the arguments to it.
//!
//! The runner documents its behaviour and its arguments (`concord-e2e`, `differ`).

use anyhow::Result;

use crate::{process, workspace};

pub(crate) fn run(args: &[&str]) -> Result<()> {
    let mut cargo = process::cargo(&workspace::root()?);
    cargo.args(["run", "--quiet", "--package", "concord-e2e", "--bin", "concord-differ", "--"]).args(args);
    process::run("concord-differ", &mut cargo)
}
