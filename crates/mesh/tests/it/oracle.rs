//! The decision, implemented a second time: a linear scan written from the published rules, with its own precedence,
//! order and matching. It shares only the types with the product, so that a mistake in the product is not repeated
//! here.

use concord_model::ServiceRef;
use concord_model::intention::{Action, Decision, ServiceIntentions};

/// What the oracle answers: allowed, and which source of which entry decided.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Answer {
    pub(crate) allowed: bool,
    pub(crate) by: Option<(usize, usize)>,
}

struct Row<'a> {
    entry: usize,
    index: usize,
    precedence: u8,
    key: [&'a str; 7],
    decision: &'a Decision,
}

fn is_star(text: &str) -> bool {
    text == "*"
}

fn fits(pattern: &str, text: &str) -> bool {
    is_star(pattern) || pattern == text
}

fn covers(entry: &ServiceIntentions, to: &ServiceRef) -> bool {
    let d = &entry.destination;
    to.peer.is_none()
        && d.partition.as_str() == to.partition.as_str()
        && fits(d.namespace.as_str(), to.namespace.as_str())
        && fits(d.name.as_str(), to.name.as_str())
}

fn top(entry: &ServiceIntentions) -> u8 {
    let d = &entry.destination;
    match (is_star(d.namespace.as_str()), is_star(d.name.as_str())) {
        (true, _) => 3,
        (false, true) => 6,
        (false, false) => 9,
    }
}

/// Whether an entry that is at least that exact demands a token. An entry without sources is none.
fn token_demanded(entries: &[ServiceIntentions], to: &ServiceRef, least: u8) -> bool {
    entries.iter().any(|entry| {
        entry.jwt.is_some() && !entry.sources.is_empty() && covers(entry, to) && top(entry) >= least
    })
}

fn rows<'a>(entries: &'a [ServiceIntentions], from: &ServiceRef, to: &ServiceRef) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    for (e, entry) in entries.iter().enumerate() {
        let d = &entry.destination;
        if !covers(entry, to) {
            continue;
        }
        for (i, one) in entry.sources.iter().enumerate() {
            let s = &one.source;
            let peer = s.peer.as_ref().map_or("", |peer| peer.as_str());
            let source_fits = peer == from.peer.as_ref().map_or("", |peer| peer.as_str())
                && s.partition.as_str() == from.partition.as_str()
                && fits(s.namespace.as_str(), from.namespace.as_str())
                && fits(s.name.as_str(), from.name.as_str());
            if !source_fits {
                continue;
            }
            let wild =
                [s.namespace.as_str(), s.name.as_str()].into_iter().filter(|part| is_star(part)).count();
            rows.push(Row {
                entry: e,
                index: i,
                precedence: top(entry) - wild as u8,
                key: [
                    peer,
                    s.partition.as_str(),
                    s.namespace.as_str(),
                    s.name.as_str(),
                    d.partition.as_str(),
                    d.namespace.as_str(),
                    d.name.as_str(),
                ],
                decision: &one.decision,
            });
        }
    }
    rows.sort_by(|a, b| b.precedence.cmp(&a.precedence).then_with(|| a.key.cmp(&b.key)));
    rows
}

/// Who decides, and how.
pub(crate) fn decide(
    entries: &[ServiceIntentions],
    from: &ServiceRef,
    to: &ServiceRef,
    default: Action,
) -> Answer {
    match rows(entries, from, to).first() {
        None => Answer { allowed: default == Action::Allow && !token_demanded(entries, to, 0), by: None },
        Some(row) => {
            let allows = *row.decision == Decision::Connection(Action::Allow);
            let allowed = allows && !token_demanded(entries, to, top(&entries[row.entry]));
            Answer { allowed, by: Some((row.entry, row.index)) }
        }
    }
}

/// Everything that covers the pair, in order.
pub(crate) fn covering(
    entries: &[ServiceIntentions],
    from: &ServiceRef,
    to: &ServiceRef,
) -> Vec<(usize, usize)> {
    rows(entries, from, to).iter().map(|row| (row.entry, row.index)).collect()
}
