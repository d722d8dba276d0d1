//! The world of a test: a directory, and the processes started in it.

use std::path::{Path, PathBuf};
use std::process::Output;

use tempfile::TempDir;

use crate::agent::{Agent, AgentOptions};
use crate::binary::binary;
use crate::patience::run;

/// The directory with all files of one test.
#[derive(Debug)]
pub struct World {
    dir: TempDir,
}

impl World {
    /// Creates a new directory.
    #[allow(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    /// A path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file in the directory and returns its path.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file can be written");
        path
    }

    /// Starts an agent which keeps no data.
    pub fn dev_agent(&self, name: &str) -> Agent {
        self.agent(name, AgentOptions { dev: true, ..AgentOptions::default() })
    }

    /// Starts an agent.
    pub fn agent(&self, name: &str, options: AgentOptions) -> Agent {
        Agent::start(self.dir.path(), name, options)
    }

    /// Starts an agent whose files are in another directory, so that two agents can have the same name.
    pub fn agent_in(&self, dir: &Path, name: &str, options: AgentOptions) -> Agent {
        Agent::start(dir, name, options)
    }

    /// Runs the program to completion, with an empty environment.
    pub fn run(&self, args: &[&str]) -> Output {
        run(binary(), args)
    }

    /// The directory of the test.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

/// A number which the environment can raise for the long version of a test.
pub fn number_from_env(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Prints a figure in the form which `cargo xtask measure` collects.
pub fn figure(what: &str, value: f64, unit: &str) {
    eprintln!("figure: {what} = {value:.3} {unit}");
}
