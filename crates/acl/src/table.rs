//! The rules of one labelled resource, prepared for look-up.
//!
//! Prefixes are sorted, and each has a link to the longest other prefix with which it starts. All texts that sort
//! between a prefix and a name that starts with it also start with it. So the longest prefix of a name is the last
//! prefix that does not sort after the name, or one that is reached from it by links.

use std::collections::HashMap;

use super::right::{Grant, Level};

#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    exact: HashMap<Box<str>, Grant>,
    /// The exact names again, sorted, to find all names with a prefix.
    names: Vec<Box<str>>,
    prefixes: Vec<Prefix>,
    weakest: Option<Grant>,
    strongest: Option<Grant>,
}

#[derive(Clone, Debug)]
struct Prefix {
    text: Box<str>,
    grant: Grant,
    extends: Option<usize>,
}

impl Table {
    pub(crate) fn new(
        exact: impl IntoIterator<Item = (Box<str>, Grant)>,
        prefixes: impl IntoIterator<Item = (Box<str>, Grant)>,
    ) -> Self {
        let exact: HashMap<_, _> = exact.into_iter().collect();
        let mut names: Vec<_> = exact.keys().cloned().collect();
        names.sort_unstable();
        let mut sorted: Vec<_> = prefixes.into_iter().collect();
        sorted.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let grants = || exact.values().chain(sorted.iter().map(|(_, grant)| grant)).copied();
        let rank = |grant: &Grant| match grant {
            Grant::Deny => None,
            Grant::Allow(level) => Some(*level),
        };
        let (weakest, strongest) = (grants().min_by_key(rank), grants().max_by_key(rank));
        Self { exact, names, prefixes: linked(sorted), weakest, strongest }
    }

    /// The decision of the most specific rule for a name.
    pub(crate) fn find(&self, name: &str) -> Option<Grant> {
        self.exact.get(name).copied().or_else(|| self.find_prefix(name))
    }

    /// Whether all names with this prefix are allowed. `None` if no rule covers them all.
    pub(crate) fn allows_under(&self, prefix: &str, level: Level) -> Option<bool> {
        let from = self.names.partition_point(|name| **name < *prefix);
        let names = self.names[from..].iter().take_while(|name| name.starts_with(prefix));
        let mut grants = names.map(|name| self.exact[name]);
        let from = self.prefixes.partition_point(|other| *other.text < *prefix);
        let longer = self.prefixes[from..].iter().take_while(|other| other.text.starts_with(prefix));
        let mut longer = longer.map(|other| other.grant);
        let refuses = |grant: Grant| !grant.allows(level);
        if grants.any(refuses) || longer.any(refuses) {
            return Some(false);
        }
        self.find_prefix(prefix).map(|grant| grant.allows(level))
    }

    /// Whether all names are allowed. `None` if no rule covers them all.
    pub(crate) fn allows_all(&self, level: Level) -> Option<bool> {
        match self.weakest {
            Some(grant) if !grant.allows(level) => Some(false),
            _ => self.speaks_for_all().then_some(true),
        }
    }

    /// Whether a rule allows at least one name. `None` if no rule does and no rule covers all names.
    pub(crate) fn allows_any(&self, level: Level) -> Option<bool> {
        match self.strongest {
            Some(grant) if grant.allows(level) => Some(true),
            _ => self.speaks_for_all().then_some(false),
        }
    }

    fn speaks_for_all(&self) -> bool {
        self.prefixes.first().is_some_and(|prefix| prefix.text.is_empty())
    }

    fn find_prefix(&self, name: &str) -> Option<Grant> {
        let mut index = self.prefixes.partition_point(|prefix| *prefix.text <= *name).checked_sub(1);
        while let Some(prefix) = index.map(|index| &self.prefixes[index]) {
            if name.starts_with(&*prefix.text) {
                return Some(prefix.grant);
            }
            index = prefix.extends;
        }
        None
    }
}

/// Links each of the sorted prefixes to the longest other prefix with which it starts.
fn linked(sorted: Vec<(Box<str>, Grant)>) -> Vec<Prefix> {
    let mut prefixes: Vec<Prefix> = Vec::with_capacity(sorted.len());
    for (text, grant) in sorted {
        let mut extends = prefixes.len().checked_sub(1);
        while let Some(index) = extends
            && !text.starts_with(&*prefixes[index].text)
        {
            extends = prefixes[index].extends;
        }
        prefixes.push(Prefix { text, grant, extends });
    }
    prefixes
}
