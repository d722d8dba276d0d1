//! Conditions on paths.

use concord_mesh::request::{LENIENCIES, Leniency, Parameters, PathTexts, is_whole_pattern};
use concord_model::entry::RequestNormalization;
use concord_model::intention::PathMatch;

use super::class::{PathClass, SLASH, character};
use super::test::{Judged, Test};
use super::text::{exact, prefix, whole};
use crate::names::quoted;
use crate::sidecar::tls::regex;

/// What a condition says about the paths of a class.
pub(super) fn judged(own: &PathMatch, class: PathClass, settings: &RequestNormalization) -> Judged {
    match (own, class) {
        (_, PathClass::Climbing) => Judged::UNCLEAR,
        (PathMatch::Regex(pattern), PathClass::Clear) if is_whole_pattern(pattern) => {
            Judged::clear(Test::path(whole(pattern)))
        }
        (PathMatch::Regex(_), _) => Judged::UNCLEAR,
        (PathMatch::Exact(text), class) => read(&PathTexts::new(text, true, settings), true, class, settings),
        (PathMatch::Prefix(text), class) => {
            read(&PathTexts::new(text, false, settings), false, class, settings)
        }
    }
}

fn read(texts: &PathTexts, is_whole: bool, class: PathClass, settings: &RequestNormalization) -> Judged {
    let tests = if class == PathClass::Clear {
        let texts = [&texts.text].into_iter().chain(&texts.readings);
        texts.map(|text| literally(text, is_whole)).collect::<Vec<_>>()
    } else {
        let normal = !settings.insecure_disable_path_normalization;
        let own = [in_reading(&texts.text, None, normal, is_whole)];
        let readings = LENIENCIES.iter().zip(&texts.readings);
        own.into_iter()
            .chain(readings.map(|(how, text)| in_reading(text, Some(how), normal, is_whole)))
            .map(|pattern| Test::path(regex(pattern)))
            .collect()
    };
    Judged { sure: Test::all(tests.clone()), maybe: Test::any(tests) }
}

fn literally(text: &str, is_whole: bool) -> Test {
    match text {
        text if is_whole => Test::path(exact(text)),
        "" => Test::Always,
        text => Test::path(prefix(text)),
    }
}

/// The paths that are this text, or begin with it, to a reader of this leniency. `None` reads a path as it is.
fn in_reading(text: &str, how: Option<&Leniency>, normal: bool, is_whole: bool) -> String {
    let reader = Reader { how, normal };
    let mut pattern = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let length = if reader.keeps_escape(rest) { 3 } else { next.len_utf8() };
        let (one, after) = rest.split_at(length);
        rest = after;
        match next {
            '/' => pattern.push_str(&reader.slash()),
            _ if length == 3 && next == '%' => pattern.push_str(&reader.escape(one)),
            _ => pattern.push_str(&reader.character(next)),
        }
    }
    pattern.push_str(if is_whole { reader.end() } else { ".*" });
    pattern
}

struct Reader<'a> {
    how: Option<&'a Leniency>,
    normal: bool,
}

impl Reader<'_> {
    fn decodes(&self) -> bool {
        self.how.is_some_and(|how| how.decode)
    }

    fn parameters(&self) -> Parameters {
        self.how.map_or(Parameters::Keep, |how| how.parameters)
    }

    /// Whether the text begins with an escape that is compared as one.
    fn keeps_escape(&self, text: &str) -> bool {
        let digits = text.strip_prefix('%').and_then(|rest| rest.as_bytes().get(..2));
        !self.decodes() && digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    }

    /// An escape. Where the mesh writes them in capitals Envoy leaves them, and leaves some characters plain.
    fn escape(&self, escape: &str) -> String {
        if !self.normal {
            return escape.to_owned();
        }
        let byte = u8::from_str_radix(&escape[1..], 16).expect("two digits");
        let plain = byte.is_ascii_graphic() && !b"/\\%?#".contains(&byte) && !is_plain(byte);
        if plain {
            format!("(?:{}|{})", quoted(&char::from(byte).to_string()), escaped(byte))
        } else {
            escaped(byte)
        }
    }

    fn character(&self, own: char) -> String {
        let plain = quoted(&own.to_string());
        if !self.decodes() {
            return plain;
        }
        let escaped: String = own.to_string().bytes().map(escaped).collect();
        let as_it_is = own.is_ascii_graphic() && own != '%';
        let cut = own == ';' && self.parameters() != Parameters::Keep;
        if cut || !as_it_is { escaped } else { format!("(?:{plain}|{escaped})") }
    }

    fn slash(&self) -> String {
        let one = match (self.how, self.parameters(), self.decodes()) {
            (None, ..) => return "/".to_owned(),
            (_, Parameters::Keep, false) => r"[/\\]".to_owned(),
            (_, Parameters::Keep, true) => SLASH.to_owned(),
            (_, Parameters::BeforeDecoding, false) => r"(?:(?:;[^/]*)?/|\\)".to_owned(),
            (_, Parameters::BeforeDecoding, true) => r"(?:(?:;[^/]*)?/|\\|%2[Ff]|%5[Cc])".to_owned(),
            (_, Parameters::AfterDecoding, _) => format!("(?:{}{SLASH})", after_decoding()),
        };
        if self.how.is_some_and(|how| how.merge) { format!("{one}+") } else { one }
    }

    fn end(&self) -> &'static str {
        match self.parameters() {
            Parameters::Keep => "",
            Parameters::BeforeDecoding => "(?:;[^/]*)?",
            Parameters::AfterDecoding => {
                r"(?:(?:;|%3[Bb])(?:[^/\\%]|%(?:[013-46-9A-Fa-f].|2[^Ff]|5[^Cc]))*)?"
            }
        }
    }
}

/// The parameters of a segment, to a reader that removes them after decoding.
fn after_decoding() -> String {
    format!("(?:(?:;|%3[Bb])(?:{})*)?", character())
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte)
}

fn escaped(byte: u8) -> String {
    let digits = format!("{byte:02X}");
    let one = |digit: char| {
        if digit.is_ascii_digit() {
            digit.to_string()
        } else {
            format!("[{digit}{}]", digit.to_ascii_lowercase())
        }
    };
    digits.chars().fold("%".to_owned(), |pattern, digit| pattern + &one(digit))
}
