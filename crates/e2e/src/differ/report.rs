//! The result of a run: groups of equal differences, each with a count and one example.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::json;

use super::compare::Difference;
use super::known::{self, Known};
use super::request::Request;

/// Maximum number of characters of a body in an example.
const SHOWN: usize = 400;
/// Maximum number of examples in a group of what was unusual about its requests.
const ODDS: usize = 6;

/// The result of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// By endpoint: the number of requests, and how many of them both agents accepted.
    requests: BTreeMap<String, (usize, usize)>,
    groups: BTreeMap<(String, String), Group>,
    /// Entries of the table which matched a difference.
    met: Vec<&'static Known>,
    /// Every request with its differences, one JSON object a line.
    lines: String,
}

#[derive(Debug)]
struct Group {
    count: usize,
    known: Option<&'static Known>,
    odds: BTreeSet<String>,
    example: String,
}

impl Report {
    /// Whether one of these differences has not occurred before.
    pub(super) fn is_new(&self, request: &Request, found: &[Difference]) -> bool {
        found.iter().any(|one| !self.groups.contains_key(&key(request, one, known::find(request, one))))
    }

    /// Records that both agents were reset.
    pub(super) fn begin_anew(&mut self) {
        self.lines.push_str("\"a clean slate\"\n");
    }

    /// Counts a request and its differences.
    pub(super) fn add(&mut self, request: &Request, agreed: bool, found: &[Difference]) {
        let counted = self.requests.entry(request.pattern.clone()).or_default();
        *counted = (counted.0 + 1, counted.1 + usize::from(agreed));
        self.write_down(request, agreed, found);
        for one in found {
            let known = known::find(request, one);
            self.met.extend(known.filter(|known| !self.met.contains(known)));
            let group = self.groups.entry(key(request, one, known)).or_insert_with(|| Group {
                count: 0,
                known,
                odds: BTreeSet::new(),
                example: example(request, one),
            });
            group.count += 1;
            if group.odds.len() < ODDS {
                group.odds.insert(request.odd.clone());
            }
        }
    }

    fn write_down(&mut self, request: &Request, agreed: bool, found: &[Difference]) {
        let differences = found.iter().map(|one| {
            let [ours, theirs] = &one.sides;
            let known = known::find(request, one).map(|known| known.reason);
            json!({ "what": one.what, "ours": ours, "theirs": theirs, "known": known })
        });
        let line = json!({
            "endpoint": request.pattern, "target": request.target, "body": request.body, "odd": request.odd,
            "who": format!("{:?}", request.who), "agreed": agreed,
            "differences": differences.collect::<Vec<_>>(),
        });
        self.lines.push_str(&format!("{line}\n"));
    }

    /// Every request in order with its differences, one JSON object a line.
    pub fn lines(&self) -> &str {
        &self.lines
    }

    /// Number of requests sent to each agent.
    pub fn requests(&self) -> usize {
        self.requests.values().map(|(count, _)| count).sum()
    }

    /// Number of requests which both agents accepted.
    pub fn agreed(&self) -> usize {
        self.requests.values().map(|(_, agreed)| agreed).sum()
    }

    /// Number of groups whose difference is not known.
    pub fn unknown(&self) -> usize {
        self.groups.values().filter(|group| group.known.is_none()).count()
    }

    /// The groups: endpoint, kind of difference, and number of requests.
    pub fn groups(&self) -> impl Iterator<Item = (&str, &str, usize)> {
        self.groups.iter().map(|((pattern, what), group)| (pattern.as_str(), what.as_str(), group.count))
    }
}

/// The key includes the reason of a known difference, so that the known difference does not hide an unknown one.
fn key(request: &Request, one: &Difference, known: Option<&Known>) -> (String, String) {
    let what = match known {
        Some(known) => format!("{} ({})", one.what, known.reason),
        None => one.what.clone(),
    };
    (request.pattern.clone(), what)
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
        writeln!(f, "entries of the table of known differences that named none:")?;
        for known in known::others(&self.met) {
            writeln!(f, "          {known}")?;
        }
        writeln!(f, "other differences:")?;
        for ((pattern, what), group) in self.groups.iter().filter(|(_, group)| group.known.is_none()) {
            writeln!(f, "  {:>6}  {pattern}: {what}", group.count)?;
            let odds: Vec<&str> = group.odds.iter().map(String::as_str).collect();
            writeln!(f, "      odd    {}\n{}", odds.join(" | "), group.example)?;
        }
        let (all, unknown) = (self.groups.len(), self.unknown());
        write!(
            f,
            "{} requests, {all} groups of differences: {} known, {unknown} not",
            self.requests(),
            all - unknown
        )
    }
}
