//! Differences that are meant, each with its reason; those that users can meet stand in docs/differences.md.

use super::request::Request;

/// A difference that is meant. In its texts `*` stands for anything.
#[derive(Debug)]
pub(super) struct Known {
    /// Method and endpoint.
    endpoint: &'static str,
    /// The kind of difference.
    what: &'static str,
    /// What is unusual about the request.
    odd: &'static str,
    pub(super) reason: &'static str,
}

const KNOWN: &[Known] = &[];

/// The entry that names this difference.
pub(super) fn find(request: &Request, what: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| {
        fits(known.endpoint, &request.pattern) && fits(known.what, what) && fits(known.odd, &request.odd)
    })
}

/// Whether a text fits a pattern in which `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == text };
    let Some(rest) = text.strip_prefix(head) else { return false };
    (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| fits(tail, &rest[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_the_whole_text() {
        for (pattern, text, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b*", "abc", true),
            ("*b", "abc", false),
            ("*", "", true),
            ("GET *: x*", "GET /v1: xy", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }
}
