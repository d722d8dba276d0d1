//! The process id in a file, for as long as the process runs.

use std::fs;
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::cli::Failure;

/// A file with our process id, if there is to be one.
#[derive(Debug)]
pub(super) struct PidFile(Option<PathBuf>);

impl PidFile {
    /// Writes it. Comes once nothing keeps us from starting: the file of an agent that runs stays its own.
    pub(super) fn write(path: Option<&str>) -> Result<Self, Failure> {
        if let Some(path) = path {
            fs::write(path, std::process::id().to_string())
                .map_err(|error| Failure::system(format!("write pid_file {path}"), error))?;
        }
        Ok(Self(path.map(PathBuf::from)))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0
            && holds_us(path)
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
        let own = PidFile::write(path.to_str()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), std::process::id().to_string());
        drop(own);
        assert!(!path.exists());
        let own = PidFile::write(path.to_str()).unwrap();
        fs::write(&path, "1").unwrap();
        drop(own);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1");
        let refused = PidFile::write(Some("/nonexistent/pid")).unwrap_err();
        assert!(format!("{refused:?}").contains("write pid_file /nonexistent/pid"), "{refused:?}");
        PidFile::write(None).unwrap();
    }
}
