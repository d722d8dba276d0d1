//! Which registrations there should be: a file that vanished is told by name.
//!
//! Small sealed files below `registered/`, each with the names of those whose digests begin alike, so that a
//! registration writes a few names and not all. They change together with what they name.

use std::collections::BTreeMap;

mod settle;

const DIR: &str = "registered";
/// Says that everything is sealed from here on.
const BEGUN: &str = "registered/begun";

/// What each of some registrations is in words, by the path of its file.
type Part = BTreeMap<String, String>;

/// All of them, by the file that names them.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<String, Part>);

/// A registration that was acknowledged and whose file is not there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Missing {
    pub(crate) what: String,
    pub(crate) path: String,
}

/// Files of names as they will be.
#[derive(Debug, Default)]
pub(super) struct Changed(BTreeMap<String, Part>);

impl Names {
    pub(super) fn insert(&mut self, path: String, what: String) {
        self.0.entry(of(&path)).or_default().insert(path, what);
    }

    /// Notes that a registration will be there, or will not.
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

/// The file that names a registration, by the digest in its path.
fn of(path: &str) -> String {
    let digest = path.rsplit('/').next().unwrap_or_default();
    format!("{DIR}/{}", digest.get(..2).unwrap_or(digest))
}
