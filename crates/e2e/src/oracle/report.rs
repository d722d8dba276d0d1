//! The result of a run: groups of equal differences, each with its scenarios and one example.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::json;

use super::compare::{Difference, differences};
use super::dump::Resources;
use super::known::{self, Known};

/// Maximum number of characters of a value in an example.
const SHOWN: usize = 600;
/// Maximum number of scenarios that a group names.
const NAMED: usize = 6;

/// The result of a run.
#[derive(Debug, Default)]
pub struct Report {
    scenarios: usize,
    alike: usize,
    groups: BTreeMap<(String, &'static str), Group>,
    met: Vec<&'static Known>,
    lines: String,
    /// Whether every scenario was played to a reference: then each entry of the table must have named something.
    is_whole: bool,
}

#[derive(Debug)]
struct Group {
    known: Option<&'static Known>,
    count: usize,
    scenarios: Vec<&'static str>,
    example: Difference,
}

impl Report {
    /// Before anything was played. A whole run plays every scenario to a reference.
    pub(super) fn of_run(is_whole: bool) -> Self {
        Self { is_whole, ..Self::default() }
    }

    /// Counts a scenario and its differences.
    pub(super) fn add(&mut self, scenario: &'static str, ours: &Resources, theirs: &Resources) {
        let found = differences(ours, theirs);
        self.scenarios += 1;
        self.alike += usize::from(found.iter().all(|one| known::find(one).is_some()));
        let told: Vec<_> = found
            .iter()
            .map(|one| {
                json!({ "path": one.path, "ours": one.sides[0], "theirs": one.sides[1],
                "known": known::find(one).map(|known| known.reason) })
            })
            .collect();
        let line = json!({ "scenario": scenario, "differences": told, "ours": ours, "theirs": theirs });
        self.lines.push_str(&format!("{line}\n"));
        for one in found {
            self.count(scenario, one);
        }
    }

    fn count(&mut self, scenario: &'static str, one: Difference) {
        let known = known::find(&one);
        self.met.extend(known.filter(|known| !self.met.contains(known)));
        let key = (kind(&one.path), known.map_or("", |known| known.reason));
        let group = self.groups.entry(key).or_insert_with(|| Group {
            known,
            count: 0,
            scenarios: Vec::new(),
            example: one,
        });
        group.count += 1;
        if !group.scenarios.contains(&scenario) {
            group.scenarios.push(scenario);
        }
    }

    /// Every scenario with its differences and both sets of resources, one JSON object a line.
    pub fn lines(&self) -> &str {
        &self.lines
    }

    /// Number of scenarios, and of those without an unknown difference.
    pub fn scenarios(&self) -> (usize, usize) {
        (self.scenarios, self.alike)
    }

    /// Number of groups of differences, and of those that are not known.
    pub fn groups(&self) -> (usize, usize) {
        (self.groups.len(), self.groups.values().filter(|group| group.known.is_none()).count())
    }

    /// The entries of the table of known differences that name nothing any more.
    pub fn superfluous(&self) -> Vec<String> {
        known::others(&self.met).filter(|_| self.is_whole).map(ToString::to_string).collect()
    }

    /// Whether there is no unknown difference, and no known one that is none.
    pub fn is_clean(&self) -> bool {
        self.groups().1 == 0 && self.superfluous().is_empty()
    }
}

/// A path without the names of resources and the positions in lists. Names of Envoy's own stay.
fn kind(path: &str) -> String {
    let mut parts = path.split('[');
    let mut kind = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(']').unwrap_or((part, ""));
        kind += &format!("[{}]{rest}", if name.starts_with("envoy.") { name } else { "*" });
    }
    kind
}

fn cut(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut by_reason: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for ((_, reason), group) in self.groups.iter().filter(|(_, group)| group.known.is_some()) {
            let counted = by_reason.entry(reason).or_default();
            *counted = (counted.0 + 1, counted.1 + group.count);
        }
        writeln!(f, "known differences:")?;
        for (reason, (groups, count)) in by_reason {
            writeln!(f, "  {count:>6}  in {groups} groups: {reason}")?;
        }
        for entry in self.superfluous() {
            writeln!(f, "an entry of the table of known differences names none; take it out: {entry}")?;
        }
        writeln!(f, "other differences:")?;
        for ((kind, _), group) in self.groups.iter().filter(|(_, group)| group.known.is_none()) {
            let shown = &group.scenarios[..group.scenarios.len().min(NAMED)];
            writeln!(f, "  {:>6}  {kind}", group.count)?;
            writeln!(f, "      in {} scenarios: {}", group.scenarios.len(), shown.join(" | "))?;
            writeln!(f, "      at     {}", group.example.path)?;
            writeln!(f, "      ours   {}", cut(&group.example.sides[0]))?;
            writeln!(f, "      theirs {}", cut(&group.example.sides[1]))?;
        }
        let ((all, unknown), (scenarios, alike)) = (self.groups(), self.scenarios());
        write!(
            f,
            "{scenarios} scenarios, {alike} alike; {all} groups of differences: {} known, {unknown} not",
            all - unknown
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_difference_that_is_none_is_told_once_all_was_played() {
        let part = Report::of_run(false);
        assert!(part.is_clean() && part.superfluous().is_empty());
        let whole = Report::of_run(true);
        assert!(!whole.is_clean());
        assert!(whole.to_string().contains("names none; take it out: "), "{whole}");
    }
}
