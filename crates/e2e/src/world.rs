//! A test's world: a directory, and what is started in it.

use std::path::{Path, PathBuf};
use std::process::Output;

use tempfile::TempDir;

use crate::agent::{Agent, AgentOptions};
use crate::binary::binary;
use crate::patience::run;

/// A directory that holds everything of one test.
#[derive(Debug)]
pub struct World {
    dir: TempDir,
}

impl World {
    /// A new world.
    #[allow(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file in it.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file can be written");
        path
    }

    /// Starts an agent that keeps nothing.
    pub fn dev_agent(&self, name: &str) -> Agent {
        self.agent(name, AgentOptions { dev: true, ..AgentOptions::default() })
    }

    /// Starts an agent.
    pub fn agent(&self, name: &str, options: AgentOptions) -> Agent {
        Agent::start(self.dir.path(), name, options)
    }

    /// Starts an agent whose files are in another directory, so that two can have one name.
    pub fn agent_in(&self, dir: &Path, name: &str, options: AgentOptions) -> Agent {
        Agent::start(dir, name, options)
    }

    /// Runs the program to its end, with nothing of the caller's environment.
    pub fn run(&self, args: &[&str]) -> Output {
        run(binary(), args)
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

/// A size that the environment can raise for the long version of a test.
pub fn number_from_env(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Prints a figure in the form in which `cargo xtask measure` collects it.
pub fn figure(what: &str, value: f64, unit: &str) {
    eprintln!("figure: {what} = {value:.3} {unit}");
}
