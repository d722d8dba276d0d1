//! The process id in a file, for as long as the process runs.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::cli::Failure;

/// A file with our process id, if there is to be one.
#[derive(Debug)]
pub(super) struct PidFile {
    path: Option<PathBuf>,
    /// Whether it is there because of us, without the id as yet.
    empty: bool,
}

impl PidFile {
    /// Looks whether it can be written, so that nothing is begun that could not be kept up. What another agent wrote
    /// stays as it is.
    pub(super) fn prepare(path: Option<&str>) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self { path: None, empty: false }) };
        let failed = |error| Failure::system(format!("write pid_file {path}"), error);
        let there = Path::new(path).try_exists().map_err(failed)?;
        OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
        Ok(Self { path: Some(PathBuf::from(path)), empty: !there })
    }

    /// Writes it. Comes once nothing keeps us from starting: the file of an agent that runs stays its own.
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

/// Whether somebody else has not written the file since.
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
        // An agent that does not come to start: it leaves what is there, and nothing where nothing was.
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
