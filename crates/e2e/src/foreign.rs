//! Clients in other languages: how tests find them, and how a test reports that one is missing.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The Go toolchain.
#[derive(Clone, Debug)]
pub struct Go(pub PathBuf);

/// A foreign program: named by an environment variable, or else found on the path. `None` means that the test must be
/// skipped; the reason has been reported.
pub fn foreign(test: &str, variable: &str, usual: &str, probe: &[&str]) -> Option<PathBuf> {
    let program = std::env::var_os(variable).map_or_else(|| PathBuf::from(usual), PathBuf::from);
    let ran = Command::new(&program).args(probe).stdin(Stdio::null()).output();
    match ran {
        Ok(output) if output.status.success() => Some(program),
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr);
            skip(test, &format!("{}: {}", program.display(), why.lines().last().unwrap_or_default()));
            None
        }
        Err(error) => {
            skip(test, &format!("{} (named by {variable}): {error}", program.display()));
            None
        }
    }
}

/// Reports that a test is skipped and why, so that it is counted as skipped and not as passed.
pub fn skip(test: &str, reason: &str) {
    eprintln!("SKIPPED: {test}: {reason}");
    if let Some(path) = std::env::var_os("CONCORD_TEST_SKIPS") {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let _ = file.and_then(|mut file| writeln!(file, "{test}: {reason}"));
    }
}

/// A directory with this crate's sources in another language.
pub fn source_dir(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Builds one of our Go programs in a directory of its own. `Err` says why the build failed.
pub fn go_program(go: &Go, name: &str, dir: &Path) -> Result<PathBuf, String> {
    let (source, module) = (source_dir("go").join(name), dir.join(format!("go-{name}")));
    std::fs::create_dir_all(&module).expect("a directory");
    for entry in std::fs::read_dir(source).expect("the sources are there").flatten() {
        std::fs::copy(entry.path(), module.join(entry.file_name())).expect("a file can be copied");
    }
    let program = dir.join(name);
    let mut command = Command::new(&go.0);
    command.current_dir(&module).env("GOWORK", "off").env("CGO_ENABLED", "0");
    command.args(["build", "-buildvcs=false", "-o"]).arg(&program).arg(".");
    let built = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if built.status.success() {
        return Ok(program);
    }
    Err(String::from_utf8_lossy(&built.stderr).trim().to_owned())
}

/// The output of a foreign program which must have succeeded.
#[track_caller]
pub fn ran(what: &str, output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: {}\n{out}\n{err}", output.status);
    out.into_owned()
}
