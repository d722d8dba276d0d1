//! Conditions of permissions as Envoy's rules, put together by and, or and not.

use concord_envoy_proto::envoy::config::rbac::v3::Permission;
use concord_envoy_proto::envoy::config::rbac::v3::permission::{Rule, Set};
use concord_envoy_proto::envoy::config::route::v3::HeaderMatcher;
use concord_envoy_proto::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use concord_envoy_proto::envoy::r#type::matcher::v3::path_matcher::Rule as PathRule;
use concord_envoy_proto::envoy::r#type::matcher::v3::{PathMatcher, StringMatcher};
use concord_model::intention::Action;

/// How often actions may alternate in one nested rule. Envoy refuses messages that are nested too deeply.
const ALTERNATIONS_MAX: usize = 8;

/// What Envoy can ask of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    Always,
    Never,
    One(Box<Rule>),
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
}

impl Test {
    pub(super) fn one(rule: Rule) -> Self {
        Self::One(Box::new(rule))
    }

    /// The path, without the query.
    pub(super) fn path(matcher: StringMatcher) -> Self {
        Self::one(Rule::UrlPath(PathMatcher { rule: Some(PathRule::Path(matcher)) }))
    }

    /// A value of a header. A header that is not there has none.
    pub(super) fn header(name: &str, matcher: StringMatcher) -> Self {
        Self::of_header(name, HeaderMatchSpecifier::StringMatch(matcher))
    }

    /// Whether a header is there.
    pub(super) fn present(name: &str) -> Self {
        Self::of_header(name, HeaderMatchSpecifier::PresentMatch(true))
    }

    fn of_header(name: &str, specifier: HeaderMatchSpecifier) -> Self {
        let (name, header_match_specifier) = (name.to_owned(), Some(specifier));
        Self::one(Rule::Header(HeaderMatcher { name, header_match_specifier, ..HeaderMatcher::default() }))
    }

    pub(super) fn all(tests: impl IntoIterator<Item = Self>) -> Self {
        let mut kept = Vec::new();
        for test in tests {
            match test {
                Self::Always => {}
                Self::Never => return Self::Never,
                Self::All(inner) => inner.into_iter().for_each(|one| push_new(&mut kept, one)),
                other => push_new(&mut kept, other),
            }
        }
        match kept.len() {
            0 => Self::Always,
            1 => kept.remove(0),
            _ => Self::All(kept),
        }
    }

    pub(super) fn any(tests: impl IntoIterator<Item = Self>) -> Self {
        let mut kept = Vec::new();
        for test in tests {
            match test {
                Self::Never => {}
                Self::Always => return Self::Always,
                Self::Any(inner) => inner.into_iter().for_each(|one| push_new(&mut kept, one)),
                other => push_new(&mut kept, other),
            }
        }
        match kept.len() {
            0 => Self::Never,
            1 => kept.remove(0),
            _ => Self::Any(kept),
        }
    }

    pub(super) fn not(self) -> Self {
        match self {
            Self::Always => Self::Never,
            Self::Never => Self::Always,
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    pub(super) fn permission(self) -> Permission {
        let set = |tests: Vec<Self>| Set { rules: tests.into_iter().map(Self::permission).collect() };
        let rule = match self {
            Self::Always => Rule::Any(true),
            Self::Never => Rule::NotRule(Box::new(Self::Always.permission())),
            Self::One(rule) => *rule,
            Self::All(tests) => Rule::AndRules(set(tests)),
            Self::Any(tests) => Rule::OrRules(set(tests)),
            Self::Not(test) => Rule::NotRule(Box::new(test.permission())),
        };
        Permission { rule: Some(rule) }
    }
}

fn push_new(kept: &mut Vec<Test>, test: Test) {
    if !kept.contains(&test) {
        kept.push(test);
    }
}

/// What a condition says about a request: it holds for certain, or it may hold.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judged {
    pub(super) sure: Test,
    pub(super) maybe: Test,
}

impl Judged {
    /// It may hold, and never does for certain.
    pub(super) const UNCLEAR: Self = Self { sure: Test::Never, maybe: Test::Always };

    /// Every reader gives the same answer.
    pub(super) fn clear(test: Test) -> Self {
        Self { sure: test.clone(), maybe: test }
    }

    pub(super) fn inverted(self) -> Self {
        Self { sure: self.maybe.not(), maybe: self.sure.not() }
    }

    pub(super) fn all(own: Vec<Self>) -> Self {
        let (sure, maybe) = own.into_iter().map(|one| (one.sure, one.maybe)).unzip::<_, _, Vec<_>, Vec<_>>();
        Self { sure: Test::all(sure), maybe: Test::all(maybe) }
    }

    pub(super) fn any(own: Vec<Self>) -> Self {
        let (sure, maybe) = own.into_iter().map(|one| (one.sure, one.maybe)).unzip::<_, _, Vec<_>, Vec<_>>();
        Self { sure: Test::any(sure), maybe: Test::any(maybe) }
    }
}

/// The requests that a list of permissions allows: the first that applies decides, and without one the `default`.
///
/// An allow permission applies if it holds for certain, a deny permission if it may hold.
pub(super) fn allowed(list: &[(Action, Judged)], default: Test) -> Test {
    let alternations = list.windows(2).filter(|pair| pair[0].0 != pair[1].0).count();
    if alternations > ALTERNATIONS_MAX {
        let (first, rest) = list.split_at(list.len() / 2);
        let left_over = Test::all([allowed(first, Test::Always), allowed(rest, default)]);
        return Test::any([allowed(first, Test::Never), left_over]);
    }
    list.iter().rev().fold(default, |rest, (action, own)| match action {
        Action::Allow => Test::any([own.sure.clone(), rest]),
        Action::Deny => Test::all([own.maybe.clone().not(), rest]),
    })
}
