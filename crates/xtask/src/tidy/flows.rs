//! Rule `flows`: paths in ARCHITECTURE.md, such as `state::Store::apply`, exist, so that readers can follow them.

use std::collections::BTreeMap;

use super::finding::Finding;
use crate::source::SourceFile;
use crate::source::items::Index;

const RULE: &str = "flows";

/// First segments of allowed paths that are not ours.
const FOREIGN: [&str; 3] = ["std", "tokio", "rand"];

/// A heading, and the minimum number of our items in its section.
const MUST_NAME: (&str, usize) = ("## Flows", 1);

pub(crate) fn check(sources: &BTreeMap<String, Vec<SourceFile>>, architecture: &str) -> Vec<Finding> {
    let mut indexes: BTreeMap<&str, Index> = BTreeMap::new();
    let mut found = Vec::new();
    let mut resolved = 0_usize;
    for (line, path) in paths(architecture) {
        let parts: Vec<&str> = path.split("::").collect();
        let Some((root, rest)) = parts.split_first().filter(|(root, _)| !FOREIGN.contains(root)) else {
            continue;
        };
        let name = root.strip_prefix("concord_").unwrap_or(root).replace('_', "-");
        let place = format!("{}:{line}", super::tree::ARCHITECTURE);
        let Some((name, files)) = sources.get_key_value(&name) else {
            found.push(Finding::new(RULE, place, format!("`{path}`: no crate `{name}`")));
            continue;
        };
        let index = indexes.entry(name.as_str()).or_insert_with(|| Index::of(files));
        if index.contains(rest) {
            resolved += 1;
        } else {
            found.push(Finding::new(RULE, place, format!("`{path}` does not exist")));
        }
    }
    let (heading, least) = MUST_NAME;
    if !architecture.lines().any(|line| line.trim() == heading) || resolved < least {
        found.push(Finding::new(RULE, super::tree::ARCHITECTURE, format!("`{heading}` names no item")));
    }
    found
}

/// The paths in backquotes with their line numbers. A call (`a::b()`) counts as its path.
fn paths(document: &str) -> impl Iterator<Item = (usize, &str)> {
    document
        .lines()
        .enumerate()
        .flat_map(|(at, line)| {
            line.split('`').skip(1).step_by(2).map(move |quoted| (at + 1, quoted.trim_end_matches("()")))
        })
        .filter(|(_, quoted)| {
            quoted.contains("::")
                && quoted.split("::").all(|part| {
                    !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                })
        })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::source::Target;

    #[track_caller]
    fn check_says(document: &str, expected: &[&str]) {
        let file = SourceFile {
            path: PathBuf::from("crates/envoy-proto/src/lib.rs"),
            target: Target::Main,
            module: Vec::new(),
            text: "pub struct Store; impl Store { pub fn apply() {} }".to_owned(),
        };
        let sources = BTreeMap::from([("envoy-proto".to_owned(), vec![file])]);
        let found: Vec<String> = check(&sources, document).into_iter().map(|finding| finding.what).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn items_that_exist_are_green() {
        check_says(
            "## Flows\n`envoy_proto::Store::apply()` and `concord_envoy_proto::Store`, not `std::net`, `a b::c`",
            &[],
        );
    }

    #[test]
    fn items_that_do_not_exist_are_red() {
        check_says(
            "## Flows\n`envoy_proto::Store` then `envoy_proto::Store::undo`",
            &["`envoy_proto::Store::undo` does not exist"],
        );
        check_says("## Flows\n`envoy_proto::Store`, `shop::Till`", &["`shop::Till`: no crate `shop`"]);
    }

    #[test]
    fn flows_that_name_nothing_are_red() {
        check_says("## Flows\nwords", &["`## Flows` names no item"]);
        check_says("`envoy_proto::Store`", &["`## Flows` names no item"]);
    }
}
