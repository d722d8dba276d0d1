//! Writes down what all of Envoy's messages look like, for those that operators write as JSON.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use protox::prost::Message as _;

use super::parse::parse;

/// The origins whose files are described, with all that these import.
const ORIGINS: [&str; 2] = ["data-plane-api", "xds"];
/// What no configuration has: calls between programs, and older versions.
const NOT_DESCRIBED: [&str; 5] = ["envoy/service/", "envoy/admin/", "envoy/watchdog/", "/v2alpha/", "/v2/"];

/// A name that the compiler looks for in the wrong package: file, what it says, and what is meant.
const MEANT: (&str, &str, &str) = (
    "envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster.proto",
    " common.dynamic_forward_proxy.v3.DnsCacheConfig",
    " .envoy.extensions.common.dynamic_forward_proxy.v3.DnsCacheConfig",
);

/// Writes the descriptors of all messages, compressed. `scratch` is a directory for corrected files.
pub(super) fn write(includes: &[PathBuf], scratch: &Path, to: &Path) -> Result<()> {
    let mut files = Vec::new();
    for root in includes.iter().filter(|root| ORIGINS.iter().any(|name| root.ends_with(name))) {
        find(root, root, &mut files)?;
        correct(root, scratch)?;
    }
    files.sort();
    let includes = &[&[scratch.to_owned()], includes].concat();
    let mut described = BTreeMap::new();
    for file in parse(includes, &files)? {
        described.insert(file.name().to_owned(), reduced(file));
    }
    let file = in_order(described);
    let bytes = FileDescriptorSet { file }.encode_to_vec();
    let mut out = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    out.write_all(&bytes)?;
    fs::write(to, out.finish()?).with_context(|| format!("writing {}", to.display()))
}

fn correct(root: &Path, scratch: &Path) -> Result<()> {
    let (file, said, meant) = MEANT;
    let Ok(text) = fs::read_to_string(root.join(file)) else { return Ok(()) };
    let to = scratch.join(file);
    fs::create_dir_all(to.parent().context("a file is in a directory")?)?;
    Ok(fs::write(to, text.replace(said, meant))?)
}

fn find(root: &Path, directory: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            find(root, &path, files)?;
            continue;
        }
        let name = path.strip_prefix(root)?;
        let text = name.to_string_lossy();
        if text.ends_with(".proto") && !NOT_DESCRIBED.iter().any(|part| text.contains(part)) {
            files.push(name.to_owned());
        }
    }
    Ok(())
}

/// Without services, extensions and positions, which no reader of JSON needs.
fn reduced(mut file: FileDescriptorProto) -> FileDescriptorProto {
    (file.service, file.extension, file.source_code_info) = (Vec::new(), Vec::new(), None);
    file
}

/// A file comes after those that it imports.
fn in_order(mut left: BTreeMap<String, FileDescriptorProto>) -> Vec<FileDescriptorProto> {
    fn take(
        name: &str,
        left: &mut BTreeMap<String, FileDescriptorProto>,
        done: &mut Vec<FileDescriptorProto>,
    ) {
        let Some(file) = left.remove(name) else { return };
        for import in &file.dependency {
            take(import, left, done);
        }
        done.push(file);
    }
    let mut done = Vec::new();
    while let Some(name) = left.keys().next().cloned() {
        take(&name, &mut left, &mut done);
    }
    done
}
