//! Flags as data: the flags that a command declares, and the values that were given. `args` parses them.

use std::collections::BTreeMap;
use std::time::Duration;

use concord_syntax::duration;

/// One flag of a command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The text that stands for the value in the help.
    pub(crate) placeholder: &'static str,
    /// The default value; empty: none.
    pub(crate) default: &'static str,
    pub(crate) variable: Variable,
    /// The allowed values; empty: any.
    pub(crate) choices: &'static [&'static str],
    pub(crate) help: &'static str,
    /// The missing function on which the flag depends; empty: the flag works. A user who gives the flag is told this
    /// text.
    pub(crate) unbuilt: &'static str,
}

/// The type of a flag's value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Given or not; a value only after `=`.
    Switch,
    /// Any text; the last one counts.
    Text,
    /// A whole number.
    Integer,
    /// A whole number that is not negative.
    Unsigned,
    /// A duration in Go's notation.
    Duration,
    /// Any text; may be repeated.
    List,
    /// `key=value`; may be repeated.
    Pairs,
}

/// The environment variable that is used if a flag is missing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Variable {
    None,
    /// `CONCORD_<name>`, or else `CONSUL_<name>`.
    Product(&'static str),
    /// Exactly this name.
    Exact(&'static str),
}

/// The source of a value; the later one wins.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Origin {
    ConsulVariable,
    ConcordVariable,
    CommandLine,
}

/// The values given to a command.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    flags: Vec<Flag>,
    given: BTreeMap<&'static str, Given>,
    /// How many values have been set.
    set: usize,
    /// The arguments after the flags.
    pub(crate) arguments: Vec<String>,
}

#[derive(Clone, Debug)]
struct Given {
    values: Vec<String>,
    /// For each value, how many values of any flag came before it.
    places: Vec<usize>,
    origin: Origin,
}

// === impl Flag ===

impl Flag {
    const fn new(name: &'static str, kind: Kind, placeholder: &'static str, help: &'static str) -> Self {
        Self {
            name,
            kind,
            placeholder,
            default: "",
            variable: Variable::None,
            choices: &[],
            help,
            unbuilt: "",
        }
    }

    pub(crate) const fn switch(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Switch, "", help)
    }

    pub(crate) const fn text(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Text, "<string>", help)
    }

    pub(crate) const fn integer(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Integer, "<int>", help)
    }

    pub(crate) const fn unsigned(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Unsigned, "<uint>", help)
    }

    pub(crate) const fn duration(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Duration, "<duration>", help)
    }

    pub(crate) const fn list(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::List, "<value>", help)
    }

    pub(crate) const fn pairs(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Pairs, "<key=value>", help)
    }

    pub(crate) const fn default(mut self, value: &'static str) -> Self {
        self.default = value;
        self
    }

    pub(crate) const fn placeholder(mut self, placeholder: &'static str) -> Self {
        self.placeholder = placeholder;
        self
    }

    pub(crate) const fn variable(mut self, variable: Variable) -> Self {
        self.variable = variable;
        self
    }

    pub(crate) const fn choices(mut self, choices: &'static [&'static str]) -> Self {
        self.choices = choices;
        self
    }

    /// A flag of Consul's that has no effect yet, for this reason.
    pub(crate) const fn unbuilt(mut self, why: &'static str) -> Self {
        self.unbuilt = why;
        self
    }

    /// Checks a value. Errors have the wording of Go's flag package.
    pub(crate) fn check(&self, value: &str) -> Result<(), String> {
        let parses = match self.kind {
            Kind::Switch => parse_bool(value).is_some(),
            Kind::Integer => value.parse::<i64>().is_ok(),
            Kind::Unsigned => value.parse::<u64>().is_ok(),
            Kind::Duration => duration::parse(value).is_ok(),
            Kind::Pairs => {
                return match value.split_once('=') {
                    Some((key, _)) if !key.is_empty() => Ok(()),
                    _ => Err("expected key=value".to_owned()),
                };
            }
            Kind::Text | Kind::List => true,
        };
        if !parses {
            return Err("parse error".to_owned());
        }
        if !self.choices.is_empty() && !self.choices.contains(&value) {
            return Err(format!("expected {}", self.choices.join(" or ")));
        }
        Ok(())
    }

    fn repeats(&self) -> bool {
        matches!(self.kind, Kind::List | Kind::Pairs)
    }
}

/// Go's `strconv.ParseBool`.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

// === impl Values ===

impl Values {
    pub(crate) fn new(flags: Vec<Flag>) -> Self {
        Self { flags, given: BTreeMap::new(), set: 0, arguments: Vec::new() }
    }

    pub(crate) fn flags(&self) -> &[Flag] {
        &self.flags
    }

    pub(crate) fn find(&self, name: &str) -> Option<Flag> {
        self.flags.iter().find(|flag| flag.name == name).copied()
    }

    /// Stores a checked value.
    pub(crate) fn set(&mut self, flag: &Flag, value: String, origin: Origin) {
        let none = || Given { values: Vec::new(), places: Vec::new(), origin };
        let given = self.given.entry(flag.name).or_insert_with(none);
        if given.origin < origin || !flag.repeats() {
            given.values.clear();
            given.places.clear();
        }
        given.origin = origin;
        given.values.push(value);
        given.places.push(self.set);
        self.set += 1;
    }

    /// The source of the flag's value, if the flag or its variable was given.
    pub(crate) fn origin(&self, name: &str) -> Option<Origin> {
        self.given(name).map(|given| given.origin)
    }

    /// The given value, if there is one.
    pub(crate) fn optional(&self, name: &str) -> Option<&str> {
        self.given(name).and_then(|given| given.values.last()).map(String::as_str)
    }

    /// The given value, or the flag's default, which may be empty.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.optional(name).unwrap_or_else(|| self.declared(name).default)
    }

    pub(crate) fn switch(&self, name: &str) -> bool {
        parse_bool(self.text(name)).unwrap_or(false)
    }

    pub(crate) fn unsigned(&self, name: &str) -> Option<u64> {
        self.optional(name).map(|value| value.parse().expect("the value was checked when it was set"))
    }

    pub(crate) fn integer(&self, name: &str) -> Option<i64> {
        self.optional(name).map(|value| value.parse().expect("the value was checked when it was set"))
    }

    pub(crate) fn duration(&self, name: &str) -> Option<Duration> {
        self.optional(name)
            .map(|value| duration::parse(value).expect("the value was checked when it was set"))
    }

    pub(crate) fn list(&self, name: &str) -> &[String] {
        self.given(name).map_or(&[], |given| &given.values)
    }

    /// The values of several repeated flags, in their order on the command line.
    pub(crate) fn in_order(&self, names: &[&str]) -> Vec<&str> {
        let given = names.iter().filter_map(|name| self.given(name));
        let mut all: Vec<_> = given.flat_map(|given| given.places.iter().zip(&given.values)).collect();
        all.sort();
        all.into_iter().map(|(_, value)| value.as_str()).collect()
    }

    /// The given pairs; if a key is repeated, its last value counts.
    pub(crate) fn pairs(&self, name: &str) -> BTreeMap<String, String> {
        let pairs = self.list(name).iter().filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    fn given(&self, name: &str) -> Option<&Given> {
        self.given.get(self.declared(name).name)
    }

    fn declared(&self, name: &str) -> Flag {
        self.find(name).expect("a command reads only flags that its table declares")
    }
}
