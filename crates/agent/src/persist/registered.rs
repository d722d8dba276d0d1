//! The list of stored registrations, so that a missing file can be reported by name.
//!
//! The list is split into small encrypted files below `registered/`. Each holds the names of registrations whose
//! digests begin alike, so that one registration rewrites only a few names. The list changes together with the
//! registrations.

use std::collections::BTreeMap;

mod settle;

const DIR: &str = "registered";
/// This file marks that everything has been encrypted.
const BEGUN: &str = "registered/begun";

/// Descriptions of some registrations, by the path of their files.
type Part = BTreeMap<String, String>;

/// All names, by the file that holds them.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<String, Part>);

/// An acknowledged registration whose file is missing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Missing {
    pub(crate) what: String,
    pub(crate) path: String,
}

/// The new content of changed name files.
#[derive(Debug, Default)]
pub(super) struct Changed(BTreeMap<String, Part>);

impl Names {
    pub(super) fn insert(&mut self, path: String, what: String) {
        self.0.entry(of(&path)).or_default().insert(path, what);
    }

    /// Records that a registration will exist, or will not.
    pub(super) fn change(&self, changed: &mut Changed, path: &str, what: Option<String>) {
        let file = of(path);
        let now = changed.0.get(&file).or_else(|| self.0.get(&file));
        if now.is_some_and(|names| names.contains_key(path)) == what.is_some() {
            return;
        }
        let names =
            changed.0.entry(file).or_insert_with_key(|file| self.0.get(file).cloned().unwrap_or_default());
        match what {
            Some(what) => names.insert(path.to_owned(), what),
            None => names.remove(path),
        };
    }

    pub(super) fn take(&mut self, changed: Changed) {
        self.0.extend(changed.0);
        self.0.retain(|_, names| !names.is_empty());
    }

    fn file(&self, file: &str) -> Part {
        self.0.get(file).cloned().unwrap_or_default()
    }
}

/// The name file of a registration, chosen by the digest in its path.
fn of(path: &str) -> String {
    let digest = path.rsplit('/').next().unwrap_or_default();
    format!("{DIR}/{}", digest.get(..2).unwrap_or(digest))
}
