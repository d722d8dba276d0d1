//! Only the module of the built-in kind may refer to that kind and its settings.

use std::fs;
use std::path::{Path, PathBuf};

/// Texts that only this module may contain.
const ITS_OWN: [&str; 6] = [
    "\"consul\"",
    "\"PrivateKey\"",
    "\"RootCert\"",
    "Consul CA Primary Cert",
    "concord ca private key",
    "builtin::Builtin",
];

/// Files that may contain such a text, and why.
const EXCUSED: [(&str, &str, &str); 3] = [
    ("ca/src/pair.rs", "\"PrivateKey\"", "the field of an entry with a certificate"),
    ("ca/src/provider/kinds.rs", "builtin::Builtin", "its row in the table"),
    ("model/src/catalog.rs", "\"consul\"", "the service under which servers stand in the catalog"),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if name == "tests" || name == "testing" || path.ends_with("provider/builtin") {
            continue;
        }
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("provider/builtin.rs") {
            found.push(path);
        }
    }
}

#[test]
fn nothing_outside_its_folder_names_the_built_in_kind() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for name in ["ca", "server", "state", "model"] {
        sources(&crates.join(name).join("src"), &mut files);
    }
    assert!(files.len() > 80, "{} files", files.len());
    let mut excused = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let file = file.strip_prefix(crates).unwrap().to_str().unwrap();
        for word in ITS_OWN.iter().filter(|word| product.contains(**word)) {
            let known = EXCUSED.iter().any(|(path, own, _)| (*path, own) == (file, word));
            assert!(known, "{file} says {word}, which belongs into the folder of the built-in kind");
            excused.push(file);
        }
    }
    assert_eq!(excused.len(), EXCUSED.len(), "each excuse is needed: {excused:?}");
}
