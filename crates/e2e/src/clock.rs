//! A wall clock, made with libfaketime, which a test sets while processes run. Monotonic time is unchanged.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::foreign::{foreign, skip};
use crate::world::World;

/// The wall clock of all processes which have its environment.
#[derive(Debug)]
pub struct FakeClock {
    library: String,
    file: PathBuf,
}

impl FakeClock {
    /// A clock which at first shows the machine's time. `None` means that the test is skipped for lack of `faketime`.
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

    /// Sets the clock to this many seconds after the machine's time, or before it if negative.
    pub fn set_off_by(&self, seconds: i64) {
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}\n")).expect("a file can be written");
        std::fs::rename(&new, &self.file).expect("a file can be put in place");
    }

    /// The environment which makes a process use this clock.
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

/// The library which faketime preloads into programs.
fn library(faketime: &Path) -> Option<String> {
    let output = Command::new(faketime).args(["-f", "+0", "env"]).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix("LD_PRELOAD="))?;
    value.split([':', ' ']).find(|path| path.contains("faketime")).map(str::to_owned)
}
