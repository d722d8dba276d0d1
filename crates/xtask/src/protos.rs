//! `cargo xtask protos`: writes the Rust code of Envoy's messages anew, into `crates/envoy-proto/src/generated/`.
//!
//! The definitions are those that the crate `envoy-types` ships; cargo fetches it into its own cache. The compiler of
//! definitions is only part of this program with the feature `protos`, so that other chores do not build it. No build
//! of the product generates anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{process, setup, workspace};

#[cfg(feature = "protos")]
mod compile;
#[cfg(feature = "protos")]
mod describe;
#[cfg(feature = "protos")]
mod parse;
#[cfg(feature = "protos")]
mod prune;
#[cfg(feature = "protos")]
mod wanted;

/// The crate that ships the definitions, and its version.
const SOURCE: (&str, &str) = ("envoy-types", "0.7.7");

/// Generates the code. Without the feature `protos` it starts this program again with it.
pub(crate) fn run() -> Result<()> {
    #[cfg(feature = "protos")]
    {
        let root = workspace::root()?;
        let scratch = setup::target_dir()?.join("protos/corrected");
        compile::generate(&definitions()?, &scratch, &root.join("crates/envoy-proto"))
    }
    #[cfg(not(feature = "protos"))]
    {
        let args = ["run", "-q", "-p", "concord-xtask", "--features", "protos", "--", "protos"];
        process::run("cargo run --features protos", process::cargo(&workspace::root()?).args(args))
    }
}

/// The directory of the definitions in cargo's cache, fetched if it is not there.
#[cfg_attr(not(feature = "protos"), allow(dead_code, reason = "only the generator reads the definitions"))]
fn definitions() -> Result<PathBuf> {
    let (name, version) = SOURCE;
    let place = setup::target_dir()?.join("protos");
    fs::create_dir_all(place.join("src")).context("making a package that names the definitions")?;
    fs::write(place.join("src/lib.rs"), "")?;
    let manifest = format!(
        "[package]\nname = \"protos\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n{name} = \"={version}\"\n"
    );
    fs::write(place.join("Cargo.toml"), manifest)?;
    let mut command: Command = process::cargo(&place);
    let printed = process::capture("cargo metadata", command.args(["metadata", "--format-version", "1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&printed).context("reading cargo's metadata")?;
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = packages.iter().find(|package| package["name"] == name && package["version"] == version);
    let Some(manifest) = found.and_then(|package| package["manifest_path"].as_str()) else {
        bail!("cargo fetched no {name} {version}");
    };
    Ok(Path::new(manifest).with_file_name("proto"))
}
