//! Runs an Envoy with listeners of a file.

#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a real program takes real time")]

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use concord_envoy_proto::any;
use concord_envoy_proto::envoy::config::listener::v3::Listener;
use prost::{Message, Name};

/// How much of Envoy's log a failed test shows.
const TOLD_BYTES: usize = 3000;
const PATIENCE: Duration = Duration::from_secs(60);

/// The Envoy that the environment names. Without one the test is skipped, and counted as skipped.
pub(crate) fn program(test: &str, variable: &str) -> Option<OsString> {
    let program = std::env::var_os(variable).filter(|program| Path::new(program).is_file());
    if program.is_none() {
        skipped(test, &format!("{variable} names no program"));
    }
    program
}

/// Says that a test is skipped, so that it is not counted as passed.
pub(crate) fn skipped(test: &str, reason: &str) {
    println!("SKIPPED: {test}: {reason}");
    if let Some(path) = std::env::var_os("CONCORD_TEST_SKIPS") {
        let file = fs::OpenOptions::new().create(true).append(true).open(path);
        let _ = file.and_then(|mut file| writeln!(file, "{test}: {reason}"));
    }
}

pub(crate) struct Envoy {
    child: Child,
    directory: tempfile::TempDir,
}

impl Envoy {
    /// Starts it, and waits until all listeners are open. It may have to join the lines of a header.
    pub(crate) fn start(
        program: &OsString,
        joins: bool,
        listeners: impl FnOnce(&Path) -> Vec<Listener>,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listeners = listeners(directory.path());
        let (path, log) = (directory.path().join("lds.pb"), directory.path().join("log"));
        fs::write(&path, response(&listeners)).unwrap();
        let bootstrap = directory.path().join("bootstrap.json");
        let mut layer = serde_json::json!({ "re2.max_program_size.error_level": 1_048_576 });
        if joins {
            for key in ["match_headers_individually", "rbac_match_headers_individually"] {
                layer[format!("envoy.reloadable_features.{key}")] = serde_json::json!(false);
            }
        }
        let source = serde_json::json!({
            "layered_runtime": { "layers": [{ "name": "base", "static_layer": layer }] },
            "node": { "id": "n", "cluster": "c" },
            "dynamic_resources": { "lds_config": { "path_config_source": { "path": path } } },
        });
        fs::write(&bootstrap, source.to_string()).unwrap();
        let mut command = Command::new(program);
        command.arg("-c").arg(&bootstrap).args(["--concurrency", "1", "-l", "warn", "--use-dynamic-base-id"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&log).unwrap());
        let mut envoy = Self { child: command.spawn().unwrap(), directory };
        let end = Instant::now() + PATIENCE;
        while !(0..listeners.len()).all(|at| envoy.socket(at).exists()) {
            let log = fs::read_to_string(&log).unwrap_or_default();
            assert!(envoy.child.try_wait().unwrap().is_none(), "Envoy ended: {log}");
            // The reason stands at the end of what Envoy refuses.
            let told = &log[log.len().saturating_sub(TOLD_BYTES)..];
            assert!(!log.contains("rejected") && Instant::now() < end, "Envoy does not listen: {told}");
            std::thread::sleep(Duration::from_millis(20));
        }
        envoy
    }

    pub(crate) fn socket(&self, at: usize) -> PathBuf {
        self.directory.path().join(format!("{at}.sock"))
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A `DiscoveryResponse` with these listeners.
fn response(listeners: &[Listener]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut field = |tag: u8, content: &[u8]| {
        bytes.push(tag << 3 | 2);
        prost::encode_length_delimiter(content.len(), &mut bytes).unwrap();
        bytes.extend_from_slice(content);
    };
    field(1, b"1");
    for listener in listeners {
        field(2, &any(listener).encode_to_vec());
    }
    field(4, Listener::type_url().as_bytes());
    bytes
}
