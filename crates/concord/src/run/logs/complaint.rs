//! Problems that the log cannot report itself.

use std::io::{self, Write as _, stderr};

/// Writes a problem of the log to standard error only: once, until the log works again.
#[derive(Debug, Default)]
pub(super) struct Complaint {
    told: bool,
}

impl Complaint {
    pub(super) fn of(&mut self, what: &str, outcome: io::Result<()>) {
        match outcome {
            Ok(()) => self.told = false,
            Err(error) if !self.told => {
                self.told = true;
                let _ =
                    writeln!(stderr(), "concord: {what}: {error}; lines are lost there until it works again");
            }
            Err(_) => {}
        }
    }
}
