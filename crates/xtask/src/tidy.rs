//! The rules no compiler knows: what ARCHITECTURE.md claims, which crate may see which, what the
//! pure crates must not touch, which negative case is proved by which test.
//!
//! Each rule is a pure function from what was read ([`Tree`]) to findings, so that its own tests
//! can feed it a broken tree and see it go red. This file reads the tree and prints the findings.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::process;
use crate::source::{self, SourceFile};
use crate::workspace::Workspace;

mod absence;
mod code_map;
mod differences;
mod documents;
mod files;
mod flows;
mod locked;
mod manifests;
pub(crate) mod negative;
mod purity;

const ARCHITECTURE: &str = "ARCHITECTURE.md";

/// Something that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) rule: &'static str,
    /// A file, a crate, an id: whatever a reader opens to repair it.
    pub(crate) place: String,
    pub(crate) what: String,
}

// === impl Finding ===

impl Finding {
    pub(crate) fn new(rule: &'static str, place: impl fmt::Display, what: impl Into<String>) -> Self {
        Self { rule, place: place.to_string(), what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<9} {}: {}", self.rule, self.place, self.what)
    }
}

/// Everything the rules look at.
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
    /// Every other text file that is part of the project, by path relative to the root.
    pub(crate) texts: BTreeMap<PathBuf, String>,
    /// Names of the packages the product is built from, with versions: `rustls v0.23.46`.
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

    /// Every finding of every rule.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        found.extend(code_map::check(&self.workspace, &self.architecture));
        found.extend(absence::check(&self.workspace));
        found.extend(differences::check(&self.differences));
        found.extend(documents::check(&self.sources, &self.texts));
        found.extend(flows::check(&self.sources, &self.architecture));
        found.extend(manifests::check(&self.manifests));
        found.extend(files::check(self));
        found.extend(purity::check(&self.sources));
        found.extend(negative::check(&self.sources, &self.negative_cases));
        found.extend(locked::check(&self.shipped));
        found
    }
}

/// `cargo xtask tidy`.
pub(crate) fn run() -> Result<()> {
    let tree = Tree::read()?;
    for notice in files::long_files(&tree) {
        println!("note      {notice}");
    }
    let findings = tree.findings();
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        println!("tidy: {} crates, nothing to report", tree.workspace.members.len());
        return Ok(());
    }
    bail!("tidy: {} findings", findings.len());
}

/// `cargo xtask tidy --bless`: rewrites what is generated, then checks.
pub(crate) fn bless() -> Result<()> {
    let tree = Tree::read()?;
    let blessed = negative::bless(&tree.sources, &tree.negative_cases)?;
    if blessed != tree.negative_cases {
        let path = tree.workspace.root.join(negative::DOCUMENT);
        std::fs::write(&path, blessed).with_context(|| format!("writing {}", path.display()))?;
        println!("rewrote {}", negative::DOCUMENT);
    }
    run()
}

/// Cells of every row of the first Markdown table after `heading`, without its two head rows.
pub(crate) fn table_after<'a>(document: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    document
        .lines()
        .skip_while(|line| line.trim() != heading)
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(cells)
        .collect()
}

pub(crate) fn cells(row: &str) -> Vec<&str> {
    row.trim().trim_matches('|').split('|').map(str::trim).collect()
}

fn read(root: &Path, path: impl AsRef<Path>) -> Result<String> {
    let path = root.join(path);
    std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}

/// Text files git knows or would add.
fn texts(root: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let mut texts = BTreeMap::new();
    for path in tracked(root)? {
        // A tracked file may be gone from the work tree, and some files are not text.
        if let Ok(text) = std::fs::read_to_string(root.join(&path)) {
            texts.insert(path, text);
        }
    }
    Ok(texts)
}

/// Paths that are part of the project: tracked, or new and not ignored.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree this test was built from obeys every rule.
    #[test]
    fn this_tree_is_tidy() {
        let findings: Vec<String> = Tree::read().unwrap().findings().iter().map(Finding::to_string).collect();
        assert!(findings.is_empty(), "\n{}", findings.join("\n"));
    }

    #[test]
    fn a_table_ends_where_it_ends() {
        let document = "# T\n\n## Map\n\ntext\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nmore\n| 3 | 4 |\n";
        assert_eq!(table_after(document, "## Map"), vec![vec!["1", "2"]]);
        assert!(table_after(document, "## None").is_empty());
        let empty = "## Map\n\n## Next\n| a | b |\n|---|---|\n| 1 | 2 |\n";
        assert!(table_after(empty, "## Map").is_empty());
    }
}
