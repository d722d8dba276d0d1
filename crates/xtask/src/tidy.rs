//! Rules that no compiler checks: the claims of ARCHITECTURE.md, the allowed dependencies, what pure crates must not
//! use, and which tests prove which negative case.
//!
//! Each rule is a pure function from the tree ([`Tree`]) to findings, so that its tests can check that it refuses a
//! broken tree. This file applies all rules and prints the findings.

use anyhow::{Context, Result, bail};

mod absence;
mod circles;
mod code_map;
mod differences;
mod documents;
mod files;
mod finding;
mod flows;
mod locked;
mod manifests;
pub(crate) mod negative;
mod purity;
mod tables;
mod tree;
mod twins;

pub(crate) use tree::tracked;

use finding::Finding;
use tree::Tree;

/// The findings of all rules.
fn findings(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(code_map::check(&tree.workspace, &tree.architecture));
    found.extend(absence::check(&tree.workspace));
    found.extend(circles::check(&tree.sources));
    found.extend(twins::check(&tree.sources));
    found.extend(differences::check(&tree.differences));
    found.extend(documents::check(&tree.sources, &tree.texts));
    found.extend(flows::check(&tree.sources, &tree.architecture));
    found.extend(manifests::check(&tree.manifests));
    found.extend(files::check(tree));
    found.extend(purity::check(&tree.sources));
    found.extend(negative::check(&tree.sources, &tree.negative_cases));
    found.extend(locked::check(&tree.shipped));
    found
}

/// Runs `cargo xtask tidy`.
pub(crate) fn run() -> Result<()> {
    let tree = Tree::read()?;
    for notice in files::long_files(&tree) {
        println!("note      {notice}");
    }
    println!("count     {}", circles::count(&tree.sources));
    println!("count     {}", twins::count(&tree.sources));
    let findings = findings(&tree);
    for finding in &findings {
        println!("{finding}");
    }
    if findings.is_empty() {
        println!("tidy: {} crates, nothing to report", tree.workspace.members.len());
        return Ok(());
    }
    bail!("tidy: {} findings", findings.len());
}

/// Runs `cargo xtask tidy --bless`: rewrites generated tables, then applies the rules.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree of this test obeys all rules.
    #[test]
    fn this_tree_is_tidy() {
        let findings: Vec<String> = findings(&Tree::read().unwrap()).iter().map(Finding::to_string).collect();
        assert!(findings.is_empty(), "\n{}", findings.join("\n"));
    }
}
