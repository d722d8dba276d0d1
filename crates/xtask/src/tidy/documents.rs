//! Rule `documents`: a test that a document names exists. This applies to each `member::it::module::function` and
//! `member::module::tests::function` in a page below `docs/`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::finding::Finding;
use super::negative::{self, TestName};
use crate::source::{SourceFile, items};

const RULE: &str = "documents";
const PLACE: &str = "docs";
/// Path segments that identify the name of a test.
const MARKS: [&str; 2] = ["::it::", "::tests::"];

pub(crate) fn check(
    sources: &BTreeMap<String, Vec<SourceFile>>,
    texts: &BTreeMap<PathBuf, String>,
) -> Vec<Finding> {
    let tests = tests(sources);
    let pages = texts.iter().filter(|(path, _)| is_page(path));
    pages
        .flat_map(|(path, text)| named(text).map(move |name| (path, name)))
        .filter(|(_, name)| !tests.contains(*name))
        .map(|(path, name)| {
            Finding::new(RULE, path.display(), format!("names `{name}`, which does not exist"))
        })
        .collect()
}

/// The page of negative cases has its own rule.
fn is_page(path: &Path) -> bool {
    path.starts_with(PLACE)
        && path.extension().is_some_and(|extension| extension == "md")
        && path != Path::new(negative::DOCUMENT)
}

fn named(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).filter(|name| is_test_name(name))
}

/// Whether a text in backticks is the name of a test.
pub(super) fn is_test_name(name: &str) -> bool {
    // A command line may also end with the path of a test.
    !name.contains(' ') && MARKS.iter().any(|mark| name.contains(mark))
}

fn tests(sources: &BTreeMap<String, Vec<SourceFile>>) -> BTreeSet<String> {
    let files = sources.iter().flat_map(|(member, files)| files.iter().map(move |file| (member, file)));
    files
        .flat_map(|(member, file)| {
            let functions = items::functions(&file.module, &file.text).into_iter();
            functions.filter(|function| function.is_test).map(move |function| {
                let mut path = function.module;
                path.push(function.name);
                TestName { member: member.clone(), target: file.target.clone(), path: path.join("::") }
            })
        })
        .map(|test| test.to_string())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Target;

    #[track_caller]
    fn check_page(page: &str, text: &str, expected: &[&str]) {
        let file = SourceFile {
            path: PathBuf::from("crates/proxy/tests/it/limits.rs"),
            target: Target::Test("it".to_owned()),
            module: vec!["limits".to_owned()],
            text: "fn helper() {}\n#[tokio::test]\nasync fn room_comes_back() {}\n".to_owned(),
        };
        let unit = SourceFile {
            path: PathBuf::from("crates/proxy/src/gate.rs"),
            target: Target::Main,
            module: vec!["gate".to_owned()],
            text: "#[cfg(test)]\nmod tests {\n#[test]\nfn strangers_are_bounded() {}\n}\n".to_owned(),
        };
        let sources = BTreeMap::from([("proxy".to_owned(), vec![file, unit])]);
        let texts = BTreeMap::from([(PathBuf::from(page), text.to_owned())]);
        let found: Vec<String> = check(&sources, &texts).into_iter().map(|finding| finding.what).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_test_that_exists_may_be_named() {
        check_page("docs/proxy.md", "| full | `proxy::it::limits::room_comes_back` |", &[]);
        check_page("docs/proxy.md", "`proxy::gate::tests::strangers_are_bounded`", &[]);
        check_page("docs/proxy.md", "`cargo test gate::tests::strangers`", &[]);
        check_page("docs/proxy.md", "words about `proxy::control` and `-flags`", &[]);
    }

    #[test]
    fn a_test_that_does_not_exist_is_told_by_name() {
        let told = &["names `proxy::it::limits::room_is_lost`, which does not exist"];
        check_page("docs/proxy.md", "`proxy::it::limits::room_is_lost`", told);
        let told_of_unit = &["names `proxy::gate::tests::nobody`, which does not exist"];
        check_page("docs/proxy.md", "`proxy::gate::tests::nobody`", told_of_unit);
        let helper = &["names `proxy::it::limits::helper`, which does not exist"];
        check_page("docs/proxy.md", "`proxy::it::limits::helper`", helper);
        check_page("docs/sub/page.md", "so `x` and `proxy::it::limits::room_is_lost`", told);
        check_page(negative::DOCUMENT, "`proxy::it::limits::room_is_lost`", &[]);
    }
}
