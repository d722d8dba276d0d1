//! Rule `file`: each source has a header, crate roots forbid unsafe code, names have a meaning, files are not too long,
//! and no text refers to a particular machine.

use std::path::Path;

use super::finding::Finding;
use super::tree::Tree;
use crate::source::{SourceFile, items};

const RULE: &str = "file";

/// Longer files are mentioned, because they should probably be split.
const LINES_NOTED: usize = 600;
/// Longer files are refused, unless they are listed below.
const LINES_MAX: usize = 900;
/// Files that may be longer, with the reason.
const LONG_FOR_A_REASON: [(&str, &str); 0] = [];
/// Crates whose sources are generated.
pub(super) const GENERATED: [&str; 1] = ["envoy-proto"];

/// Names without a meaning.
const EMPTY_NAMES: [&str; 8] = ["common", "core", "util", "utils", "helper", "helpers", "misc", "types"];

/// Paths of particular machines, and hosts of package registries. The texts are split so that this file passes.
const PLACES: [&str; 7] = [
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/opt/wh", "eels"),
    concat!("files.python", "hosted.org"),
    concat!("index.crates", ".io"),
    concat!("registry.npm", "js.org"),
    concat!("proxy.gol", "ang.org"),
];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (name, files) in &tree.sources {
        if EMPTY_NAMES.contains(&name.as_str()) {
            found.push(Finding::new(RULE, name, "is a name that says nothing"));
        }
        let has_sys = files.iter().any(|file| file.module.last().is_some_and(|module| module == "sys"));
        for file in files.iter().filter(|_| !GENERATED.contains(&name.as_str())) {
            found.extend(header(file));
            found.extend(names(file));
            found.extend(unsafe_code(file, has_sys));
            found.extend(length(file));
            found.extend(remarks(file));
        }
    }
    for (path, text) in &tree.texts {
        found.extend(places(path, text));
    }
    found
}

/// Sources that are longer than most, for a person to judge.
pub(crate) fn long_files(tree: &Tree) -> Vec<String> {
    tree.sources
        .iter()
        .filter(|(name, _)| !GENERATED.contains(&name.as_str()))
        .flat_map(|(_, files)| files)
        .map(|file| (file.text.lines().count(), file))
        .filter(|(lines, _)| *lines > LINES_NOTED)
        .map(|(lines, file)| format!("{}: {lines} lines", file.path.display()))
        .collect()
}

fn header(file: &SourceFile) -> Option<Finding> {
    let first = file.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    (!first.starts_with("//! ")).then(|| finding(file, "does not begin with a `//!` header"))
}

fn names(file: &SourceFile) -> Vec<Finding> {
    let mut empty: Vec<String> =
        file.names().filter(|name| EMPTY_NAMES.contains(name)).map(str::to_owned).collect();
    empty.extend(
        items::modules_declared(&file.text).into_iter().filter(|name| EMPTY_NAMES.contains(&name.as_str())),
    );
    empty.dedup();
    empty.into_iter().map(|name| finding(file, &format!("`{name}` is a name that says nothing"))).collect()
}

fn unsafe_code(file: &SourceFile, has_sys: bool) -> Option<Finding> {
    let says = |attribute: &str| file.text.lines().any(|line| line.trim() == attribute);
    let is_product = file.path.iter().any(|part| part == "src");
    let is_root = file.is_root() && is_product;
    if is_root && !says("#![forbid(unsafe_code)]") && !(has_sys && says("#![deny(unsafe_code)]")) {
        return Some(finding(
            file,
            "is a crate root without `#![forbid(unsafe_code)]` (or `deny` beside a sys.rs)",
        ));
    }
    let is_sys = file.module.last().is_some_and(|module| module == "sys");
    let allows = file.text.lines().any(|line| line.trim_start().starts_with("#![allow(unsafe_code"));
    (allows && !is_sys).then(|| finding(file, "allows unsafe code and is not a sys.rs"))
}

fn length(file: &SourceFile) -> Option<Finding> {
    let lines = file.text.lines().count();
    let excused = LONG_FOR_A_REASON.iter().any(|(path, _)| file.path == Path::new(path));
    (lines > LINES_MAX && !excused)
        .then(|| finding(file, &format!("{lines} lines; split it along a noun, or list it with a reason")))
}

/// A remark about future work must name its condition: `TODO(when peering lands): …`.
fn remarks(file: &SourceFile) -> Vec<Finding> {
    const LATER: &str = concat!("TO", "DO");
    const NEVER: [&str; 2] = [concat!("FIX", "ME"), concat!("XX", "X:")];
    let mut found = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        let Some((_, comment)) = line.split_once("//") else { continue };
        if comment.trim_start_matches(['/', '!', ' ']).starts_with(LATER) {
            let condition = comment.split_once(LATER).and_then(|(_, rest)| rest.strip_prefix('('));
            if condition.and_then(|rest| rest.find(')')).is_none_or(|at| at == 0) {
                found.push(finding_at(
                    file,
                    at,
                    "a remark about the future names its condition: `TODO(when …)`",
                ));
            }
        }
        if NEVER.iter().any(|mark| comment.contains(mark)) {
            found.push(finding_at(file, at, "repair it, or say when with a condition"));
        }
    }
    found
}

fn places(path: &Path, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for place in PLACES.iter().filter(|place| line.contains(**place)) {
            if starts_a_path(line, place) {
                found.push(Finding::new(
                    RULE,
                    format!("{}:{}", path.display(), at + 1),
                    format!("speaks of `{place}`"),
                ));
            }
        }
    }
    found
}

/// Whether `place` is the start of a path in `line`, and not a later part of one (`/x/ro…`).
fn starts_a_path(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        !place.starts_with('/')
            || !line[..at]
                .chars()
                .next_back()
                .is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '}' | ')' | '{'))
    })
}

fn finding(file: &SourceFile, what: &str) -> Finding {
    Finding::new(RULE, file.path.display(), what)
}

fn finding_at(file: &SourceFile, line: usize, what: &str) -> Finding {
    Finding::new(RULE, format!("{}:{}", file.path.display(), line + 1), what)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use super::*;
    use crate::source::place;

    #[track_caller]
    fn check_says(path: &str, text: &str, expected: &[&str]) {
        let (target, module) = place(Path::new(path));
        let file =
            SourceFile { path: Path::new("crates/x").join(path), target, module, text: text.to_owned() };
        let tree = Tree { sources: BTreeMap::from([("x".to_owned(), vec![file])]), ..Tree::default() };
        let found: Vec<String> = check(&tree).into_iter().map(|finding| finding.what).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_source_says_what_it_is() {
        check_says("src/a.rs", "//! A.\nfn a() {}", &[]);
        check_says("src/a.rs", "fn a() {}", &["does not begin with a `//!` header"]);
        check_says("src/a.rs", "", &["does not begin with a `//!` header"]);
    }

    #[test]
    fn roots_forbid_unsafe_code() {
        let red = "is a crate root without `#![forbid(unsafe_code)]` (or `deny` beside a sys.rs)";
        check_says("src/lib.rs", "//! X.\n#![forbid(unsafe_code)]", &[]);
        check_says("src/lib.rs", "//! X.", &[red]);
        check_says("src/lib.rs", "//! X.\n#![deny(unsafe_code)]", &[red]);
        check_says("src/sys.rs", "//! X.\n#![allow(unsafe_code)]", &[]);
        check_says(
            "src/quick.rs",
            "//! X.\n#![allow(unsafe_code)]",
            &["allows unsafe code and is not a sys.rs"],
        );
        check_says("src/bin/tool.rs", "//! X.", &[red]);
        check_says("tests/it/main.rs", "//! X.", &[]);
        check_says("benches/apply.rs", "//! X.", &[]);
    }

    #[test]
    fn names_mean_something() {
        check_says("src/utils/a.rs", "//! A.", &["`utils` is a name that says nothing"]);
        check_says("src/a.rs", "//! A.\nmod helpers { }", &["`helpers` is a name that says nothing"]);
        check_says("src/core_dump.rs", "//! A.\n// mod util", &[]);
    }

    #[test]
    fn files_stay_readable() {
        check_says("src/a.rs", &format!("//! A.\n{}", "\n".repeat(LINES_MAX - 1)), &[]);
        check_says(
            "src/a.rs",
            &format!("//! A.\n{}", "\n".repeat(LINES_MAX)),
            &["901 lines; split it along a noun, or list it with a reason"],
        );
    }

    #[test]
    fn a_remark_about_the_future_names_its_condition() {
        let later = concat!("TO", "DO");
        check_says("src/a.rs", &format!("//! A.\n// {later}(when peering lands): b"), &[]);
        check_says(
            "src/a.rs",
            &format!("//! A.\n// {later}: b"),
            &["a remark about the future names its condition: `TODO(when …)`"],
        );
        check_says(
            "src/a.rs",
            &format!("//! A.\nlet x = 1; // {}", concat!("FIX", "ME")),
            &["repair it, or say when with a condition"],
        );
    }

    #[test]
    fn no_text_speaks_of_one_machine() {
        let red = format!("see {}main/x", PLACES[0]);
        assert_eq!(places(&PathBuf::from("README.md"), &red).len(), 1);
        assert!(places(&PathBuf::from("README.md"), "a frame/work/x and $HOME/root/x").is_empty());
    }
}
