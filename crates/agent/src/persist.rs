//! Registrations on disk: one file each below `services/` and `checks/`, always replaced as a whole.
//!
//! The files hold tokens, so each is encrypted ([`Vault`]). The content has our own format, with named fields and a
//! format number. A file that cannot be read stops the start, with an error that names the file and the remedy:
//! skipping it silently would lose an acknowledged registration. A missing file is reported by the name of its
//! registration ([`registered`]). A change of several files is done completely or not at all ([`undo`]).

mod file;
mod registered;
mod undo;
pub(crate) mod verdicts;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use concord_model::catalog::{CheckStatus, ServiceInstance};
use concord_model::registration::{CheckSpec, LocalService, Probe};
use concord_model::secret::SecretBytes;
use concord_model::{CheckId, InstanceId, Secret, ServiceName};
use concord_runtime::DiskError;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use self::file::PersistError;
use self::file::{File, bytes};
use self::registered::{Changed, Missing, Names};
use crate::local::{CheckRecord, Local, ServiceRecord, Source};
use crate::vault::{Content, Vault, VaultError};

/// The current format number.
const FORMAT: u32 = 1;
const SERVICES: &str = "services";
const CHECKS: &str = "checks";

/// The directory of registrations.
#[derive(Clone, Debug)]
pub(crate) struct Registrations {
    vault: Vault,
    /// The names of the stored registrations. Only the change in progress modifies them.
    names: Arc<Mutex<Names>>,
}

/// The stored registrations.
#[derive(Debug, Default)]
pub(crate) struct FoundOnDisk {
    /// Sidecars come first, so that one that was later registered separately wins.
    pub(crate) services: Vec<LocalService>,
    /// Separate checks.
    pub(crate) checks: Vec<CheckSpec>,
    /// Registrations whose files are missing.
    pub(crate) missing: Vec<Missing>,
}

/// A change of the files.
#[derive(Clone, Debug)]
pub(crate) enum FileChange {
    /// Store a service with its sidecars.
    KeepServices(Vec<Arc<LocalService>>),
    /// Remove a service.
    DropService(InstanceId),
    /// Store a separate check.
    KeepCheck(Box<CheckSpec>),
    /// Remove a check.
    DropCheck(CheckId),
}

/// A service with its sidecars: they are registered together, so they share a file.
#[derive(Deserialize, Serialize)]
struct FamilyFile {
    format: u32,
    services: Vec<ServiceFile>,
}

#[derive(Deserialize, Serialize)]
struct ServiceFile {
    service: ServiceInstance,
    #[serde(default)]
    checks: Vec<InlineCheck>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "token")]
    token: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sidecar_of: Option<InstanceId>,
}

#[derive(Deserialize, Serialize)]
struct LoneCheckFile {
    format: u32,
    #[serde(with = "CheckFile")]
    check: CheckSpec,
}

#[derive(Deserialize, Serialize)]
struct InlineCheck(#[serde(with = "CheckFile")] CheckSpec);

/// The form of a check in a file.
#[derive(Deserialize, Serialize)]
#[serde(remote = "CheckSpec")]
struct CheckFile {
    id: CheckId,
    name: String,
    #[serde(default)]
    notes: String,
    #[serde(default)]
    service_id: Option<InstanceId>,
    #[serde(default)]
    service_name: Option<ServiceName>,
    initial: CheckStatus,
    probe: Probe,
    #[serde(default)]
    success_before_passing: u32,
    #[serde(default)]
    failures_before_warning: u32,
    #[serde(default)]
    failures_before_critical: u32,
    #[serde(default)]
    deregister_after: Option<Duration>,
    #[serde(default)]
    output_bytes_max: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "token")]
    token: Option<Secret>,
}

#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

/// Which registrations are stored, and in which version.
#[derive(Debug)]
pub(crate) struct KeptVersions {
    families: BTreeMap<InstanceId, Vec<(InstanceId, u64)>>,
    checks: BTreeMap<CheckId, u64>,
}

impl Registrations {
    pub(crate) fn new(vault: Vault) -> Self {
        Self { vault, names: Arc::default() }
    }

    /// Carries out all changes or none. They are durable on return.
    pub(crate) fn carry_out(&self, changes: &[FileChange]) -> Result<(), PersistError> {
        let mut files = Vec::new();
        let mut names = Changed::default();
        for change in changes {
            let (what, mut file) = change.file()?;
            if let Some(content) = &mut file.content {
                *content = self.vault.seal(&file.path, content)?;
            }
            let what = file.content.is_some().then_some(what);
            self.names.lock().change(&mut names, &file.path, what);
            files.push(file);
        }
        files.extend(self.files_of(&names)?);
        match files.as_slice() {
            [] => {}
            // A single file is replaced or removed atomically anyway.
            [file] => self.set(file)?,
            several => self.set_all(several)?,
        }
        self.names.lock().take(names);
        Ok(())
    }

    /// Loads everything that is stored. Encrypts files that were not encrypted.
    pub(crate) fn load(&self) -> Result<FoundOnDisk, PersistError> {
        let mut names = Names::default();
        let families: Vec<FamilyFile> = self.read_all(SERVICES, &mut names, |file: &FamilyFile| {
            let root = file.services.first().map_or("", |root| root.service.id.as_str());
            format!("service {root}")
        })?;
        let checks: Vec<LoneCheckFile> =
            self.read_all(CHECKS, &mut names, |file: &LoneCheckFile| format!("check {}", file.check.id))?;
        let missing = self.settle_names(names)?;
        let mut services: Vec<LocalService> =
            families.into_iter().flat_map(|file| file.services).map(ServiceFile::into_local).collect();
        services.sort_by_key(|local| local.sidecar_of.is_none());
        let checks = checks.into_iter().map(|file| file.check).collect();
        Ok(FoundOnDisk { services, checks, missing })
    }

    fn set(&self, file: &File) -> Result<(), PersistError> {
        match &file.content {
            Some(content) => Ok(self.vault.disk().write_atomic(&file.path, content)?),
            None => self.drop_file(&file.path),
        }
    }

    fn drop_file(&self, path: &str) -> Result<(), PersistError> {
        match self.vault.disk().remove(path) {
            Ok(()) | Err(DiskError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn read_all<T: for<'de> Deserialize<'de>>(
        &self,
        dir: &str,
        names: &mut Names,
        name_of: impl Fn(&T) -> String,
    ) -> Result<Vec<T>, PersistError> {
        let mut all = Vec::new();
        for name in self.vault.disk().list(dir)? {
            let path = format!("{dir}/{name}");
            let raw = self.vault.disk().read(&path)?;
            let (content, was_clear) = self.opened(&path, raw)?;
            let file: T = decoded(&path, content.expose())?;
            if was_clear {
                self.vault.disk().write_atomic(&path, &self.vault.seal(&path, content.expose())?)?;
            }
            names.insert(path, name_of(&file));
            all.push(file);
        }
        Ok(all)
    }

    /// Decrypts a file. The flag says whether it was not encrypted, which is allowed only until everything has been
    /// encrypted once.
    fn opened(&self, path: &str, raw: Vec<u8>) -> Result<(SecretBytes, bool), PersistError> {
        match self.vault.open(path, raw)? {
            Content::Sealed(content) => Ok((content, false)),
            Content::Clear(_) if self.has_begun()? => {
                Err(VaultError::NotSealed { path: path.to_owned() }.into())
            }
            Content::Clear(content) => Ok((SecretBytes::new(content), true)),
        }
    }
}

fn decoded<T: for<'de> Deserialize<'de>>(path: &str, content: &[u8]) -> Result<T, PersistError> {
    let damaged = |error| PersistError::Damaged { path: path.to_owned(), error };
    let FormatOnly { format } = serde_json::from_slice(content).map_err(damaged)?;
    if format > FORMAT {
        return Err(PersistError::Later { path: path.to_owned(), format });
    }
    serde_json::from_slice(content).map_err(damaged)
}

/// Ids may contain any printable character, so file names contain a digest of the id.
fn path(dir: &str, id: &str) -> String {
    let digest = Sha256::digest(id.as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{dir}/{hex}")
}

impl FileChange {
    /// A description of the change, and the unencrypted file that it writes.
    fn file(&self) -> Result<(String, File), PersistError> {
        let (kind, dir, id) = match self {
            Self::KeepServices(family) => {
                let root = family.first().expect("a family has a first member");
                ("service", SERVICES, root.service.id.as_str())
            }
            Self::DropService(id) => ("service", SERVICES, id.as_str()),
            Self::KeepCheck(spec) => ("check", CHECKS, spec.id.as_str()),
            Self::DropCheck(id) => ("check", CHECKS, id.as_str()),
        };
        let path = path(dir, id);
        let content = match self {
            Self::KeepServices(family) => {
                let services = family.iter().map(|local| ServiceFile::of(local)).collect();
                Some(bytes(&path, &FamilyFile { format: FORMAT, services })?)
            }
            Self::KeepCheck(spec) => {
                let check = CheckSpec::clone(spec);
                Some(bytes(&path, &LoneCheckFile { format: FORMAT, check })?)
            }
            Self::DropService(_) | Self::DropCheck(_) => None,
        };
        Ok((format!("{kind} {id}"), File { path, content }))
    }
}

impl KeptVersions {
    /// The parts of the registrations that are to be stored.
    pub(crate) fn of(local: &Local) -> Self {
        let version = |record: &ServiceRecord| (record.id().clone(), record.version);
        let families =
            roots(local).map(|root| (root.id().clone(), local.family(root).map(version).collect()));
        let checks = lone_checks(local).map(|record| (record.spec.id.clone(), record.spec_version));
        Self { families: families.collect(), checks: checks.collect() }
    }

    /// The file changes that lead from `self` to `after`.
    pub(crate) fn changes_to(&self, after: &Local) -> Vec<FileChange> {
        let new = Self::of(after);
        let mut changes = Vec::new();
        for root in roots(after).filter(|root| self.families.get(root.id()) != new.families.get(root.id())) {
            let family = after.family(root).map(|record| Arc::clone(&record.registration)).collect();
            changes.push(FileChange::KeepServices(family));
        }
        let differs = |record: &&CheckRecord| self.checks.get(&record.spec.id) != Some(&record.spec_version);
        let keep = |record: &CheckRecord| FileChange::KeepCheck(Box::new(record.spec.clone()));
        changes.extend(lone_checks(after).filter(differs).map(keep));
        let gone = self.checks.keys().filter(|id| !new.checks.contains_key(*id));
        changes.extend(gone.map(|id| FileChange::DropCheck(id.clone())));
        let gone = self.families.keys().filter(|id| !new.families.contains_key(*id));
        changes.extend(gone.map(|id| FileChange::DropService(id.clone())));
        changes
    }
}

/// The services that have a file of their own.
fn roots(local: &Local) -> impl Iterator<Item = &ServiceRecord> {
    local.services.values().filter(|record| record.source == Source::Api && local.kept_with(record).is_none())
}

fn lone_checks(local: &Local) -> impl Iterator<Item = &CheckRecord> {
    local.checks.values().filter(|record| record.source == Source::Api && !local.is_inline(record))
}

impl ServiceFile {
    fn of(local: &LocalService) -> Self {
        let LocalService { service, checks, token, sidecar_of } = local;
        Self {
            service: service.clone(),
            checks: checks.iter().cloned().map(InlineCheck).collect(),
            token: token.clone(),
            sidecar_of: sidecar_of.clone(),
        }
    }

    fn into_local(self) -> LocalService {
        let Self { service, checks, token, sidecar_of } = self;
        let checks = checks.into_iter().map(|InlineCheck(spec)| spec).collect();
        LocalService { service, checks, token, sidecar_of }
    }
}

/// The form of a token in a file, which is encrypted as a whole.
mod token {
    use concord_model::Secret;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(token: &Option<Secret>, to: S) -> Result<S::Ok, S::Error> {
        token.as_ref().map(Secret::expose).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.map(Secret::new))
    }
}

#[cfg(test)]
mod tests;
