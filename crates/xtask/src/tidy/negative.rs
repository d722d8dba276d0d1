//! Rule `negative`: docs/negative-cases.md names the tests that prove each negative case. The sentences are written by
//! hand. The column of tests is generated from the names of test functions: `n_54_csr_extensions_are_ignored` proves
//! N-54.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result};

use super::finding::Finding;
use super::tables::cells;
use crate::source::{SourceFile, Target, items};

const RULE: &str = "negative";
pub(crate) const DOCUMENT: &str = "docs/negative-cases.md";
const BEGIN: &str = "<!-- table: begin -->";
const END: &str = "<!-- table: end -->";
const HEAD: &str = "| id | required outcome | proved by |\n|---|---|---|\n";
const NONE: &str = "–";

/// The id of a negative case: `N-54`, `N-82b`. Sorted by number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NegativeId {
    number: u32,
    letter: String,
}

/// A test function: package, target and path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TestName {
    pub(crate) member: String,
    pub(crate) target: Target,
    /// Its name in the test harness: `csr::tests::n_54_csr_extensions_are_ignored`.
    pub(crate) path: String,
}

/// A row of the table in the document.
struct Row<'a> {
    id: &'a str,
    outcome: &'a str,
    tests: Vec<&'a str>,
}

pub(crate) type Proofs = BTreeMap<NegativeId, Vec<TestName>>;

pub(crate) fn check(sources: &BTreeMap<String, Vec<SourceFile>>, document: &str) -> Vec<Finding> {
    let Some(table) = table(document) else {
        return vec![Finding::new(RULE, DOCUMENT, format!("no `{BEGIN}` … `{END}`"))];
    };
    let mut proofs = proofs(sources);
    let mut found = Vec::new();
    for row in rows(table) {
        let Ok(id) = row.id.parse::<NegativeId>() else {
            found.push(Finding::new(RULE, DOCUMENT, format!("`{}` is not an id", row.id)));
            continue;
        };
        let there: Vec<String> =
            proofs.remove(&id).unwrap_or_default().iter().map(TestName::to_string).collect();
        if row.outcome.is_empty() {
            found.push(Finding::new(RULE, &id, "has no sentence"));
        }
        if there.is_empty() {
            found.push(Finding::new(RULE, &id, format!("no test named `{}…` proves it", id.prefix())));
        }
        for listed in row.tests.iter().filter(|listed| !there.iter().any(|test| test == *listed)) {
            found.push(Finding::new(RULE, &id, format!("lists `{listed}`, which does not exist")));
        }
        for test in there.iter().filter(|test| !row.tests.contains(&test.as_str())) {
            found.push(Finding::new(
                RULE,
                &id,
                format!("does not list `{test}` (`cargo xtask tidy --bless`)"),
            ));
        }
    }
    for (id, tests) in proofs {
        found.push(Finding::new(RULE, id, format!("has tests and no row: {}", joined(&tests))));
    }
    found
}

/// The document with a new table: sentences are kept, tests are updated, new ids are added.
pub(crate) fn bless(sources: &BTreeMap<String, Vec<SourceFile>>, document: &str) -> Result<String> {
    let old = table(document).with_context(|| format!("{DOCUMENT}: no `{BEGIN}` … `{END}`"))?;
    let mut proofs = proofs(sources);
    let mut new: BTreeMap<NegativeId, (String, Vec<TestName>)> = BTreeMap::new();
    for row in rows(old) {
        let id: NegativeId =
            row.id.parse().with_context(|| format!("{DOCUMENT}: `{}` is not an id", row.id))?;
        let tests = proofs.remove(&id).unwrap_or_default();
        new.insert(id, (row.outcome.to_owned(), tests));
    }
    new.extend(proofs.into_iter().map(|(id, tests)| (id, (String::new(), tests))));
    let body: String = new
        .iter()
        .map(|(id, (outcome, tests))| format!("| {id} | {outcome} | {} |\n", joined(tests)))
        .collect();
    Ok(document.replace(old, &format!("\n{HEAD}{body}")))
}

/// All tests with the id of a negative case in their name.
pub(crate) fn proofs(sources: &BTreeMap<String, Vec<SourceFile>>) -> Proofs {
    let mut proofs = Proofs::new();
    for (member, file) in
        sources.iter().flat_map(|(member, files)| files.iter().map(move |file| (member, file)))
    {
        for function in items::functions(&file.module, &file.text) {
            if let Some(id) = id_of(&function.name) {
                let mut path = function.module;
                path.push(function.name);
                let test =
                    TestName { member: member.clone(), target: file.target.clone(), path: path.join("::") };
                proofs.entry(id).or_default().push(test);
            }
        }
    }
    proofs.values_mut().for_each(|tests| tests.sort());
    proofs
}

/// The ids of all rows, in order.
pub(crate) fn listed(document: &str) -> Vec<NegativeId> {
    table(document).map(rows).unwrap_or_default().iter().filter_map(|row| row.id.parse().ok()).collect()
}

fn table(document: &str) -> Option<&str> {
    let (_, after) = document.split_once(BEGIN)?;
    Some(after.split_once(END)?.0)
}

fn rows(table: &str) -> Vec<Row<'_>> {
    table
        .lines()
        .filter(|line| line.starts_with("| N") || line.starts_with("|N"))
        .map(cells)
        .map(|cells| Row {
            id: cells.first().copied().unwrap_or_default(),
            outcome: cells.get(1).copied().unwrap_or_default(),
            tests: cells.get(2).copied().unwrap_or_default().split('`').skip(1).step_by(2).collect(),
        })
        .collect()
}

fn joined(tests: &[TestName]) -> String {
    if tests.is_empty() {
        return NONE.to_owned();
    }
    tests.iter().map(|test| format!("`{test}`")).collect::<Vec<_>>().join("<br>")
}

/// `n_54_csr_extensions_are_ignored` → N-54; `n_82b_…` → N-82b; otherwise `None`.
fn id_of(function: &str) -> Option<NegativeId> {
    let (id, rest) = function.strip_prefix("n_")?.split_once('_')?;
    if rest.is_empty() { None } else { format!("N-{id}").parse().ok() }
}

// === impl NegativeId ===

impl NegativeId {
    /// The prefix of its tests' names.
    pub(crate) fn prefix(&self) -> String {
        format!("n_{}{}_", self.number, self.letter)
    }
}

impl FromStr for NegativeId {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let id = text.strip_prefix("N-").context("an id begins with `N-`")?;
        let digits = id.trim_end_matches(|c: char| c.is_ascii_lowercase());
        let letter = &id[digits.len()..];
        anyhow::ensure!(letter.len() <= 1, "at most one letter after the number");
        Ok(Self { number: digits.parse().context("a number after `N-`")?, letter: letter.to_owned() })
    }
}

impl fmt::Display for NegativeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "N-{}{}", self.number, self.letter)
    }
}

// === impl TestName ===

impl fmt::Display for TestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Main => write!(f, "{}::{}", self.member, self.path),
            Target::Test(target) | Target::Other(target) => {
                write!(f, "{}::{target}::{}", self.member, self.path)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(text: &str) -> BTreeMap<String, Vec<SourceFile>> {
        let file = SourceFile {
            path: "crates/ca/src/csr/tests.rs".into(),
            target: Target::Main,
            module: vec!["csr".to_owned(), "tests".to_owned()],
            text: text.to_owned(),
        };
        let integration = SourceFile {
            path: "crates/ca/tests/it/leaf.rs".into(),
            target: Target::Test("it".to_owned()),
            module: vec!["leaf".to_owned()],
            text: "#[test] fn n_82b_dots_are_escaped() {}".to_owned(),
        };
        BTreeMap::from([("ca".to_owned(), vec![file, integration])])
    }

    fn document(rows: &str) -> String {
        format!("# Negative cases\n{BEGIN}\n{HEAD}{rows}{END}\nafter\n")
    }

    const ROWS: &str = "| N-54 | extensions ignored | `ca::csr::tests::n_54_a` |\n\
        | N-82b | dots escaped | `ca::it::leaf::n_82b_dots_are_escaped` |\n";

    #[track_caller]
    fn check_says(text: &str, rows: &str, expected: &[&str]) {
        let found: Vec<String> = check(&sources(text), &document(rows))
            .iter()
            .map(|f| format!("{}: {}", f.place, f.what))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_true_table_is_green() {
        check_says("#[test] fn n_54_a() {} fn n_plus() {} fn n_5() {}", ROWS, &[]);
    }

    #[test]
    fn a_row_without_a_test_is_red() {
        check_says(
            "fn other() {}",
            ROWS,
            &[
                "N-54: no test named `n_54_…` proves it",
                "N-54: lists `ca::csr::tests::n_54_a`, which does not exist",
            ],
        );
    }

    #[test]
    fn a_test_without_a_row_is_red() {
        check_says(
            "fn n_54_a() {} fn n_54_b() {} fn n_55_c() {}",
            ROWS,
            &[
                "N-54: does not list `ca::csr::tests::n_54_b` (`cargo xtask tidy --bless`)",
                "N-55: has tests and no row: `ca::csr::tests::n_55_c`",
            ],
        );
    }

    #[test]
    fn a_row_without_a_sentence_and_a_document_without_a_table_are_red() {
        let rows = ROWS.replace("dots escaped", "");
        check_says("fn n_54_a() {}", &rows, &["N-82b: has no sentence"]);
        assert_eq!(check(&sources(""), "# Nothing").len(), 1);
    }

    #[test]
    fn blessing_keeps_sentences_and_makes_the_table_true() {
        let sources = sources("fn n_54_b() {} fn n_7_c() {}");
        let blessed = bless(&sources, &document(ROWS)).unwrap();
        assert!(blessed.contains("| N-54 | extensions ignored | `ca::csr::tests::n_54_b` |"));
        assert!(blessed.find("| N-7 |").unwrap() < blessed.find("| N-54 |").unwrap());
        assert!(blessed.ends_with(&format!("{END}\nafter\n")));
        let left: Vec<String> = check(&sources, &blessed).into_iter().map(|f| f.what).collect();
        assert_eq!(left, ["has no sentence"], "only the new row lacks what a person writes");
        assert_eq!(bless(&sources, &blessed).unwrap(), blessed);
    }
}
