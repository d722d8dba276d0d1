//! The machine's Go toolchain.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::places::on_path;
use crate::process;

/// The oldest supported Go, as (major, minor), because of its crypto/x509.
const GO_OLDEST: (u32, u32) = (1, 21);

/// The machine's Go toolchain, if it is recent enough.
pub(super) fn toolchain() -> Result<PathBuf> {
    let version = process::capture("go version", Command::new("go").arg("version"))?;
    let found = go_version(&version).with_context(|| format!("`go version` printed {version:?}"))?;
    if found < GO_OLDEST {
        bail!("Go {}.{} is older than {}.{}", found.0, found.1, GO_OLDEST.0, GO_OLDEST.1);
    }
    on_path("go")
}

/// Reads major and minor from `go version go1.26.8 linux/amd64`.
fn go_version(printed: &str) -> Option<(u32, u32)> {
    let version =
        printed.split_whitespace().find_map(|word| word.strip_prefix("go").filter(|v| !v.is_empty()))?;
    let mut numbers = version.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_go_are_read() {
        assert_eq!(go_version("go version go1.26.8 linux/amd64"), Some((1, 26)));
        assert_eq!(go_version("go version go1.22rc1 linux/amd64"), None);
        assert_eq!(go_version("gopher"), None);
    }
}
