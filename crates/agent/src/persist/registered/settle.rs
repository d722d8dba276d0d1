//! Compares the list of names with the files that exist, and stores it.

use std::collections::BTreeSet;

use super::{BEGUN, Changed, DIR, Missing, Names, Part};
use crate::persist::Registrations;
use crate::persist::file::{File, PersistError, bytes};
use crate::vault::{Content, VaultError};

impl Registrations {
    /// Whether everything was already encrypted, so that an unencrypted file is not ours.
    pub(in crate::persist) fn has_begun(&self) -> Result<bool, PersistError> {
        Ok(self.vault.disk().exists(BEGUN)?)
    }

    /// Compares the files that were found with the list, and continues with those found. Returns what is missing.
    pub(in crate::persist) fn settle_names(&self, found: Names) -> Result<Vec<Missing>, PersistError> {
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

    /// The name files as they should be on disk.
    pub(in crate::persist) fn files_of(&self, changed: &Changed) -> Result<Vec<File>, PersistError> {
        // A name file stays even without names, because it will be needed again.
        let file = |(path, names): (&String, &Part)| {
            let content = Some(self.vault.seal(path, &bytes(path, names)?)?);
            Ok(File { path: path.clone(), content })
        };
        changed.0.iter().map(file).collect()
    }

    /// The stored names.
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
