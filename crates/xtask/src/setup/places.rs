//! Directories and programs of the machine: the cache, the target directory, and programs on the path.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace;

/// A directory outside of the clone, or else one below the target directory.
pub(crate) fn cache() -> Result<PathBuf> {
    let named = std::env::var_os("CONCORD_CACHE").map(PathBuf::from);
    let home = || {
        std::env::var_os("HOME").filter(|home| !home.is_empty()).map(|home| Path::new(&home).join(".cache"))
    };
    let xdg =
        || std::env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()).map(PathBuf::from).or_else(home);
    let outside = named.or_else(|| xdg().map(|dir| dir.join("concord")));
    match outside.filter(|dir| std::fs::create_dir_all(dir).is_ok() && is_writable(dir)) {
        Some(dir) => Ok(dir),
        None => {
            let dir = target_dir()?.join("concord-cache");
            std::fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
            Ok(dir)
        }
    }
}

/// Cargo's target directory.
pub(crate) fn target_dir() -> Result<PathBuf> {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => Ok(workspace::root()?.join(dir)),
        None => Ok(workspace::root()?.join("target")),
    }
}

fn is_writable(dir: &Path) -> bool {
    let probe = dir.join(format!(".probe-{}", std::process::id()));
    let written = std::fs::write(&probe, b"").is_ok();
    // If the probe stays, it does no harm.
    let _ = std::fs::remove_file(&probe);
    written
}

pub(super) fn on_path(program: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").context("no PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|candidate| candidate.is_file())
        .with_context(|| format!("no {program} on the PATH"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        assert!(on_path("no-such-program-anywhere").is_err());
    }
}
