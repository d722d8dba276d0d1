//! One request of a run.

/// Whose token a request bears.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Who {
    /// Management.
    Root,
    /// May read services and nodes.
    Reader,
    /// May write one service, read another, and not see the rest.
    Limited,
    /// A token without any policy.
    Bare,
    /// A token nobody has.
    Unknown,
    /// No token.
    Nobody,
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// What differences are grouped by: the endpoint, without names.
    pub(super) pattern: String,
    pub(super) method: &'static str,
    /// Path and query; `{intention:3}` stands for the id of something made before.
    pub(super) target: String,
    pub(super) who: Who,
    pub(super) body: Option<String>,
    /// What is unusual about it; empty if nothing is.
    pub(super) odd: String,
}

impl Request {
    pub(super) fn new(method: &'static str, pattern: &str, path: impl Into<String>) -> Self {
        Self {
            pattern: format!("{method} {pattern}"),
            method,
            target: path.into(),
            who: Who::Root,
            body: None,
            odd: String::new(),
        }
    }

    pub(super) fn with_body(mut self, body: impl ToString) -> Self {
        self.body = Some(body.to_string());
        self
    }

    pub(super) fn with_odd(mut self, odd: impl AsRef<str>) -> Self {
        if !odd.as_ref().is_empty() {
            if !self.odd.is_empty() {
                self.odd.push_str(", ");
            }
            self.odd.push_str(odd.as_ref());
        }
        self
    }

    /// The same with one more parameter; `text` is escaped already.
    pub(super) fn with_query(mut self, text: &str) -> Self {
        self.target.push(if self.target.contains('?') { '&' } else { '?' });
        self.target.push_str(text);
        self
    }
}
