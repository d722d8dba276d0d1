//! Matchers of texts.

use concord_envoy_proto::envoy::r#type::matcher::v3::StringMatcher;
use concord_envoy_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use concord_model::intention::{HeaderMatch, HeaderValueMatch};

use crate::names::quoted;
use crate::sidecar::tls::regex;

pub(super) fn of(match_pattern: MatchPattern, ignore_case: bool) -> StringMatcher {
    StringMatcher { match_pattern: Some(match_pattern), ignore_case }
}

pub(super) fn exact(text: &str) -> StringMatcher {
    of(MatchPattern::Exact(text.to_owned()), false)
}

pub(super) fn prefix(text: &str) -> StringMatcher {
    of(MatchPattern::Prefix(text.to_owned()), false)
}

/// The matcher of a single value; `None`: every value matches.
pub(super) fn matcher(own: &HeaderMatch) -> Option<StringMatcher> {
    let part = |make: fn(String) -> MatchPattern, text: &String| {
        (!text.is_empty()).then(|| of(make(text.clone()), own.ignore_case))
    };
    match &own.value {
        HeaderValueMatch::Present => None,
        HeaderValueMatch::Exact(text) => Some(of(MatchPattern::Exact(text.clone()), own.ignore_case)),
        HeaderValueMatch::Prefix(own) => part(MatchPattern::Prefix, own),
        HeaderValueMatch::Suffix(own) => part(MatchPattern::Suffix, own),
        HeaderValueMatch::Contains(own) => part(MatchPattern::Contains, own),
        HeaderValueMatch::Regex(own) => Some(whole(own)),
    }
}

/// An expression of the user for the whole text.
pub(super) fn whole(pattern: &str) -> StringMatcher {
    regex(format!("(?:{pattern})"))
}

/// A text as an expression, perhaps without regard to the case of ASCII letters.
pub(super) fn spelled(text: &str, ignore_case: bool) -> String {
    let one = |own: char| {
        if ignore_case && own.is_ascii_alphabetic() {
            format!("[{}{}]", own.to_ascii_uppercase(), own.to_ascii_lowercase())
        } else {
            quoted(&own.to_string())
        }
    };
    text.chars().map(one).collect()
}
