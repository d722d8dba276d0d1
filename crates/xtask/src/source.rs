//! Rust sources as text: the files of a crate, code without comments and literals, and its items.
//!
//! This is not a parser. It knows just enough of the language (strings, comments, lifetimes, braces, item keywords) to
//! decide whether there is a `fn apply` in an `impl Store` of module `store`, or whether code uses `tokio`. It does not
//! see items that macros make, except in `proptest!`.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};

pub(crate) mod code;
pub(crate) mod fields;
pub(crate) mod items;
pub(crate) mod uses;

/// One `.rs` file of a crate.
#[derive(Debug, Clone)]
pub(crate) struct SourceFile {
    /// The path relative to the workspace's root.
    pub(crate) path: PathBuf,
    /// The compiled target of the file.
    pub(crate) target: Target,
    /// The module within the target: `["store", "index"]`, or empty for the root.
    pub(crate) module: Vec<String>,
    pub(crate) text: String,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// The library, or the program of a crate that has no library.
    Main,
    /// `tests/<name>/main.rs` or `tests/<name>.rs`.
    Test(String),
    /// Benches, examples and additional binaries.
    Other(String),
}

// === impl SourceFile ===

impl SourceFile {
    /// Whether this file is the root of its target.
    pub(crate) fn is_root(&self) -> bool {
        self.module.is_empty()
    }

    /// Whether its path shows that it is compiled only for tests: integration tests, modules `tests.rs` and
    /// `testing.rs`, and modules below these.
    pub(crate) fn is_test_only(&self) -> bool {
        self.target != Target::Main || self.module.iter().any(|name| name == "tests" || name == "testing")
    }

    /// The names of this file and of all directories above it within the crate.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.path.iter().skip(2).filter_map(|part| part.to_str()).map(|part| part.trim_end_matches(".rs"))
    }
}

/// All sources of the crate in `dir` (relative to `root`), sorted by path.
pub(crate) fn of_crate(root: &Path, dir: &Path) -> Result<Vec<SourceFile>> {
    let mut paths = Vec::new();
    for part in ["src", "tests", "benches", "examples"] {
        collect(&root.join(dir).join(part), "rs", &mut paths)?;
    }
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            let inside = path.strip_prefix(root.join(dir)).expect("collected below the crate");
            let (target, module) = place(inside);
            let path = path.strip_prefix(root).expect("collected below the root").to_path_buf();
            Ok(SourceFile { path, target, module, text })
        })
        .collect()
}

/// All files below `dir` with this extension. A directory that does not exist has none.
pub(crate) fn collect(dir: &Path, extension: &str, into: &mut Vec<PathBuf>) -> Result<()> {
    if !dir.is_dir() {
        return Ok(());
    }
    for entry in std::fs::read_dir(dir).with_context(|| format!("listing {}", dir.display()))? {
        let path = entry.with_context(|| format!("listing {}", dir.display()))?.path();
        if path.is_dir() {
            collect(&path, extension, into)?;
        } else if path.extension().is_some_and(|found| found == extension) {
            into.push(path);
        }
    }
    Ok(())
}

/// The target and module of a file, from its path within the crate.
pub(crate) fn place(inside: &Path) -> (Target, Vec<String>) {
    let mut parts: Vec<String> = inside
        .with_extension("")
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => name.to_str().map(str::to_owned),
            _ => None,
        })
        .collect();
    let top = if parts.is_empty() { String::new() } else { parts.remove(0) };
    let target = match (top.as_str(), parts.as_slice()) {
        ("src", [bin, _, ..]) if bin == "bin" => {
            parts.remove(0);
            Target::Other(parts.remove(0))
        }
        ("src", _) => Target::Main,
        ("tests", [_, ..]) => Target::Test(parts.remove(0)),
        (_, [_, ..]) => Target::Other(parts.remove(0)),
        _ => Target::Other(top.clone()),
    };
    if matches!(parts.last().map(String::as_str), Some("lib" | "main")) && parts.len() == 1 {
        parts.pop();
    }
    (target, parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, target: Target, module: &[&str]) {
        let expected: Vec<String> = module.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(place(Path::new(path)), (target, expected));
    }

    #[test]
    fn a_path_tells_target_and_module() {
        check("src/lib.rs", Target::Main, &[]);
        check("src/main.rs", Target::Main, &[]);
        check("src/store/index.rs", Target::Main, &["store", "index"]);
        check("src/bin/tool.rs", Target::Other("tool".to_owned()), &[]);
        check("tests/it/main.rs", Target::Test("it".to_owned()), &[]);
        check("tests/it/leaf.rs", Target::Test("it".to_owned()), &["leaf"]);
        check("benches/apply.rs", Target::Other("apply".to_owned()), &[]);
    }
}
