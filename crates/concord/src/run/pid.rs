//! A file with the process id, for as long as the process runs.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::cli::Failure;

/// The file with our process id, if one is configured.
#[derive(Debug)]
pub(super) struct PidFile {
    path: Option<PathBuf>,
    /// Whether we created the file and it does not contain the id yet.
    empty: bool,
}

impl PidFile {
    /// Checks that the file can be written, so that the agent does not start and then fail. The id of another agent
    /// in it is not changed.
    pub(super) fn prepare(path: Option<&str>) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self { path: None, empty: false }) };
        let failed = |error| Failure::system(format!("write pid_file {path}"), error);
        let there = Path::new(path).try_exists().map_err(failed)?;
        OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
        Ok(Self { path: Some(PathBuf::from(path)), empty: !there })
    }

    /// Writes the id. Called once nothing can prevent the start any more, so that the file of a running agent is not
    /// overwritten.
    pub(super) fn write(&mut self) -> Result<(), Failure> {
        let Some(path) = &self.path else { return Ok(()) };
        fs::write(path, std::process::id().to_string())
            .map_err(|error| Failure::system(format!("write pid_file {}", path.display()), error))?;
        self.empty = false;
        Ok(())
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Some(path) = &self.path
            && (self.empty || holds_us(path))
            && let Err(error) = fs::remove_file(path)
        {
            warn!(%error, path = %path.display(), "cannot remove the pid file");
        }
    }
}

/// Whether the file still contains our id.
fn holds_us(path: &Path) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text.trim() == std::process::id().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_goes_with_us_unless_it_has_become_somebody_elses() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        let prepare = || PidFile::prepare(path.to_str()).unwrap();
        let mut own = prepare();
        own.write().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), std::process::id().to_string());
        drop(own);
        assert!(!path.exists());
        let mut own = prepare();
        own.write().unwrap();
        fs::write(&path, "1").unwrap();
        drop(own);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1");
        // An agent that does not start leaves an existing file unchanged, and creates none.
        drop(prepare());
        assert_eq!(fs::read_to_string(&path).unwrap(), "1");
        fs::remove_file(&path).unwrap();
        drop(prepare());
        assert!(!path.exists());
        let refused = PidFile::prepare(Some("/nonexistent/pid")).unwrap_err();
        assert!(format!("{refused:?}").contains("write pid_file /nonexistent/pid"), "{refused:?}");
        PidFile::prepare(None).unwrap().write().unwrap();
    }
}
