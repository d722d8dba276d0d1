//! The workspace as cargo sees it: its members, their dependencies, and all packages that each reaches through normal
//! dependencies. It is read once from `cargo metadata`; the rules in `tidy` are pure functions of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

/// The name of each of our packages is this prefix and its directory below `crates/`.
pub(crate) const PREFIX: &str = "concord-";

/// One crate of the workspace.
#[derive(Debug, Clone, Default)]
pub(crate) struct Member {
    /// The directory's name, which documents use: `model`.
    pub(crate) name: String,
    /// The directory of its manifest, relative to the root.
    pub(crate) dir: PathBuf,
    /// Its direct normal and build dependencies, ours and foreign, by package name.
    pub(crate) direct: BTreeSet<String>,
    /// All packages that it reaches through normal dependencies, without itself.
    pub(crate) reaches: BTreeSet<String>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) members: Vec<Member>,
}

// === impl Workspace ===

impl Workspace {
    /// Reads the workspace of this program.
    pub(crate) fn load() -> Result<Self> {
        let root = root()?;
        let mut cargo = process::cargo(&root);
        cargo.args(["metadata", "--format-version", "1", "--locked"]);
        let text = process::capture("cargo metadata", &mut cargo)?;
        let metadata = serde_json::from_str(&text).context("reading cargo metadata")?;
        Self::from_metadata(&metadata)
    }

    pub(crate) fn from_metadata(metadata: &Value) -> Result<Self> {
        let root = PathBuf::from(text(metadata, "workspace_root")?);
        let graph = Graph::from_metadata(metadata)?;
        let members = strings(metadata, "workspace_members")?
            .into_iter()
            .map(|id| graph.member(id, &root))
            .collect::<Result<_>>()?;
        Ok(Self { root, members })
    }

    pub(crate) fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }
}

/// The root of the work tree: above this crate's manifest at run time, or else above the current directory.
pub(crate) fn root() -> Result<PathBuf> {
    let start = match std::env::var_os("CARGO_MANIFEST_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => std::env::current_dir().context("reading the current directory")?,
    };
    start
        .ancestors()
        .find(|dir| dir.join("Cargo.lock").is_file() && dir.join("crates").is_dir())
        .map(Path::to_path_buf)
        .with_context(|| format!("no workspace above {}", start.display()))
}

struct Graph<'a> {
    packages: BTreeMap<&'a str, &'a Value>,
    /// The ids of resolved normal dependencies, by package id.
    normal: BTreeMap<&'a str, Vec<&'a str>>,
}

// === impl Graph ===

impl<'a> Graph<'a> {
    fn from_metadata(metadata: &'a Value) -> Result<Self> {
        let packages = array(metadata, "packages")?
            .iter()
            .map(|package| Ok((text(package, "id")?, package)))
            .collect::<Result<_>>()?;
        let resolve = metadata.get("resolve").context("metadata without `resolve`")?;
        let mut normal = BTreeMap::new();
        for node in array(resolve, "nodes")? {
            let mut targets = Vec::new();
            for dep in array(node, "deps")? {
                let is_normal = array(dep, "dep_kinds")?.iter().any(|kind| kind["kind"].is_null());
                if is_normal {
                    targets.push(text(dep, "pkg")?);
                }
            }
            normal.insert(text(node, "id")?, targets);
        }
        Ok(Self { packages, normal })
    }

    fn member(&self, id: &str, root: &Path) -> Result<Member> {
        let package = self.packages.get(id).with_context(|| format!("no package {id}"))?;
        let manifest = Path::new(text(package, "manifest_path")?);
        let dir = manifest.parent().context("a manifest lies in a directory")?;
        let mut direct = BTreeSet::new();
        for dependency in array(package, "dependencies")? {
            if dependency["kind"].as_str() != Some("dev") {
                direct.insert(text(dependency, "name")?.to_owned());
            }
        }
        Ok(Member {
            name: member_name(text(package, "name")?).to_owned(),
            dir: dir.strip_prefix(root).unwrap_or(dir).to_path_buf(),
            direct,
            reaches: self.reachable(id)?,
        })
    }

    fn reachable(&self, from: &str) -> Result<BTreeSet<String>> {
        let mut seen = BTreeSet::new();
        let mut todo: Vec<&str> = self.normal.get(from).cloned().unwrap_or_default();
        while let Some(id) = todo.pop() {
            if seen.insert(id) {
                todo.extend(self.normal.get(id).into_iter().flatten());
            }
        }
        seen.into_iter()
            .map(|id| {
                let package = self.packages.get(id).with_context(|| format!("no package {id}"))?;
                Ok(text(package, "name")?.to_owned())
            })
            .collect()
    }
}

/// The member's name: `model` for `concord-model`. The binary package `concord` keeps its name.
pub(crate) fn member_name(package: &str) -> &str {
    package.strip_prefix(PREFIX).unwrap_or(package)
}

/// The package name of a member. The inverse of [`member_name`].
pub(crate) fn package_name(member: &str) -> String {
    if member == "concord" { member.to_owned() } else { format!("{PREFIX}{member}") }
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value.get(key).and_then(Value::as_str).with_context(|| format!("metadata without `{key}`"))
}

fn array<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value.get(key).and_then(Value::as_array).with_context(|| format!("metadata without `{key}`"))
}

fn strings<'a>(value: &'a Value, key: &str) -> Result<Vec<&'a str>> {
    Ok(array(value, key)?.iter().filter_map(Value::as_str).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metadata() -> Value {
        let package = |name: &str, deps: Value| json!({"id": name, "name": name, "manifest_path": format!("/w/crates/{}/Cargo.toml", member_name(name)), "dependencies": deps});
        let edge = |name: &str, kind: Value| json!({"pkg": name, "dep_kinds": [{"kind": kind}]});
        json!({
            "workspace_root": "/w",
            "workspace_members": ["concord-model", "concord-state"],
            "packages": [
                package("concord-model", json!([{"name": "serde", "kind": null}])),
                package("concord-state", json!([{"name": "concord-model", "kind": null}, {"name": "proptest", "kind": "dev"}])),
                package("serde", json!([])),
                package("proptest", json!([])),
            ],
            "resolve": {"nodes": [
                {"id": "concord-model", "deps": [edge("serde", Value::Null)]},
                {"id": "concord-state", "deps": [edge("concord-model", Value::Null), edge("proptest", json!("dev"))]},
                {"id": "serde", "deps": []},
                {"id": "proptest", "deps": []},
            ]},
        })
    }

    #[test]
    fn normal_dependencies_are_followed_and_dev_ones_are_not() {
        let workspace = Workspace::from_metadata(&metadata()).unwrap();
        let state = workspace.member("state").unwrap();
        assert_eq!(state.dir, Path::new("crates/state"));
        assert_eq!(state.direct, BTreeSet::from(["concord-model".to_owned()]));
        assert_eq!(state.reaches, BTreeSet::from(["concord-model".to_owned(), "serde".to_owned()]));
    }

    #[test]
    fn metadata_without_a_resolved_graph_is_an_error() {
        let mut metadata = metadata();
        metadata["resolve"] = Value::Null;
        assert!(Workspace::from_metadata(&metadata).is_err());
    }
}
