//! One permission, compiled for decisions.

use concord_filter::Pattern;
use concord_model::intention::{Action, HttpPermission, JwtRequirement, PathMatch, Permission};

use super::canonical::Request;
use super::fit::Fit;
use super::verdict::{Condition, Tried};
use super::{header, path, token};

/// A compiled permission.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) action: Action,
    pub(super) methods: Vec<String>,
    pub(super) path: Option<PathTest>,
    pub(super) headers: Vec<header::Wanted>,
    pub(super) token: Option<JwtRequirement>,
}

/// A condition on the path.
#[derive(Debug)]
pub(super) enum PathTest {
    Exact(path::Wanted),
    Prefix(path::Wanted),
    Pattern(Pattern),
    /// An expression that cannot be compiled.
    Broken,
}

impl Compiled {
    pub(super) fn new(permission: &Permission) -> Self {
        let Permission { action, http, jwt } = permission;
        let HttpPermission { path, headers, methods } = http.clone().unwrap_or_default();
        Self {
            action: *action,
            methods,
            path: path.as_ref().map(PathTest::compile),
            headers: headers.iter().map(header::Wanted::compile).collect(),
            token: jwt.clone(),
        }
    }

    /// Asks the conditions one after another, until one says no.
    pub(super) fn tried(&self, permission: usize, request: &Request<'_>) -> Tried {
        let mut tried = Tried { permission, action: self.action, fit: Fit::Yes, condition: None };
        for (condition, fit) in self.conditions(request) {
            if fit < tried.fit {
                (tried.fit, tried.condition) = (fit, Some(condition));
            }
            if fit == Fit::No {
                break;
            }
        }
        tried
    }

    fn conditions(&self, request: &Request<'_>) -> impl Iterator<Item = (Condition, Fit)> {
        let methods = Some(&self.methods).filter(|methods| !methods.is_empty()).into_iter();
        let methods = methods.map(|methods| (Condition::Methods, method(methods, request.received.method)));
        let path = self.path.iter().map(|path| (Condition::Path, path.fit(request)));
        let headers = self.headers.iter().enumerate();
        let headers = headers.map(|(at, header)| (Condition::Header(at), header.fit(request)));
        let token =
            self.token.iter().map(|token| (Condition::Token, token::fit(token, request.received.tokens)));
        methods.chain(path).chain(headers).chain(token)
    }
}

fn method(wanted: &[String], method: &str) -> Fit {
    let exactly = wanted.iter().any(|one| one == method);
    Fit::of(exactly, exactly || wanted.iter().any(|one| one.eq_ignore_ascii_case(method)))
}

impl PathTest {
    fn compile(path: &PathMatch) -> Self {
        match path {
            PathMatch::Exact(text) => Self::Exact(path::Wanted::new(text, true)),
            PathMatch::Prefix(text) => Self::Prefix(path::Wanted::new(text, false)),
            PathMatch::Regex(text) => header::whole_pattern(text).map_or(Self::Broken, Self::Pattern),
        }
    }

    fn fit(&self, request: &Request<'_>) -> Fit {
        match self {
            Self::Exact(wanted) => wanted.fit(&request.path, |path, text| path == text),
            Self::Prefix(wanted) => wanted.fit(&request.path, |path, text| path.starts_with(text)),
            Self::Pattern(pattern) => request.path.fit(|path| pattern.is_match(path)),
            Self::Broken => Fit::Unclear,
        }
    }
}
