//! Finds the definitions of the wanted messages, compiles and reduces them, and writes the Rust code.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use prost_types::FileDescriptorSet;
use sha2::{Digest as _, Sha256};

use super::describe;
use super::parse::parse;
use super::prune::prune;
use super::wanted::Wanted;

/// What all messages look like, below the crate.
const DESCRIPTORS: &str = "src/descriptors.gz";

/// Writes the code of the messages that `messages.txt` of this crate wants.
pub(super) fn generate(definitions: &Path, scratch: &Path, of: &Path) -> Result<()> {
    let wanted =
        Wanted::parse(&fs::read_to_string(of.join("messages.txt")).context("reading messages.txt")?)?;
    let includes = directories(definitions)?;
    let files = parse(&includes, &definers(&includes, &wanted)?)?;
    let file = prune(files, &wanted)?;
    let out = of.join("src/generated");
    drop(fs::remove_dir_all(&out));
    fs::create_dir_all(&out)?;
    let mut config = prost_build::Config::new();
    config
        .out_dir(&out)
        .include_file("packages.rs")
        .btree_map(["."])
        .disable_comments(["."])
        .enable_type_names()
        .type_name_domain(["."], "type.googleapis.com");
    config.compile_fds(FileDescriptorSet { file }).context("writing the code")?;
    describe::write(&includes, scratch, &of.join(DESCRIPTORS))?;
    fs::copy(definitions.with_file_name("LICENSE"), of.join("LICENSE-ENVOY"))
        .context("copying the licence")?;
    note(of).context("noting what was generated")?;
    println!("wrote {}", out.display());
    Ok(())
}

/// Writes the hashes of the list and of the code, by which a test sees that they belong together.
fn note(of: &Path) -> Result<()> {
    let mut files = vec![PathBuf::from("messages.txt"), PathBuf::from(DESCRIPTORS)];
    for entry in fs::read_dir(of.join("src/generated"))? {
        files.push(entry?.path().strip_prefix(of)?.to_owned());
    }
    files[2..].sort();
    let mut noted = String::new();
    for file in files {
        let hash = Sha256::digest(fs::read(of.join(&file))?);
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        noted.push_str(&format!("{hash}  {}\n", file.display()));
    }
    Ok(fs::write(of.join("generated.sha256"), noted)?)
}

/// The directories below which imports are found: one for each origin.
fn directories(definitions: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(definitions).context("listing the definitions")? {
        let path = entry?.path();
        let is_nested = path.join("proto").is_dir();
        found.push(if is_nested { path.join("proto") } else { path });
    }
    found.sort();
    Ok(found)
}

/// The files that define the wanted messages, relative to their directories.
fn definers(includes: &[PathBuf], wanted: &Wanted) -> Result<Vec<PathBuf>> {
    let mut index = BTreeMap::new();
    for root in includes {
        index_files(root, root, &mut index)?;
    }
    let file_of = |name: &String| match index.get(name) {
        Some(file) => Ok(file.clone()),
        None => bail!("messages.txt: no definition of {name}"),
    };
    let mut files = wanted.messages.iter().map(file_of).collect::<Result<Vec<_>>>()?;
    files.sort();
    files.dedup();
    Ok(files)
}

/// Notes which file defines which message at its top level.
fn index_files(root: &Path, directory: &Path, index: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            index_files(root, &path, index)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            let text = fs::read_to_string(&path)?;
            let word = |line: &str, key: &str| {
                line.strip_prefix(key)
                    .map(|rest| rest.trim().trim_end_matches([';', '{', '}']).trim().to_owned())
            };
            let package = text.lines().find_map(|line| word(line, "package ")).unwrap_or_default();
            let file = path.strip_prefix(root)?.to_owned();
            let messages = text.lines().filter_map(|line| word(line, "message "));
            index.extend(messages.map(|message| (format!("{package}.{message}"), file.clone())));
        }
    }
    Ok(())
}
