//! One request of a run.

/// The owner of the token which a request bears.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Who {
    /// The management token.
    Root,
    /// May read all services and nodes.
    Reader,
    /// May write one service, read another, and not see the rest.
    Limited,
    /// Has a token without policies.
    Bare,
    /// Has a token which does not exist.
    Unknown,
    /// Has no token.
    Nobody,
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// The method and the endpoint without names, by which differences are grouped.
    pub(super) pattern: String,
    pub(super) method: &'static str,
    /// Path and query. `{intention:3}` stands for the id of an object which an earlier request created.
    pub(super) target: String,
    pub(super) who: Who,
    pub(super) body: Option<String>,
    /// What is unusual about the request; empty if nothing is.
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

    /// The same request with one more parameter, which is already escaped.
    pub(super) fn with_query(mut self, text: &str) -> Self {
        self.target.push(if self.target.contains('?') { '&' } else { '?' });
        self.target.push_str(text);
        self
    }
}
