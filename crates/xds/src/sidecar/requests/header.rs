//! Conditions on headers.
//!
//! Where a header has several values, a condition on values never holds for certain, and may hold if it does for one of
//! them. The classes tell whether one has several. Older Envoys then compare all lines joined by commas, newer ones each
//! line alone; what is asked here gives the same answer for both.

use concord_mesh::request::is_whole_pattern;
use concord_model::intention::{HeaderMatch, HeaderValueMatch};

use super::authority;
use super::class::{HeaderClass, PathClass};
use super::test::{Judged, Test};
use super::text::{matcher, spelled};
use crate::sidecar::tls::regex;

/// How many spellings of a name are looked at: each `-` may be `_`. Names with more need a mesh that refuses `_`.
pub(super) const SPELLINGS_MAX: usize = 16;

/// What a condition looks at.
enum Subject {
    Header,
    Authority,
    Method,
    Path,
    /// A name with a colon that means nothing here.
    Nothing,
}

impl Subject {
    fn of(own: &HeaderMatch) -> Self {
        match own.name.to_ascii_lowercase().as_str() {
            "host" | ":authority" => Self::Authority,
            ":method" => Self::Method,
            ":path" => Self::Path,
            other if other.starts_with(':') => Self::Nothing,
            _ => Self::Header,
        }
    }
}

/// What a condition says about the requests of a class.
pub(super) fn judged(own: &HeaderMatch, path: PathClass, class: HeaderClass) -> Judged {
    let plain = match Subject::of(own) {
        Subject::Header => return of_header(own, class),
        Subject::Authority => authority::judged(own),
        Subject::Method => of_value(":method", own),
        Subject::Path if path == PathClass::Clear => of_path(own),
        Subject::Path => Judged::UNCLEAR,
        Subject::Nothing => return Judged::UNCLEAR,
    };
    if own.invert { plain.inverted() } else { plain }
}

/// The spellings of the header whose values a condition looks at: the exact one first.
pub(super) fn spellings(own: &HeaderMatch) -> Vec<String> {
    let is_asked = matches!(Subject::of(own), Subject::Header);
    if is_asked { spellings_of(&own.name) } else { Vec::new() }
}

/// Whether a name has more spellings than are looked at.
pub(super) fn is_spelled_too_often(own: &HeaderMatch) -> bool {
    matches!(Subject::of(own), Subject::Header) && 1 << signs(&own.name).min(63) > SPELLINGS_MAX
}

fn signs(name: &str) -> usize {
    name.matches(['-', '_']).count()
}

fn spellings_of(name: &str) -> Vec<String> {
    let name = name.to_ascii_lowercase();
    if 1 << signs(&name).min(63) > SPELLINGS_MAX {
        return vec![name];
    }
    let mut all = vec![String::new()];
    for own in name.chars() {
        let other = match own {
            '-' => Some('_'),
            '_' => Some('-'),
            _ => None,
        };
        let spelled = |sign: char| all.iter().map(move |text| format!("{text}{sign}")).collect::<Vec<_>>();
        let others = other.map(spelled).unwrap_or_default();
        all = spelled(own);
        all.extend(others);
    }
    all
}

fn of_header(own: &HeaderMatch, class: HeaderClass) -> Judged {
    let names = spellings_of(&own.name);
    let present = Test::present(&names[0]);
    let some = Test::any(names.iter().map(|name| Test::present(name)));
    if own.value == HeaderValueMatch::Present {
        let plain = Judged { sure: present, maybe: some };
        return if own.invert { plain.inverted() } else { plain };
    }
    let (any, all) = match (class, is_broken(&own.value)) {
        (HeaderClass::Odd, _) | (_, true) => (some, Test::Never),
        (HeaderClass::Single, false) => {
            let matches = |name: &String| value(name, own);
            let absent_or = |name: &String| Test::any([Test::present(name).not(), matches(name)]);
            let (any, all) = (Test::any(names.iter().map(matches)), Test::all(names.iter().map(absent_or)));
            if spans(&own.value) {
                // A backend may join the values of two spellings.
                let two = two_of(&names);
                (Test::any([any, two.clone()]), Test::all([all, two.not()]))
            } else {
                (any, all)
            }
        }
        (HeaderClass::Several, false) => (Test::any(names.iter().map(|name| one_of(name, own))), Test::Never),
    };
    let all = Test::all([present.clone(), all]);
    if own.invert {
        Judged { sure: Test::all([present, any.not()]), maybe: all.not() }
    } else {
        Judged { sure: all, maybe: any }
    }
}

/// Whether a condition could hold for values that are joined by commas and for none of them.
fn spans(own: &HeaderValueMatch) -> bool {
    match own {
        HeaderValueMatch::Present => false,
        HeaderValueMatch::Exact(text)
        | HeaderValueMatch::Prefix(text)
        | HeaderValueMatch::Suffix(text)
        | HeaderValueMatch::Contains(text) => text.contains(','),
        HeaderValueMatch::Regex(pattern) => may_span(pattern),
    }
}

/// Whether two of these headers are there.
fn two_of(names: &[String]) -> Test {
    let present = |name: &String| Test::present(name);
    let pairs = names
        .iter()
        .enumerate()
        .map(|(at, name)| Test::all([present(name), Test::any(names[at + 1..].iter().map(present))]));
    Test::any(pairs)
}

fn is_broken(own: &HeaderValueMatch) -> bool {
    matches!(own, HeaderValueMatch::Regex(pattern) if !is_whole_pattern(pattern))
}

/// A condition on a value that is there once.
fn of_value(name: &str, own: &HeaderMatch) -> Judged {
    if is_broken(&own.value) { Judged::UNCLEAR } else { Judged::clear(value(name, own)) }
}

/// The path with its query, and without.
fn of_path(own: &HeaderMatch) -> Judged {
    if is_broken(&own.value) {
        return Judged::UNCLEAR;
    }
    let tests = [value(":path", own), matcher(own).map_or(Test::Always, Test::path)];
    Judged { sure: Test::all(tests.clone()), maybe: Test::any(tests) }
}

fn value(name: &str, own: &HeaderMatch) -> Test {
    matcher(own).map_or_else(|| Test::present(name), |matcher| Test::header(name, matcher))
}

/// Whether a line matches, or a member of a list, or lines that are joined by commas.
fn one_of(name: &str, own: &HeaderMatch) -> Test {
    let (before, after) = (r"(?:\C*,)?[ \t]*", r"[ \t]*(?:,\C*)?");
    let ignore = own.ignore_case;
    let patterns: Vec<_> = match &own.value {
        HeaderValueMatch::Present => return Test::present(name),
        HeaderValueMatch::Exact(text) => {
            let own = format!("{before}{}{after}", spelled(text, ignore));
            [own].into_iter().chain(beginnings(text).map(|part| spelled(part, ignore))).collect()
        }
        HeaderValueMatch::Prefix(text) => {
            let own = format!(r"{before}{}\C*", spelled(text, ignore));
            [own].into_iter().chain(beginnings(text).map(|part| spelled(part, ignore))).collect()
        }
        HeaderValueMatch::Suffix(text) => {
            let own = format!(r"\C*{}{after}", spelled(text, ignore));
            [own].into_iter().chain(endings(text).map(|part| spelled(part, ignore))).collect()
        }
        HeaderValueMatch::Contains(text) => {
            let own = format!(r"\C*{}\C*", spelled(text, ignore));
            [own]
                .into_iter()
                .chain(beginnings(text).map(|part| format!(r"\C*{}", spelled(part, ignore))))
                .collect()
        }
        HeaderValueMatch::Regex(pattern) if may_span(pattern) => return Test::present(name),
        HeaderValueMatch::Regex(pattern) => vec![format!("{before}(?:{pattern}){after}")],
    };
    // In brackets, because Envoy refuses an empty expression.
    Test::any(patterns.into_iter().map(|pattern| Test::header(name, regex(format!("(?:{pattern})")))))
}

/// What may end a line if the text goes on in the next one.
fn beginnings(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(',').map(|(at, _)| text[..at].trim_end_matches([' ', '\t']))
}

/// What may begin a line if the text began in the one before.
fn endings(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(',').map(|(at, _)| text[at + 1..].trim_start_matches([' ', '\t']))
}

/// Whether an expression could match lines that are joined by commas where it matches none of them. What stands
/// between `.*` at both ends lies within one line if it can match no comma.
fn may_span(pattern: &str) -> bool {
    let alternates = pattern.contains('|');
    let inner = if alternates { pattern } else { pattern.strip_prefix(".*").unwrap_or(pattern) };
    let inner = if alternates { inner } else { inner.strip_suffix(".*").unwrap_or(inner) };
    let named = |own: char| own.is_ascii_alphanumeric() || "-_/|()?*+{}:=@ ".contains(own);
    !inner.chars().all(named) || inner.contains("(?")
}
