//! What a run found: groups of equal differences, with a count and one example each.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::compare::Difference;
use super::known::{self, Known};
use super::request::Request;

/// Characters of a body in an example.
const SHOWN: usize = 400;
/// What was unusual about requests of a group, at most so many.
const ODDS: usize = 6;

/// What a run found.
#[derive(Debug, Default)]
pub struct Report {
    /// Requests by endpoint, and how many of them both agreed to.
    requests: BTreeMap<String, (usize, usize)>,
    groups: BTreeMap<(String, String), Group>,
}

#[derive(Debug)]
struct Group {
    count: usize,
    known: Option<&'static Known>,
    odds: BTreeSet<String>,
    example: String,
}

impl Report {
    /// Whether one of these differences was not met before.
    pub(super) fn is_new(&self, request: &Request, found: &[Difference]) -> bool {
        found.iter().any(|one| !self.groups.contains_key(&key(request, &one.what)))
    }

    /// Counts a request and its differences.
    pub(super) fn add(&mut self, request: &Request, agreed: bool, found: &[Difference]) {
        let counted = self.requests.entry(request.pattern.clone()).or_default();
        *counted = (counted.0 + 1, counted.1 + usize::from(agreed));
        for one in found {
            let group = self.groups.entry(key(request, &one.what)).or_insert_with(|| Group {
                count: 0,
                known: known::find(request, &one.what),
                odds: BTreeSet::new(),
                example: example(request, one),
            });
            group.count += 1;
            if group.odds.len() < ODDS {
                group.odds.insert(request.odd.clone());
            }
        }
    }

    /// How many requests were sent to each.
    pub fn requests(&self) -> usize {
        self.requests.values().map(|(count, _)| count).sum()
    }

    /// How many of them both agreed to.
    pub fn agreed(&self) -> usize {
        self.requests.values().map(|(_, agreed)| agreed).sum()
    }

    /// How many groups of differences nothing is known of.
    pub fn unknown(&self) -> usize {
        self.groups.values().filter(|group| group.known.is_none()).count()
    }

    /// The groups: endpoint, kind, and how many requests.
    pub fn groups(&self) -> impl Iterator<Item = (&str, &str, usize)> {
        self.groups.iter().map(|((pattern, what), group)| (pattern.as_str(), what.as_str(), group.count))
    }
}

/// What is known is grouped by its reason, so that a known difference hides no other.
fn key(request: &Request, what: &str) -> (String, String) {
    match known::find(request, what) {
        Some(known) => (request.pattern.clone(), format!("{what} ({})", known.reason)),
        None => (request.pattern.clone(), what.to_owned()),
    }
}

fn example(request: &Request, one: &Difference) -> String {
    let body =
        request.body.as_deref().map(|body| format!("\n      body   {}", cut(body))).unwrap_or_default();
    let [ours, theirs] = &one.sides;
    format!(
        "      {} {} as {:?}{body}\n      ours   {}\n      theirs {}",
        request.method,
        request.target,
        request.who,
        cut(ours.trim_end()),
        cut(theirs.trim_end())
    )
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
        writeln!(f, "requests by endpoint, and how many both agreed to:")?;
        for (pattern, (count, agreed)) in &self.requests {
            writeln!(f, "  {count:>6} {agreed:>6}  {pattern}")?;
        }
        let mut by_reason: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for group in self.groups.values() {
            if let Some(known) = group.known {
                let counted = by_reason.entry(known.reason).or_default();
                *counted = (counted.0 + 1, counted.1 + group.count);
            }
        }
        writeln!(f, "known differences:")?;
        for (reason, (groups, count)) in by_reason {
            writeln!(f, "  {count:>6}  in {groups} groups: {reason}")?;
        }
        writeln!(f, "other differences:")?;
        for ((pattern, what), group) in self.groups.iter().filter(|(_, group)| group.known.is_none()) {
            writeln!(f, "  {:>6}  {pattern}: {what}", group.count)?;
            let odds: Vec<&str> = group.odds.iter().map(String::as_str).collect();
            writeln!(f, "      odd    {}\n{}", odds.join(" | "), group.example)?;
        }
        write!(f, "{} requests, {} groups of differences that are not known", self.requests(), self.unknown())
    }
}
