//! The data that the rules check, read once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{differences, negative};
use crate::process;
use crate::source::{self, SourceFile};
use crate::workspace::Workspace;

pub(crate) const ARCHITECTURE: &str = "ARCHITECTURE.md";

/// The data that the rules check.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) workspace: Workspace,
    /// Sources by member name.
    pub(crate) sources: BTreeMap<String, Vec<SourceFile>>,
    /// Manifests by member name.
    pub(crate) manifests: BTreeMap<String, String>,
    pub(crate) architecture: String,
    pub(crate) negative_cases: String,
    pub(crate) differences: String,
    /// All other text files of the project, by path relative to the root.
    pub(crate) texts: BTreeMap<PathBuf, String>,
    /// The packages of which the product consists, with versions: `rustls v0.23.46`.
    pub(crate) shipped: Vec<String>,
}

// === impl Tree ===

impl Tree {
    pub(crate) fn read() -> Result<Self> {
        let workspace = Workspace::load()?;
        let root = workspace.root.clone();
        let mut tree = Self {
            architecture: read(&root, ARCHITECTURE)?,
            negative_cases: read(&root, negative::DOCUMENT)?,
            differences: read(&root, differences::DOCUMENT)?,
            texts: texts(&root)?,
            shipped: shipped(&root)?,
            ..Self::default()
        };
        for member in &workspace.members {
            let sources = source::of_crate(&root, &member.dir)?;
            tree.sources.insert(member.name.clone(), sources);
            let manifest = member.dir.join("Cargo.toml");
            tree.manifests.insert(member.name.clone(), read(&root, manifest)?);
        }
        tree.workspace = workspace;
        Ok(tree)
    }
}

fn read(root: &Path, path: impl AsRef<Path>) -> Result<String> {
    let path = root.join(path);
    std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}

/// Text files that git tracks or would add.
fn texts(root: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let mut texts = BTreeMap::new();
    for path in tracked(root)? {
        // A tracked file may be missing in the work tree, and some files are not text.
        if let Ok(text) = std::fs::read_to_string(root.join(&path)) {
            texts.insert(path, text);
        }
    }
    Ok(texts)
}

/// Paths of the project: tracked, or new and not ignored.
pub(crate) fn tracked(root: &Path) -> Result<Vec<PathBuf>> {
    let mut git = std::process::Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let list = process::capture("git ls-files", &mut git)?;
    Ok(list.split('\0').filter(|path| !path.is_empty()).map(PathBuf::from).collect())
}

fn shipped(root: &Path) -> Result<Vec<String>> {
    let mut cargo = process::cargo(root);
    cargo.args([
        "tree",
        "--workspace",
        "--edges",
        "normal",
        "--target",
        "all",
        "--prefix",
        "none",
        "--locked",
    ]);
    cargo.args(["--format", "{p}"]);
    let list = process::capture("cargo tree", &mut cargo)?;
    let mut packages: Vec<String> = list
        .lines()
        .map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
        .filter(|package| !package.is_empty())
        .collect();
    packages.sort();
    packages.dedup();
    Ok(packages)
}
