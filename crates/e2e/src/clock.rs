//! A wall clock for processes that a test sets while they run, by libfaketime. The time that only goes forward stays
//! the machine's.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::foreign::{foreign, skip};
use crate::world::World;

/// The wall clock of all processes that have its environment.
#[derive(Debug)]
pub struct FakeClock {
    library: String,
    file: PathBuf,
}

impl FakeClock {
    /// The machine's clock so far. `None` skips the test: there is no `faketime`.
    pub fn new(test: &str, world: &World) -> Option<Self> {
        let faketime = foreign(test, "CONCORD_TEST_FAKETIME", "faketime", &["--version"])?;
        let Some(library) = library(&faketime) else {
            skip(test, "faketime does not say which library it loads");
            return None;
        };
        let own = Self { library, file: world.path("clock") };
        own.set_off_by(0);
        Some(own)
    }

    /// Sets it to so many seconds before or after the machine's.
    pub fn set_off_by(&self, seconds: i64) {
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}\n")).expect("a file can be written");
        std::fs::rename(&new, &self.file).expect("a file can be put in place");
    }

    /// What a process must have in its environment to go by it.
    pub fn env(&self) -> Vec<(String, String)> {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        vec![
            pair("LD_PRELOAD", &self.library),
            pair("FAKETIME_TIMESTAMP_FILE", self.file.to_str().expect("a path")),
            pair("FAKETIME_NO_CACHE", "1"),
            pair("DONT_FAKE_MONOTONIC", "1"),
        ]
    }
}

/// The library that faketime has programs load.
fn library(faketime: &Path) -> Option<String> {
    let output = Command::new(faketime).args(["-f", "+0", "env"]).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix("LD_PRELOAD="))?;
    value.split([':', ' ']).find(|path| path.contains("faketime")).map(str::to_owned)
}
