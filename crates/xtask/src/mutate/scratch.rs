//! A copy of the work tree in which guards are broken.
//!
//! The copy is kept between runs. Only files that differ are written, so that cargo rebuilds only what changed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::patch::Mutation;
use crate::source;
use crate::tidy;

pub(super) struct Scratch {
    root: PathBuf,
    tree: PathBuf,
    target: PathBuf,
}

// === impl Scratch ===

impl Scratch {
    pub(super) fn prepare(root: &Path, dir: &Path) -> Result<Self> {
        let scratch = Self { root: root.to_path_buf(), tree: dir.join("tree"), target: dir.join("target") };
        let mut keep = BTreeSet::new();
        for path in tidy::tracked(root)? {
            if scratch.copy(&path)? {
                keep.insert(scratch.tree.join(&path));
            }
        }
        scratch.remove_all_but(&keep)?;
        Ok(scratch)
    }

    pub(super) fn tree(&self) -> &Path {
        &self.tree
    }

    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// Whether the crate has a library. The unit tests of a program are built differently.
    pub(super) fn has_library(&self, member: &str) -> bool {
        self.tree.join("crates").join(member).join("src/lib.rs").is_file()
    }

    pub(super) fn apply(&self, mutation: &Mutation) -> Result<()> {
        for file in &mutation.files {
            let path = self.tree.join(&file.path);
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("reading {}", file.path.display()))?;
            let patched = file.apply(&text)?;
            std::fs::write(&path, patched).with_context(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }

    pub(super) fn restore(&self, mutation: &Mutation) -> Result<()> {
        mutation.files.iter().try_for_each(|file| self.copy(&file.path).map(|_| ()))
    }

    /// Copies a file if its copy differs. Returns whether the file exists.
    fn copy(&self, path: &Path) -> Result<bool> {
        let from = self.root.join(path);
        if !from.is_file() {
            return Ok(false);
        }
        let bytes = std::fs::read(&from).with_context(|| format!("reading {}", from.display()))?;
        let to = self.tree.join(path);
        if std::fs::read(&to).is_ok_and(|there| there == bytes) {
            return Ok(true);
        }
        if let Some(dir) = to.parent() {
            std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        }
        std::fs::write(&to, bytes).with_context(|| format!("writing {}", to.display()))?;
        Ok(true)
    }

    /// Removes files from the copy that no longer exist in the work tree.
    fn remove_all_but(&self, keep: &BTreeSet<PathBuf>) -> Result<()> {
        let mut there = Vec::new();
        for extension in ["rs", "toml"] {
            source::collect(&self.tree, extension, &mut there)?;
        }
        for path in there.iter().filter(|path| !keep.contains(*path)) {
            std::fs::remove_file(path).with_context(|| format!("removing {}", path.display()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "# test: a::n_1_x\n--- a/src/a.rs\n+++ b/src/a.rs\n@@ @@\n-guard\n+open\n";

    #[test]
    fn the_copy_is_broken_and_mended_and_the_original_is_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("src")).unwrap();
        std::fs::write(root.join("src/a.rs"), "guard\n").unwrap();
        let scratch =
            Scratch { tree: dir.path().join("tree"), target: dir.path().join("target"), root: root.clone() };
        assert!(scratch.copy(Path::new("src/a.rs")).unwrap());
        assert!(!scratch.copy(Path::new("src/gone.rs")).unwrap());
        let copy = || std::fs::read_to_string(scratch.tree.join("src/a.rs")).unwrap();
        let mutation = Mutation::parse("N-1", PATCH).unwrap();

        scratch.apply(&mutation).unwrap();
        assert_eq!(copy(), "open\n");
        scratch.restore(&mutation).unwrap();
        assert_eq!(copy(), "guard\n");
        assert_eq!(std::fs::read_to_string(root.join("src/a.rs")).unwrap(), "guard\n");
    }

    #[test]
    fn sources_that_are_gone_leave_the_copy() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        std::fs::create_dir_all(&tree).unwrap();
        for name in ["old.rs", "new.rs"] {
            std::fs::write(tree.join(name), "").unwrap();
        }
        let scratch =
            Scratch { root: dir.path().into(), target: dir.path().join("target"), tree: tree.clone() };
        scratch.remove_all_but(&BTreeSet::from([tree.join("new.rs")])).unwrap();
        assert!(tree.join("new.rs").exists() && !tree.join("old.rs").exists());
    }
}
