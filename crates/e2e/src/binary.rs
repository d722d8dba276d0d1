//! The program under test: named by `CONCORD_BIN`, found beside the test, or built on demand.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::SystemTime;

/// Path of the program. A process builds it at most once; cargo's own lock orders concurrent processes.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("CONCORD_BIN") {
            return path.into();
        }
        beside().filter(|path| is_fresh(path)).unwrap_or_else(build)
    })
}

/// `target/<profile>/concord`, where the test itself is `target/<profile>/deps/it-…`.
fn beside() -> Option<PathBuf> {
    let test = std::env::current_exe().ok()?;
    let path = test.parent()?.parent()?.join("concord");
    path.is_file().then_some(path)
}

/// Whether the program is at least as new as every source of the product crates.
fn is_fresh(program: &Path) -> bool {
    let Ok(built) = program.metadata().and_then(|data| data.modified()) else { return false };
    let crates = root().join("crates");
    let Ok(entries) = std::fs::read_dir(crates) else { return false };
    let products =
        entries.flatten().filter(|entry| entry.file_name() != "e2e" && entry.file_name() != "xtask");
    products.into_iter().all(|entry| {
        is_older(&entry.path().join("Cargo.toml"), built) && is_older(&entry.path().join("src"), built)
    }) && is_older(&root().join("Cargo.lock"), built)
}

fn is_older(path: &Path, than: SystemTime) -> bool {
    let Ok(data) = path.metadata() else { return true };
    if !data.is_dir() {
        return data.modified().is_ok_and(|modified| modified <= than);
    }
    std::fs::read_dir(path).is_ok_and(|entries| entries.flatten().all(|entry| is_older(&entry.path(), than)))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn build() -> PathBuf {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // These variables, which the outer cargo sets, would change the fingerprints of the inner build.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    cargo.current_dir(root()).stdin(Stdio::null()).stderr(Stdio::inherit());
    cargo.args(["build", "-p", "concord", "--bin", "concord", "--message-format=json", "--quiet"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let built = cargo.output().expect("cargo starts");
    assert!(built.status.success(), "the program does not build");
    let lines = String::from_utf8(built.stdout).expect("cargo prints UTF-8");
    let mut executables = lines.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let of_bin = message["target"]["name"] == "concord";
        message["executable"].as_str().filter(|_| of_bin).map(PathBuf::from)
    });
    executables.next().expect("cargo names the executable it built")
}
