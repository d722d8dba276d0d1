//! The log file. It is named and rotated as in Consul.
//!
//! The file keeps its name while it is written. When it is large or old enough, it is renamed to `<name>-<nanoseconds
//! since 1970>.<extension>`, and a new one is begun. Unlike in Consul, the content from before the start counts, too:
//! its bytes and its age.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use concord_config::section::{Archives, LogFileSection};
use concord_runtime::Clock;
use parking_lot::Mutex;

use super::complaint::Complaint;

/// The default name if only a directory is given.
const NAME: &str = "consul.log";
/// Its mode: for us, and for the group that manages logs.
const MODE: u32 = 0o640;

/// A log file.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    section: LogFileSection,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    open: Open,
    writing: Complaint,
    rotating: Complaint,
}

#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
    /// When it was begun, by the wall clock.
    begun: Duration,
}

impl LogFile {
    /// Opens the file for appending, and removes earlier ones that are too many.
    pub(super) fn open(section: &LogFileSection, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let path = match section.path.as_str() {
            directory if directory.ends_with('/') => Path::new(directory).join(NAME),
            file => PathBuf::from(file),
        };
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        prune(&path, section.keep).map_err(named)?;
        let open = Open::at(&path, &*clock).map_err(named)?;
        let state = State { open, writing: Complaint::default(), rotating: Complaint::default() };
        Ok(Self { path, section: section.clone(), clock, state: Mutex::new(state) })
    }

    /// Writes a line; rotates first if it is time.
    pub(super) fn write_line(&self, line: &[u8]) {
        let State { open, writing, rotating } = &mut *self.state.lock();
        if self.is_due(open) {
            let rotated = self.rotate(open);
            rotating
                .of(&format!("cannot begin another log file in place of {}", self.path.display()), rotated);
        }
        let written = open.file.write_all(line);
        if written.is_ok() {
            open.bytes += line.len() as u64;
        }
        writing.of(&format!("cannot write to the log file {}", self.path.display()), written);
    }

    fn is_due(&self, open: &Open) -> bool {
        let LogFileSection { path: _, rotate_bytes, rotate_after, keep: _ } = self.section;
        let age = wall(&*self.clock).saturating_sub(open.begun);
        rotate_bytes.is_some_and(|most| open.bytes >= most) || age >= rotate_after
    }

    fn rotate(&self, open: &mut Open) -> io::Result<()> {
        let (stem, extension) = parts(&self.path);
        let name = format!("{stem}{}{extension}", wall(&*self.clock).as_nanos());
        fs::rename(&self.path, self.path.with_file_name(name))?;
        // Prune last: if a file cannot be removed, the next log file must still be begun.
        *open = Open::at(&self.path, &*self.clock)?;
        open.begun = wall(&*self.clock);
        prune(&self.path, self.section.keep)
    }
}

impl Open {
    fn at(path: &Path, clock: &dyn Clock) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(MODE).open(path)?;
        let about = file.metadata()?;
        // Not every file system knows when a file was created.
        let made = about.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let begun = if about.len() == 0 { wall(clock) } else { made.unwrap_or_else(|| wall(clock)) };
        Ok(Self { file, bytes: about.len(), begun })
    }
}

fn wall(clock: &dyn Clock) -> Duration {
    Duration::from_nanos(u64::try_from(clock.wall_nanos()).unwrap_or(0))
}

/// The prefix and suffix of the names of earlier files.
fn parts(path: &Path) -> (String, String) {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (stem, extension) = match name.rfind('.') {
        Some(dot) => (&name[..dot], &name[dot..]),
        None => (name.as_str(), ".log"),
    };
    (format!("{stem}-"), extension.to_owned())
}

/// Removes earlier files that should not be kept, the oldest first.
fn prune(path: &Path, keep: Archives) -> io::Result<()> {
    let keep = match keep {
        Archives::All => return Ok(()),
        Archives::Newest(most) => most,
        Archives::None => 0,
    };
    let (stem, extension) = parts(path);
    let directory =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut archives = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let middle = name.strip_prefix(&stem).and_then(|rest| rest.strip_suffix(&extension));
        // Remove only files that we named: other logs in the directory are not ours.
        if let Some(nanos) = middle.and_then(|middle| middle.parse::<u128>().ok()) {
            archives.push((nanos, entry.path()));
        }
    }
    archives.sort();
    let many = archives.len().saturating_sub(keep);
    archives[..many].iter().try_for_each(|(_, path)| fs::remove_file(path))
}

#[cfg(test)]
mod tests;
