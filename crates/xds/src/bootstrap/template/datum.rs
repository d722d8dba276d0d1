//! A value of a template.

/// A value of a template.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Datum {
    Text(String),
    Truth(bool),
    Number(i64),
    List(Vec<String>),
}

impl Datum {
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Text(text) => !text.is_empty(),
            Self::Truth(truth) => *truth,
            Self::Number(number) => *number != 0,
            Self::List(list) => !list.is_empty(),
        }
    }

    pub(super) fn printed(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Truth(truth) => truth.to_string(),
            Self::Number(number) => number.to_string(),
            Self::List(list) => format!("[{}]", list.join(" ")),
        }
    }
}
