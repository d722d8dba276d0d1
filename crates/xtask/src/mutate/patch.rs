//! A mutation: a header with the test that must fail, and a unified diff.
//!
//! ```text
//! # test: ca::csr::tests::n_54_csr_extensions_are_ignored
//! # why: copies the requested extensions into the leaf
//! --- a/crates/ca/src/csr.rs
//! +++ b/crates/ca/src/csr.rs
//! @@ -10,3 +10,3 @@
//!  context
//! -guard
//! +no guard
//! ```
//!
//! Line numbers are ignored: a hunk is applied where its old lines are, and there must be exactly one such place. If a
//! guard moves, its patch still fits; if a guard changes, it needs a new patch.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use crate::tidy::negative::NegativeId;

#[derive(Debug)]
pub(super) struct Mutation {
    pub(super) id: NegativeId,
    /// The test's name as in docs/negative-cases.md.
    pub(super) test: String,
    pub(super) files: Vec<FilePatch>,
}

#[derive(Debug, Default)]
pub(super) struct FilePatch {
    /// The path relative to the root.
    pub(super) path: PathBuf,
    hunks: Vec<Hunk>,
}

#[derive(Debug, Default)]
struct Hunk {
    old: Vec<String>,
    new: Vec<String>,
}

// === impl Mutation ===

impl Mutation {
    /// Parses a patch. `name` is the file name without extension: an id, or an id and a word (`N-85-expired`).
    pub(super) fn parse(name: &str, text: &str) -> Result<Self> {
        let id = name.splitn(3, '-').take(2).collect::<Vec<_>>().join("-");
        let mut mutation = Self {
            id: id.parse().with_context(|| format!("`{name}` does not begin with an id"))?,
            test: String::new(),
            files: Vec::new(),
        };
        for line in text.lines() {
            mutation.read(line)?;
        }
        ensure!(!mutation.test.is_empty(), "no line `# test: …`");
        Ok(mutation)
    }

    fn read(&mut self, line: &str) -> Result<()> {
        if let Some(test) = line.strip_prefix("# test:") {
            test.trim().clone_into(&mut self.test);
        } else if let Some(path) = line.strip_prefix("+++ ") {
            let path = path.split('\t').next().unwrap_or_default().trim();
            let path = path.strip_prefix("b/").unwrap_or(path);
            self.files.push(FilePatch { path: PathBuf::from(path), hunks: Vec::new() });
        } else if line.starts_with("@@") {
            let file = self.files.last_mut().context("a hunk before any file")?;
            file.hunks.push(Hunk::default());
        } else if !line.starts_with("--- ") {
            self.read_hunk_line(line)?;
        }
        Ok(())
    }

    fn read_hunk_line(&mut self, line: &str) -> Result<()> {
        let Some(hunk) = self.files.last_mut().and_then(|file| file.hunks.last_mut()) else {
            return Ok(());
        };
        match line.split_at_checked(1) {
            Some(("-", rest)) => hunk.old.push(rest.to_owned()),
            Some(("+", rest)) => hunk.new.push(rest.to_owned()),
            Some((" ", rest)) => {
                hunk.old.push(rest.to_owned());
                hunk.new.push(rest.to_owned());
            }
            None => {
                hunk.old.push(String::new());
                hunk.new.push(String::new());
            }
            Some(("\\", _)) => {}
            Some(_) => bail!("not a line of a hunk: {line:?}"),
        }
        Ok(())
    }
}

// === impl FilePatch ===

impl FilePatch {
    /// Applies the patch to a text. Each hunk must fit in exactly one place.
    pub(super) fn apply(&self, text: &str) -> Result<String> {
        ensure!(!self.hunks.is_empty(), "{}: no hunk", self.path.display());
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for hunk in &self.hunks {
            ensure!(!hunk.old.is_empty(), "{}: a hunk without old lines", self.path.display());
            let places: Vec<usize> =
                (0..lines.len()).filter(|at| lines[*at..].starts_with(&hunk.old)).collect();
            let [at] = places.as_slice() else {
                bail!(
                    "{}: a hunk fits in {} places: {:?}",
                    self.path.display(),
                    places.len(),
                    hunk.old.first()
                );
            };
            lines.splice(*at..*at + hunk.old.len(), hunk.new.iter().cloned());
        }
        let patched = lines.join("\n") + "\n";
        ensure!(patched != text, "{}: the patch changes nothing", self.path.display());
        Ok(patched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str =
        "# test: ca::n_54_a\n# why: x\n--- a/src/a.rs\n+++ b/src/a.rs\n@@ -1,3 +1,3 @@\n a\n-b\n+c\n\n";

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let mutation = Mutation::parse("N-54-word", PATCH).unwrap();
        let found = mutation.files[0].apply(text).map_err(|error| error.to_string());
        match expected {
            Ok(patched) => assert_eq!(found.unwrap(), patched),
            Err(part) => assert!(found.unwrap_err().contains(part)),
        }
    }

    #[test]
    fn a_hunk_goes_where_its_lines_stand() {
        check("x\na\nb\n\ny\n", Ok("x\na\nc\n\ny\n"));
    }

    #[test]
    fn a_hunk_that_fits_nowhere_or_twice_is_refused() {
        check("a\nB\n\n", Err("fits in 0 places"));
        check("a\nb\n\na\nb\n\n", Err("fits in 2 places"));
    }

    #[test]
    fn a_patch_names_its_id_and_its_test() {
        let mutation = Mutation::parse("N-54", PATCH).unwrap();
        assert_eq!((mutation.id.to_string().as_str(), mutation.test.as_str()), ("N-54", "ca::n_54_a"));
        assert!(Mutation::parse("N-54", "--- a/x\n+++ b/x\n").is_err());
        assert!(Mutation::parse("csr", PATCH).is_err());
    }
}
