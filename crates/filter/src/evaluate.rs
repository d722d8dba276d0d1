//! Evaluates expressions on records.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::FilterError;
use super::expression::{Expression, Match, Operator};
use super::pattern::Pattern;

#[cfg(test)]
mod tests;

/// A record to which filters can be applied.
pub trait Selectable {
    /// The value of a selector, or `None` if the record type has no such selector. The path is not empty.
    ///
    /// The names are those of the record's JSON. Whether a selector exists must not depend on the particular record:
    /// for a key that a map does not have the answer is [`Selected::Absent`].
    fn select(&self, path: &[&str]) -> Option<Selected<'_>>;
}

/// The value of a selector.
#[derive(Clone, Debug, PartialEq)]
pub enum Selected<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// A whole list.
    List(Vec<Self>),
    /// A whole map, represented by its keys.
    Map(Vec<&'a str>),
    /// An object, which has no value of its own. It counts as an element of a list.
    Object,
    /// One value for each element of a list of objects. A match holds if it holds for one of the values.
    Each(Vec<Self>),
    /// A key that its map does not have. It equals nothing, contains nothing and is empty.
    Absent,
}

impl Expression {
    /// Whether a record satisfies the expression.
    pub fn matches(&self, record: &dyn Selectable) -> Result<bool, FilterError> {
        match self {
            Self::Or(parts) => any(parts, |part| part.matches(record)),
            Self::And(parts) => {
                any(parts, |part| part.matches(record).map(|holds| !holds)).map(|fails| !fails)
            }
            Self::Not(part) => part.matches(record).map(|holds| !holds),
            Self::Match(question) => question.matches(record),
        }
    }

    /// Evaluates all matches on a sample record, to find selectors and values that are wrong for every record, even if
    /// there is no record to filter. A record with default values is sufficient.
    pub fn check(&self, sample: &dyn Selectable) -> Result<(), FilterError> {
        match self {
            Self::Or(parts) | Self::And(parts) => parts.iter().try_for_each(|part| part.check(sample)),
            Self::Not(part) => part.check(sample),
            Self::Match(question) => question.matches(sample).map(drop),
        }
    }
}

fn any<T>(items: &[T], holds: impl Fn(&T) -> Result<bool, FilterError>) -> Result<bool, FilterError> {
    for item in items {
        if holds(item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Match {
    fn matches(&self, record: &dyn Selectable) -> Result<bool, FilterError> {
        let path: Vec<&str> = self.selector.path.iter().map(String::as_str).collect();
        match record.select(&path) {
            Some(selected) => self.holds(&selected),
            None => Err(FilterError::UnknownSelector { selector: self.selector.to_string() }),
        }
    }

    fn holds(&self, selected: &Selected<'_>) -> Result<bool, FilterError> {
        if let Selected::Each(values) = selected {
            return any(values, |value| self.holds(value));
        }
        match &self.operator {
            Operator::Equal(value) => self.equal(selected, value),
            Operator::NotEqual(value) => self.equal(selected, value).map(|equal| !equal),
            Operator::In(value) => self.contained(selected, value),
            Operator::NotIn(value) => self.contained(selected, value).map(|contained| !contained),
            Operator::Empty => self.empty(selected),
            Operator::NotEmpty => self.empty(selected).map(|empty| !empty),
            Operator::Matches(pattern) => self.matched(selected, pattern),
            Operator::NotMatches(pattern) => self.matched(selected, pattern).map(|matched| !matched),
        }
    }

    fn equal(&self, selected: &Selected<'_>, value: &str) -> Result<bool, FilterError> {
        let wrong = || FilterError::Value {
            value: value.to_owned(),
            selector: self.selector.to_string(),
            kind: selected.kind_name(),
        };
        match selected {
            Selected::Text(text) => Ok(text == value),
            Selected::Int(number) => value.parse::<i64>().map(|value| value == *number).map_err(|_| wrong()),
            Selected::Float(number) => {
                value.parse::<f64>().map(|value| value == *number).map_err(|_| wrong())
            }
            Selected::Bool(flag) => boolean(value).map(|value| value == *flag).ok_or_else(wrong),
            Selected::Absent => Ok(false),
            Selected::List(_) | Selected::Map(_) | Selected::Object | Selected::Each(_) => {
                Err(self.unsupported(selected))
            }
        }
    }

    fn contained(&self, selected: &Selected<'_>, value: &str) -> Result<bool, FilterError> {
        match selected {
            Selected::Text(text) => Ok(text.contains(value)),
            Selected::List(items) => any(items, |item| match item {
                Selected::Object | Selected::List(_) | Selected::Map(_) => Err(self.unsupported(selected)),
                item => self.equal(item, value),
            }),
            Selected::Map(keys) => Ok(keys.contains(&value)),
            Selected::Absent => Ok(false),
            Selected::Int(_)
            | Selected::Float(_)
            | Selected::Bool(_)
            | Selected::Object
            | Selected::Each(_) => Err(self.unsupported(selected)),
        }
    }

    fn empty(&self, selected: &Selected<'_>) -> Result<bool, FilterError> {
        match selected {
            Selected::Text(text) => Ok(text.is_empty()),
            Selected::List(items) => Ok(items.is_empty()),
            Selected::Map(keys) => Ok(keys.is_empty()),
            Selected::Absent => Ok(true),
            Selected::Int(_)
            | Selected::Float(_)
            | Selected::Bool(_)
            | Selected::Object
            | Selected::Each(_) => Err(self.unsupported(selected)),
        }
    }

    fn matched(&self, selected: &Selected<'_>, pattern: &Pattern) -> Result<bool, FilterError> {
        match selected {
            Selected::Text(text) => Ok(pattern.is_match(text)),
            Selected::Absent => Ok(false),
            Selected::Int(_)
            | Selected::Float(_)
            | Selected::Bool(_)
            | Selected::List(_)
            | Selected::Map(_)
            | Selected::Object
            | Selected::Each(_) => Err(self.unsupported(selected)),
        }
    }

    fn unsupported(&self, selected: &Selected<'_>) -> FilterError {
        FilterError::Unsupported {
            operator: self.operator.as_str(),
            selector: self.selector.to_string(),
            kind: selected.kind_name(),
        }
    }
}

/// Go's texts for true and false.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

// === impl Selected ===

impl Selected<'_> {
    fn kind_name(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Bool(_) => "true or false",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Object => "an object; select one of its fields",
            Self::Each(_) => "one value for each element",
            Self::Absent => "absent",
        }
    }
}

impl<'a> From<&'a str> for Selected<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a String> for Selected<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Selected<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<bool> for Selected<'_> {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<i64> for Selected<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u32> for Selected<'_> {
    fn from(number: u32) -> Self {
        Self::Int(i64::from(number))
    }
}

impl From<u16> for Selected<'_> {
    fn from(number: u16) -> Self {
        Self::Int(i64::from(number))
    }
}

impl From<f64> for Selected<'_> {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl<'a> From<&'a [String]> for Selected<'a> {
    fn from(items: &'a [String]) -> Self {
        Self::List(items.iter().map(Into::into).collect())
    }
}

impl<'a> From<&'a Vec<String>> for Selected<'a> {
    fn from(items: &'a Vec<String>) -> Self {
        items.as_slice().into()
    }
}

/// Resolves the rest of a path in a map of scalars: the map itself, the value of a key, or [`Selected::Absent`].
pub fn select_in_map<'a, V>(map: &'a BTreeMap<String, V>, rest: &[&str]) -> Option<Selected<'a>>
where
    &'a V: Into<Selected<'a>>,
{
    match rest {
        [] => Some(Selected::Map(map.keys().map(String::as_str).collect())),
        [key] => Some(map.get(*key).map_or(Selected::Absent, Into::into)),
        [_, _, ..] => None,
    }
}

/// Resolves the rest of a path in a list of records: the list itself, or the value of each record.
pub fn select_in_each<'a, T: Selectable + 'a>(
    items: impl IntoIterator<Item = &'a T>,
    rest: &[&str],
) -> Option<Selected<'a>> {
    let items = items.into_iter();
    if rest.is_empty() {
        return Some(Selected::List(items.map(|_| Selected::Object).collect()));
    }
    items.map(|item| item.select(rest)).collect::<Option<Vec<_>>>().map(Selected::Each)
}

impl<T: Selectable + ?Sized> Selectable for &T {
    fn select(&self, path: &[&str]) -> Option<Selected<'_>> {
        (**self).select(path)
    }
}
