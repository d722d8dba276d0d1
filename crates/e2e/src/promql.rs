//! The names in queries of Prometheus: which metrics, and which of their labels.

use std::collections::BTreeSet;

/// What a query asks for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Asked {
    /// The metrics, each with the labels that it is chosen by.
    pub metrics: Vec<(String, BTreeSet<String>)>,
    /// The labels by which the answer is grouped.
    pub grouped: BTreeSet<String>,
}

/// Words before a list of labels.
const GROUPING: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
/// Words that name nothing.
const WORDS: [&str; 5] = ["and", "or", "unless", "bool", "offset"];

impl Asked {
    /// Reads a query. What is no query has no names.
    pub fn read(query: &str) -> Self {
        let mut asked = Self::default();
        let mut rest = query;
        while let Some(next) = rest.chars().next() {
            rest = match next {
                '"' => after(&rest[1..], '"'),
                '[' => after(rest, ']'),
                own if own.is_ascii_alphabetic() || own == '_' => asked.word(rest),
                own if own.is_ascii_digit() => {
                    rest.trim_start_matches(|own: char| own.is_ascii_alphanumeric() || own == '.')
                }
                own => &rest[own.len_utf8()..],
            };
        }
        asked
    }

    /// Takes a word and what belongs to it.
    fn word<'a>(&mut self, text: &'a str) -> &'a str {
        let (word, rest) = split(text);
        let rest = rest.trim_start();
        if GROUPING.contains(&word) {
            let list = rest.trim_start_matches('(');
            let names = list.split(')').next().unwrap_or_default();
            self.grouped.extend(names.split(',').map(|name| name.trim().to_owned()));
            return after(rest, ')');
        }
        let is_function = rest.starts_with('(') || GROUPING.contains(&split(rest).0);
        if is_function || WORDS.contains(&word) {
            return rest;
        }
        let Some(inner) = rest.strip_prefix('{') else {
            self.metrics.push((word.to_owned(), BTreeSet::new()));
            return rest;
        };
        let (labels, rest) = selected(inner);
        self.metrics.push((word.to_owned(), labels));
        rest
    }
}

/// The labels in braces, and what follows the braces.
fn selected(text: &str) -> (BTreeSet<String>, &str) {
    let (mut labels, mut rest) = (BTreeSet::new(), text);
    while let Some(next) = rest.chars().next() {
        rest = match next {
            '}' => return (labels, &rest[1..]),
            '"' => after(&rest[1..], '"'),
            own if own.is_ascii_alphabetic() || own == '_' => {
                let (label, rest) = split(rest);
                labels.insert(label.to_owned());
                rest
            }
            own => &rest[own.len_utf8()..],
        };
    }
    (labels, rest)
}

fn split(text: &str) -> (&str, &str) {
    let end = text.find(|own: char| !own.is_ascii_alphanumeric() && own != '_' && own != ':');
    text.split_at(end.unwrap_or(text.len()))
}

fn after(text: &str, end: char) -> &str {
    text.split_once(end).map_or("", |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, metrics: &[(&str, &[&str])], grouped: &[&str]) {
        let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let metrics = metrics.iter().map(|(name, labels)| ((*name).to_owned(), names(labels))).collect();
        assert_eq!(Asked::read(query), Asked { metrics, grouped: names(grouped) }, "{query}");
    }

    #[test]
    fn metrics_and_labels_are_found() {
        check("min(a_b)", &[("a_b", &[])], &[]);
        check(
            r#"histogram_quantile(0.99, sum by (le, x) (rate(a_bucket{b=~"$c",d!=""}[5m])))"#,
            &[("a_bucket", &["b", "d"])],
            &["le", "x"],
        );
        check(r#"a{b="c{d}"} / on (e) sum(f) > 1e3"#, &[("a", &["b"]), ("f", &[])], &["e"]);
        check("", &[], &[]);
    }
}
