//! The lines of headers.

use concord_model::entry::Underscores;

use super::refusal::Refusal;

/// A line of a header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header<'a> {
    /// The name, in any case.
    pub name: &'a str,
    /// The value.
    pub value: &'a [u8],
}

/// The headers of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Headers<'a> {
    pub(super) all: &'a [Header<'a>],
    /// Whether headers with an underscore in their name are left out.
    pub(super) drop_underscores: bool,
}

/// Refuses headers that a proxy must not forward.
pub(super) fn check(headers: &[Header<'_>], underscores: Underscores) -> Result<(), Refusal> {
    for header in headers {
        if header.name.is_empty() || !header.name.bytes().all(|byte| NAMED[usize::from(byte)]) {
            return Err(Refusal::HeaderName);
        }
        if header.value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
            return Err(Refusal::HeaderValue { name: header.name.to_owned() });
        }
        if underscores == Underscores::Reject && header.name.contains('_') {
            return Err(Refusal::Underscore { name: header.name.to_owned() });
        }
    }
    Ok(())
}

/// The characters of a token (RFC 9110 §5.6.2).
const NAMED: [bool; 256] = {
    let mut named = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        named[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let signs = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < signs.len() {
        named[signs[at] as usize] = true;
        at += 1;
    }
    named
};

/// A character of a name as the least exact backends read it: in lower case, with `-` for `_`.
pub(super) fn folded(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }
}

fn is_like(name: &str, wanted: &str) -> bool {
    name.len() == wanted.len() && name.bytes().zip(wanted.bytes()).all(|(a, b)| folded(a) == folded(b))
}

impl<'a> Headers<'a> {
    /// The lines of headers whose name is like this one, and whether it is exactly this one.
    pub(super) fn like(self, wanted: &str) -> impl Iterator<Item = (&'a [u8], bool)> {
        self.kept()
            .filter(move |header| is_like(header.name, wanted))
            .map(move |header| (trimmed(header.value), header.name.eq_ignore_ascii_case(wanted)))
    }

    /// The headers that are not left out.
    pub(super) fn kept(self) -> impl Iterator<Item = &'a Header<'a>> {
        self.all.iter().filter(move |header| !self.drop_underscores || !header.name.contains('_'))
    }
}

pub(super) fn trimmed(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let begin = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(begin, |last| last + 1);
    &value[begin..end]
}

/// The members of a value that is a list.
pub(super) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_list = value.contains(&b',');
    value.split(|byte| *byte == b',').filter(move |_| is_list).map(trimmed)
}
