//! Reads definitions.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use prost_types::FileDescriptorProto;

/// Compiles each file by itself: together, the compiler finds relative names in files that were not imported.
pub(super) fn parse(includes: &[PathBuf], roots: &[PathBuf]) -> Result<Vec<FileDescriptorProto>> {
    let mut files = BTreeMap::new();
    for root in roots {
        let mut compiler = protox::Compiler::new(includes)?;
        compiler
            .include_imports(true)
            .open_file(root)
            .with_context(|| format!("compiling {}", root.display()))?;
        for file in compiler.file_descriptor_set().file {
            files.insert(file.name().to_owned(), file);
        }
    }
    Ok(files.into_values().collect())
}
