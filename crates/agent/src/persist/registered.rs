//! Which registrations there should be: a file that vanished is told by name.
//!
//! Small sealed files below `registered/`, each with the names of those whose digests begin alike, so that a
//! registration writes a few names and not all. They change together with what they name.

use std::collections::{BTreeMap, BTreeSet};

use super::{File, PersistError, Registrations, bytes};
use crate::vault::{Content, VaultError};

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

impl Registrations {
    /// Whether everything was sealed already, so that what is not sealed is not ours.
    pub(super) fn has_begun(&self) -> Result<bool, PersistError> {
        Ok(self.vault.disk().exists(BEGUN)?)
    }

    /// Holds what was found against what should be there, and goes on from what is. What is missing.
    pub(super) fn settle_names(&self, found: Names) -> Result<Vec<Missing>, PersistError> {
        let (begun, kept, mut missing) = (self.has_begun()?, self.kept_names()?, Vec::new());
        let files: BTreeSet<&String> = kept.0.keys().chain(found.0.keys()).collect();
        let mut changed = Changed::default();
        for file in files {
            let (kept, found) = (kept.file(file), found.file(file));
            let gone = kept.iter().filter(|(path, _)| !found.contains_key(*path));
            missing.extend(gone.map(|(path, what)| Missing { what: what.clone(), path: path.clone() }));
            if !kept.keys().eq(found.keys()) {
                changed.0.insert(file.clone(), found);
            }
        }
        self.files_of(&changed)?.iter().try_for_each(|file| self.set(file))?;
        if !begun {
            let content = Some(self.vault.seal(BEGUN, b"{}")?);
            self.set(&File { path: BEGUN.to_owned(), content })?;
        }
        *self.names.lock() = found;
        Ok(missing)
    }

    /// The files of names as they should lie on the disk.
    pub(super) fn files_of(&self, changed: &Changed) -> Result<Vec<File>, PersistError> {
        // One without names stays: it is needed again.
        let file = |(path, names): (&String, &Part)| {
            let content = Some(self.vault.seal(path, &bytes(path, names)?)?);
            Ok(File { path: path.clone(), content })
        };
        changed.0.iter().map(file).collect()
    }

    /// The names as they were kept.
    fn kept_names(&self) -> Result<Names, PersistError> {
        let mut names = Names::default();
        for name in self.vault.disk().list(DIR)? {
            let path = format!("{DIR}/{name}");
            let raw = self.vault.disk().read(&path)?;
            let Content::Sealed(plain) = self.vault.open(&path, raw)? else {
                return Err(VaultError::NotSealed { path }.into());
            };
            let own: Part = serde_json::from_slice(plain.expose())
                .map_err(|error| PersistError::Damaged { path: path.clone(), error })?;
            names.0.insert(path, own);
        }
        names.0.retain(|_, own| !own.is_empty());
        Ok(names)
    }
}

/// The file that names a registration, by the digest in its path.
fn of(path: &str) -> String {
    let digest = path.rsplit('/').next().unwrap_or_default();
    format!("{DIR}/{}", digest.get(..2).unwrap_or(digest))
}
