//! Classes of requests. Each class has rules of its own.
//!
//! What makes a request ambiguous is told once, by its class. So the rules of ordinary requests stay simple, and those
//! of ambiguous ones say only what holds for them. How a path may be read, Envoy finds by its routes: a request of no
//! class has no route, and is denied. What the headers have, it finds by the condition of a policy ([`condition`]).

use concord_envoy_proto::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use concord_envoy_proto::envoy::config::route::v3::route_match::PathSpecifier;
use concord_envoy_proto::envoy::config::route::v3::{HeaderMatcher, RouteMatch};
use concord_envoy_proto::envoy::r#type::matcher::v3::RegexMatcher;
use concord_envoy_proto::google::api::expr::v1alpha1::Expr;

use super::condition;
use crate::sidecar::tls::regex;

/// How a path may be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PathClass {
    /// All backends read it as it is.
    Clear,
    /// Some readers find dot segments in it.
    Climbing,
    /// It has escapes, parameters or several slashes in a row.
    Ambiguous,
}

/// What the headers have at whose values a rule looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum HeaderClass {
    /// Each has at most one value.
    Single,
    /// Some have several values: in lines, or in a list.
    Several,
    /// Some have characters beyond ASCII.
    Odd,
}

/// The classes in the order in which Envoy tries them. The last one takes what the others leave.
pub(super) fn paths(are_asked: bool) -> &'static [PathClass] {
    if are_asked {
        &[PathClass::Clear, PathClass::Climbing, PathClass::Ambiguous]
    } else {
        &[PathClass::Ambiguous]
    }
}

impl HeaderClass {
    pub(super) const ALL: [Self; 3] = [Self::Single, Self::Several, Self::Odd];

    /// The requests of this class.
    pub(super) fn condition(self, names: &[String]) -> Expr {
        use condition::{both, no_ascii, not, some, with_comma};
        let several = || some(names.iter().map(|name| with_comma(name)));
        let odd = || some(names.iter().map(|name| no_ascii(name)));
        match self {
            Self::Single => both(not(several()), not(odd())),
            Self::Several => both(several(), not(odd())),
            Self::Odd => odd(),
        }
    }
}

/// The requests whose paths are of this class.
pub(super) fn matching(path: PathClass) -> RouteMatch {
    RouteMatch {
        path_specifier: Some(PathSpecifier::SafeRegex(RegexMatcher { regex: path.regex() })),
        headers: vec![authority()],
        ..RouteMatch::default()
    }
}

/// An authority that is a host with an optional port.
fn authority() -> HeaderMatcher {
    let named = r"\.*[A-Za-z0-9\-_~][A-Za-z0-9\-._~]*";
    let pattern = format!(r"(?:{named}|\[[0-9A-Fa-f:.]+\])(?::[0-9]{{0,5}})?");
    let header_match_specifier = Some(HeaderMatchSpecifier::StringMatch(regex(pattern)));
    HeaderMatcher { name: ":authority".to_owned(), header_match_specifier, ..HeaderMatcher::default() }
}

/// A slash, also one that only some readers take for one.
pub(super) const SLASH: &str = r"(?:/|\\|%2[Ff]|%5[Cc])";
/// A character of a path without the slashes and without escapes.
const PLAIN: &str = r"[!-$&-.0-\[\]-~]";
/// A continuation of an escaped character of UTF-8.
const NEXT: &str = "%[89ABab][0-9A-Fa-f]";

/// A character of a path without the slashes: plain, or escaped and neither a control character nor broken UTF-8.
pub(super) fn character() -> String {
    let hex = "[0-9A-Fa-f]";
    [
        PLAIN.to_owned(),
        format!("%[346]{hex}|%2[0-9A-Ea-e]|%5[0-9ABD-Fabd-f]|%7[0-9A-Ea-e]"),
        format!("(?:%[Cc][2-9A-Fa-f]|%[Dd]{hex}){NEXT}"),
        format!("%[Ee]0%[ABab]{hex}{NEXT}|%[Ee](?:[1-9A-Ca-c]|[EFef]){NEXT}{NEXT}|%[Ee][Dd]%[89]{hex}{NEXT}"),
        format!("%[Ff]0%[9ABab]{hex}{NEXT}{NEXT}|%[Ff][1-3]{NEXT}{NEXT}{NEXT}|%[Ff]4%8{hex}{NEXT}{NEXT}"),
    ]
    .join("|")
}

impl PathClass {
    /// The paths of the class, but for those of the classes before it.
    fn regex(self) -> String {
        let (one, slash) = (format!("(?:{})", character()), SLASH);
        let any = format!("(?:{one}|{slash})*");
        match self {
            Self::Clear => {
                let named = r"A-Za-z0-9\-_~!$&'()*+,=:@";
                format!(r"/|(?:/[{named}][{named}.]*)+/?")
            }
            Self::Climbing => {
                let dot = r"(?:\.|%2[Ee])";
                format!("/(?:{any}{slash})?{dot}{{1,2}}(?:(?:;|%3[Bb]){one}*)?(?:{slash}{any})?")
            }
            Self::Ambiguous => format!("/{any}"),
        }
    }
}
