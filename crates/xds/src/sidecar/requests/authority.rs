//! Conditions on the authority, which Envoy has as it was sent.

use concord_envoy_proto::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use concord_mesh::request::{AuthorityText, is_whole_pattern};
use concord_model::intention::{HeaderMatch, HeaderValueMatch};

use super::test::{Judged, Test};
use super::text::{matcher, of, spelled};
use crate::sidecar::tls::regex;

const NAME: &str = ":authority";

/// What a condition says, before it is inverted. Every request has an authority.
pub(super) fn judged(own: &HeaderMatch) -> Judged {
    match &own.value {
        HeaderValueMatch::Present => Judged::clear(Test::Always),
        HeaderValueMatch::Exact(text) => equal(text),
        HeaderValueMatch::Regex(pattern) if !is_whole_pattern(pattern) => Judged::UNCLEAR,
        HeaderValueMatch::Regex(_) => if_canonical(own, "a-z0-9"),
        HeaderValueMatch::Prefix(_) | HeaderValueMatch::Suffix(_) | HeaderValueMatch::Contains(_) => {
            if_canonical(own, "A-Za-z0-9")
        }
    }
}

/// In any case, with or without the final dot and the default port. Another port is unclear unless it is named.
fn equal(text: &str) -> Judged {
    let Some(AuthorityText { host, port }) = AuthorityText::parse(text) else {
        return Judged::clear(Test::Never);
    };
    let host = spelled(&host, true);
    let with = |port: &str| Test::header(NAME, regex(format!(r"{host}\.?{port}")));
    match port {
        Some(port) => Judged::clear(with(&format!(":{port}"))),
        None => Judged { sure: with("(?::(?:80|443)?)?"), maybe: with("(?::[0-9]*)?") },
    }
}

/// A part of an authority is compared only if the authority is sent in its canonical form, without a port.
fn if_canonical(own: &HeaderMatch, letters: &str) -> Judged {
    let named = format!(r"[{letters}\-._~]*[{letters}\-_~]|\[[0-9A-Fa-f:.]+\]");
    let is_canonical = Test::header(NAME, regex(named));
    let ignoring =
        HeaderMatch { ignore_case: !matches!(own.value, HeaderValueMatch::Regex(_)), ..own.clone() };
    let matches = matcher(&ignoring).map_or(Test::Always, |matcher| Test::header(NAME, matcher));
    Judged {
        sure: Test::all([is_canonical.clone(), matches.clone()]),
        maybe: Test::any([is_canonical.not(), matches]),
    }
}

/// The methods. In another case they are unclear.
pub(super) fn methods(methods: &[String]) -> Judged {
    let test = |ignore: bool| {
        let one = |own: &String| Test::header(":method", of(MatchPattern::Exact(own.clone()), ignore));
        Test::any(methods.iter().map(one))
    };
    Judged { sure: test(false), maybe: test(true) }
}
