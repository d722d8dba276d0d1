//! What the suites below `interop/` need: clients of Consul's API in other languages. The lock file of each suite pins
//! them by version and hash, and that language's own tool fetches them into the cache.

use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::go;
use super::places::{cache, on_path};
use crate::process;
use crate::workspace;

/// The oldest Node whose test runner prints the format that we read.
const NODE_OLDEST: u32 = 20;

/// The directory of the Go modules of the suite, and of the program that reads what Envoys are told.
pub(super) fn go_modules() -> Result<PathBuf> {
    let modules = cache()?.join("go-modules");
    for own in ["go", "envoy"] {
        let mut command = Command::new(go::toolchain()?);
        command.current_dir(sources(own)?).args(["mod", "download"]).env("GOMODCACHE", &modules);
        command.env("GOFLAGS", "-mod=readonly -modcacherw").env("GOWORK", "off").env("GOTOOLCHAIN", "local");
        process::capture("go mod download", &mut command)?;
    }
    Ok(modules)
}

/// A Python in a virtual environment that can import `consul`.
pub(super) fn python() -> Result<PathBuf> {
    let requirements = sources("python")?.join("requirements.txt");
    let home = cache()?.join(format!("python-consul-{}", fingerprint(&[&requirements])?));
    let python = home.join("bin/python3");
    fetched(&home, || {
        process::capture("python3 -m venv", Command::new("python3").args(["-m", "venv"]).arg(&home))?;
        let args =
            ["-m", "pip", "install", "--quiet", "--only-binary=:all:", "--require-hashes", "--requirement"];
        process::capture("pip install", Command::new(&python).args(args).arg(&requirements))
    })?;
    process::capture("python3 import consul", Command::new(&python).args(["-c", "import consul"]))?;
    Ok(python)
}

/// The machine's Node, if it is recent enough.
pub(super) fn node() -> Result<PathBuf> {
    let version = process::capture("node --version", Command::new("node").arg("--version"))?;
    let major = version.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
    let found: u32 = major.with_context(|| format!("`node --version` printed {version:?}"))?;
    if found < NODE_OLDEST {
        bail!("Node {found} is older than {NODE_OLDEST}");
    }
    on_path("node")
}

/// The directory of the suite's Node modules.
pub(super) fn node_modules() -> Result<PathBuf> {
    let dir = sources("node")?;
    let files = [dir.join("package.json"), dir.join("package-lock.json")];
    let cache = cache()?;
    let home = cache.join(format!("node-consul-{}", fingerprint(&[&files[0], &files[1]])?));
    fetched(&home, || {
        std::fs::create_dir_all(&home).with_context(|| format!("making {}", home.display()))?;
        for file in &files {
            let name = file.file_name().context("a file has a name")?;
            std::fs::copy(file, home.join(name)).with_context(|| format!("copying {}", file.display()))?;
        }
        let mut npm = Command::new("npm");
        npm.current_dir(&home).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]);
        process::capture("npm ci", npm.arg("--cache").arg(cache.join("npm")))
    })?;
    Ok(home.join("node_modules"))
}

fn sources(language: &str) -> Result<PathBuf> {
    Ok(workspace::root()?.join("interop").join(language))
}

/// A name for a directory, from the contents of these files. If it changes, everything is fetched again.
fn fingerprint(files: &[&Path]) -> Result<String> {
    let mut hash = DefaultHasher::new();
    for file in files {
        hash.write(&std::fs::read(file).with_context(|| format!("reading {}", file.display()))?);
    }
    Ok(format!("{:016x}", hash.finish()))
}

/// Fetches into `home`, unless an earlier fetch was completed.
fn fetched(home: &Path, fetch: impl FnOnce() -> Result<String>) -> Result<()> {
    let done = home.join(".fetched");
    if done.is_file() {
        return Ok(());
    }
    eprintln!("setup: fetching into {}", home.display());
    fetch()?;
    std::fs::write(&done, b"").with_context(|| format!("writing {}", done.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_fetched_to_its_end_is_not_fetched_again() {
        let home = tempfile::tempdir().unwrap();
        assert!(fetched(home.path(), || bail!("no network")).is_err());
        fetched(home.path(), || Ok(String::new())).unwrap();
        fetched(home.path(), || bail!("no network")).unwrap();
    }

    #[test]
    fn another_pin_is_another_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pins");
        std::fs::write(&file, "a==1").unwrap();
        let first = fingerprint(&[&file]).unwrap();
        assert_eq!(fingerprint(&[&file]).unwrap(), first);
        std::fs::write(&file, "a==2").unwrap();
        assert_ne!(fingerprint(&[&file]).unwrap(), first);
    }
}
