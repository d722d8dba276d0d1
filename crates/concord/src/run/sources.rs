//! Configuration files, read: `-config-file` in the order given, `-config-dir` by name.

use std::fs;
use std::path::Path;

use concord_config::Source;
use concord_config::source::Format;

use crate::cli::Failure;

/// Files of all flags, in the order in which they are merged.
pub(crate) fn read(files: &[String], directories: &[String], format: Option<Format>) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    for file in files {
        let path = Path::new(file);
        if path.is_dir() {
            directory(path, format, &mut sources)?;
        } else {
            sources.push(one(path, format)?);
        }
    }
    for path in directories {
        directory(Path::new(path), format, &mut sources)?;
    }
    Ok(sources)
}

/// The `.hcl` and `.json` files of a directory; all files if a format is forced.
fn directory(path: &Path, format: Option<Format>, sources: &mut Vec<Source>) -> Result<(), Failure> {
    let doing = || format!("read the directory {}", path.display());
    let entries = fs::read_dir(path).map_err(|error| Failure::system(doing(), error))?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(|error| Failure::system(doing(), error))?.path();
        let known = file.extension().is_some_and(|ending| ending == "hcl" || ending == "json");
        if file.is_file() && (known || format.is_some()) {
            files.push(file);
        }
    }
    files.sort();
    for file in files {
        sources.push(one(&file, format)?);
    }
    Ok(())
}

fn one(path: &Path, format: Option<Format>) -> Result<Source, Failure> {
    let name = path.display().to_string();
    let bytes = fs::read(path).map_err(|error| Failure::system(format!("read {name}"), error))?;
    let source = Source::file(name, bytes);
    Ok(if format.is_some() { Source { format, ..source } } else { source })
}
