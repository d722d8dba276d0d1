//! Rule `twin`: each thing has one struct.
//!
//! Twins are two structs of product code, in any crates. The smaller one has at least [`FIELDS_MIN`] fields and shares
//! four fifths of them with the other, by name. Pairs that must differ (for example a wire format and its meaning) are
//! listed in [`APART`] with the reason; a listed pair that is no longer a twin is a finding too. Code only for tests is
//! ignored if its place shows that; private structs in functions and macros count.

use std::collections::{BTreeMap, BTreeSet};

use super::files::GENERATED;
use super::finding::Finding;
use crate::source::fields::{self, Struct};
use crate::source::{SourceFile, Target, code};

mod apart;

use apart::{APART, Reason};

const RULE: &str = "twin";

/// A crate of messages whose fields others have given.
const FOREIGN: &str = "public-proto";

/// Smaller structs may be similar by chance.
const FIELDS_MIN: usize = 5;
/// The share of the smaller struct's fields that twins have in common, in percent.
const SHARED_PERCENT: usize = 80;

/// A pair of twins, and the number of shared fields.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Twins {
    one: String,
    other: String,
    shared: usize,
    /// Number of fields of the smaller struct.
    fields: usize,
}

pub(crate) fn check(sources: &BTreeMap<String, Vec<SourceFile>>) -> Vec<Finding> {
    against(&twins(sources), APART)
}

/// The number of twins. All of them are listed if the rule passes.
pub(crate) fn count(sources: &BTreeMap<String, Vec<SourceFile>>) -> String {
    format!("{} pairs of twin structs (at most the {} listed)", twins(sources).len(), listed(APART).count())
}

fn listed(apart: &[Reason]) -> impl Iterator<Item = (&str, &str)> {
    apart.iter().flat_map(|(_, pairs)| pairs.iter().copied())
}

fn against(found: &[Twins], apart: &[Reason]) -> Vec<Finding> {
    let is = |twins: &Twins, (one, other): (&str, &str)| twins.one == one && twins.other == other;
    let unlisted = found.iter().filter(|twins| !listed(apart).any(|pair| is(twins, pair))).map(|twins| {
        let what = format!("shares {} of {} fields with {}", twins.shared, twins.fields, twins.other);
        Finding::new(RULE, &twins.one, what)
    });
    let gone = listed(apart).filter(|pair| !found.iter().any(|twins| is(twins, *pair)));
    let gone = gone
        .map(|(one, other)| Finding::new(RULE, one, format!("is listed as a twin of {other} and is none")));
    unlisted.chain(gone).collect()
}

fn twins(sources: &BTreeMap<String, Vec<SourceFile>>) -> Vec<Twins> {
    let structs = structs(sources);
    let mut found = Vec::new();
    for (at, (one, some)) in structs.iter().enumerate() {
        for (other, others) in &structs[at + 1..] {
            let shared = some.intersection(others).count();
            let fields = some.len().min(others.len());
            if fields >= FIELDS_MIN && shared * 100 >= fields * SHARED_PERCENT {
                found.push(Twins { one: one.clone(), other: other.clone(), shared, fields });
            }
        }
    }
    found
}

/// Structs with their paths, sorted.
fn structs(sources: &BTreeMap<String, Vec<SourceFile>>) -> Vec<(String, BTreeSet<String>)> {
    let mut found = Vec::new();
    let ours = |krate: &str| !GENERATED.contains(&krate) && krate != FOREIGN;
    for (krate, files) in sources.iter().filter(|(krate, _)| ours(krate)) {
        for file in files.iter().filter(|file| file.target == Target::Main && !file.is_test_only()) {
            let code = code::without_test_items(&code::only(&file.text));
            found.extend(fields::structs(&code).into_iter().map(|Struct { name, fields }| {
                let path: Vec<&str> = std::iter::once(krate.as_str())
                    .chain(file.module.iter().map(String::as_str))
                    .chain(std::iter::once(name.as_str()))
                    .collect();
                (path.join("::"), fields.into_iter().collect())
            }));
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn sources(texts: &[(&str, &str)]) -> BTreeMap<String, Vec<SourceFile>> {
        let file = |text: &str| SourceFile {
            path: PathBuf::from("src/a.rs"),
            target: Target::Main,
            module: vec!["a".to_owned()],
            text: text.to_owned(),
        };
        texts.iter().map(|(krate, text)| ((*krate).to_owned(), vec![file(text)])).collect()
    }

    #[track_caller]
    fn check_says(texts: &[(&str, &str)], apart: &[Reason], expected: &[&str]) {
        let found = against(&twins(&sources(texts)), apart);
        let found: Vec<String> =
            found.iter().map(|finding| format!("{} {}", finding.place, finding.what)).collect();
        assert_eq!(found, expected);
    }

    const FIVE: (&str, &str) = ("x", "struct A { a: u8, b: u8, c: u8, d: u8, e: u8 }");
    const FOUR_OF_THEM: (&str, &str) = ("y", "struct B { z: u8, d: u8, c: u8, b: u8, a: u8 }");
    const THREE_OF_THEM: (&str, &str) = ("y", "struct B { z: u8, y: u8, c: u8, b: u8, a: u8 }");

    #[test]
    fn structs_that_share_four_fields_of_five_are_twins() {
        check_says(&[FIVE, FOUR_OF_THEM], &[], &["x::a::A shares 4 of 5 fields with y::a::B"]);
        check_says(&[FIVE, THREE_OF_THEM], &[], &[]);
        let larger = ("y", "struct B { a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8 }");
        check_says(&[FIVE, larger], &[], &["x::a::A shares 5 of 5 fields with y::a::B"]);
    }

    #[test]
    fn small_structs_and_those_for_tests_are_none() {
        let four = "struct A { a: u8, b: u8, c: u8, d: u8 }";
        check_says(&[("x", four), ("y", four)], &[], &[]);
        let tested = "#[cfg(test)] mod tests { struct B { a: u8, b: u8, c: u8, d: u8, e: u8 } }";
        check_says(&[FIVE, ("y", tested)], &[], &[]);
    }

    #[test]
    fn a_listed_pair_is_green_as_long_as_it_is_one() {
        let apart: &[Reason] = &[("one is a wire", &[("x::a::A", "y::a::B")])];
        check_says(&[FIVE, FOUR_OF_THEM], apart, &[]);
        check_says(&[FIVE, THREE_OF_THEM], apart, &["x::a::A is listed as a twin of y::a::B and is none"]);
    }

    #[test]
    fn every_pair_is_listed_once_and_says_why() {
        let mut seen = BTreeSet::new();
        for (why, pairs) in APART {
            assert!(why.split_whitespace().count() > 5, "{why}");
            for (one, other) in *pairs {
                assert!(one < other && seen.insert((one, other)), "{one} and {other}");
            }
        }
    }
}
