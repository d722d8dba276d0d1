//! Paths: the canonical form, and the other ways in which a backend might read it.

use std::borrow::Cow;

use concord_model::entry::{EscapedSlashes, RequestNormalization};

use super::fit::Fit;
use super::refusal::Refusal;

/// The parts of a request's target.
pub(super) struct Target<'a> {
    pub(super) path: Path<'a>,
    pub(super) query: Option<&'a str>,
    /// The authority of the absolute form and of CONNECT.
    pub(super) authority: Option<&'a str>,
}

/// A canonical path.
#[derive(Clone, Debug)]
pub(super) struct Path<'a> {
    pub(super) text: Cow<'a, str>,
    /// The path in each of [`LENIENCIES`]; empty if all of them read the text as it is.
    pub(super) readings: Vec<String>,
    /// What was done to it, and is to be done to the texts that it is compared with.
    spelling: Spelling,
}

/// The settings that change paths, as a number below [`SPELLINGS`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Spelling(u8);

const SPELLINGS: u8 = 8;

impl Spelling {
    fn of(settings: &RequestNormalization) -> Self {
        let merges = u8::from(settings.merge_slashes);
        let unescapes = u8::from(unescapes(settings.path_with_escaped_slashes_action));
        Self(merges | unescapes << 1 | u8::from(settings.insecure_disable_path_normalization) << 2)
    }

    /// Settings with this spelling, which refuse nothing because of a slash.
    fn settings(self) -> RequestNormalization {
        let is = |bit: u8| self.0 & bit != 0;
        RequestNormalization {
            merge_slashes: is(1),
            path_with_escaped_slashes_action: if is(2) {
                EscapedSlashes::Forward
            } else {
                EscapedSlashes::Keep
            },
            insecure_disable_path_normalization: is(4),
            ..RequestNormalization::default()
        }
    }
}

impl<'a> Target<'a> {
    pub(super) fn read(
        method: &str,
        target: &'a [u8],
        settings: &RequestNormalization,
    ) -> Result<Self, Refusal> {
        let target = std::str::from_utf8(target).map_err(|_| Refusal::NotUtf8)?;
        if target.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return Err(Refusal::Control);
        }
        if target.contains('#') {
            return Err(Refusal::Fragment);
        }
        let (authority, rest) = split_form(method, target)?;
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let path = if path.is_empty() && authority.is_some() && method != "CONNECT" { "/" } else { path };
        let text =
            if path.starts_with('/') { canonical(path, query, settings)? } else { Cow::Borrowed(path) };
        let readings = if is_clear(&text) { Vec::new() } else { readings(&text, true) };
        let spelling = Spelling::of(settings);
        Ok(Self { path: Path { text, readings, spelling }, query, authority })
    }
}

/// Splits the authority from the forms that have one. The rest begins with a slash, is `*`, or is empty.
fn split_form<'a>(method: &str, target: &'a str) -> Result<(Option<&'a str>, &'a str), Refusal> {
    if target.starts_with('/') || (target == "*" && method == "OPTIONS") {
        return Ok((None, target));
    }
    if method == "CONNECT" && !target.contains(['/', '?']) && !target.is_empty() {
        return Ok((Some(target), ""));
    }
    let (scheme, rest) = target.split_once("://").ok_or(Refusal::NotAPath)?;
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(Refusal::NotAPath);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    Ok((Some(authority), rest))
}

/// Letters, digits and the four signs whose escapes mean the same as themselves (RFC 3986 §2.3).
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// What a path has without being escaped (RFC 3986 §3.3).
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        plain[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let signs = b"-._~!$&'()*+,;=:@/";
    let mut at = 0;
    while at < signs.len() {
        plain[signs[at] as usize] = true;
        at += 1;
    }
    plain
};

/// Whether there is nothing to rewrite and nothing to refuse.
fn is_canonical(path: &str, merge: bool) -> bool {
    let mut last = 0;
    path.bytes().all(|byte| {
        let begins = last == b'/' && (byte == b'.' || (merge && byte == b'/'));
        last = byte;
        PLAIN[usize::from(byte)] && !begins
    })
}

fn canonical<'a>(
    path: &'a str,
    query: Option<&str>,
    settings: &RequestNormalization,
) -> Result<Cow<'a, str>, Refusal> {
    if is_canonical(path, settings.merge_slashes) {
        return Ok(Cow::Borrowed(path));
    }
    let (mut text, redirect) = with_canonical_escapes(path, settings)?;
    if !settings.insecure_disable_path_normalization {
        text = without_dots(&text);
    }
    if settings.merge_slashes {
        text = merged(&text);
    }
    if !redirect {
        return Ok(Cow::Owned(text));
    }
    // A location that begins with two slashes would name another host.
    let mut to = format!("/{}", text.trim_start_matches('/'));
    if let Some(query) = query {
        to.push('?');
        to.push_str(query);
    }
    Err(Refusal::Redirect { to })
}

/// The path with each character written in one way, and whether the client is to be redirected to it.
fn with_canonical_escapes(path: &str, settings: &RequestNormalization) -> Result<(String, bool), Refusal> {
    let normal = !settings.insecure_disable_path_normalization;
    let action = settings.path_with_escaped_slashes_action;
    let mut redirect = false;
    let mut text = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(next) = rest.chars().next() {
        let (one, after) = rest.split_at(if next == '%' { escape_end(rest)? } else { next.len_utf8() });
        rest = after;
        match (next, escaped(one)) {
            (_, Some(byte)) if byte < b' ' || byte == 0x7f => return Err(Refusal::Control),
            (_, Some(b'/' | b'\\')) if action == EscapedSlashes::Reject => return Err(Refusal::EscapedSlash),
            (_, Some(b'/' | b'\\')) if unescapes(action) => {
                redirect |= action == EscapedSlashes::Redirect;
                text.push('/');
            }
            (_, Some(byte)) if normal && is_unreserved(byte) => text.push(char::from(byte)),
            (_, Some(byte)) if normal => push_escape(&mut text, byte),
            ('\\', None) if normal => text.push('/'),
            (next, None) if normal && !is_plain(next) => one.bytes().for_each(|b| push_escape(&mut text, b)),
            _ => text.push_str(one),
        }
    }
    std::str::from_utf8(&unescaped(&text)).map_err(|_| Refusal::NotUtf8)?;
    Ok((text, redirect))
}

fn is_plain(next: char) -> bool {
    u8::try_from(next).is_ok_and(|byte| PLAIN[usize::from(byte)])
}

fn unescapes(action: EscapedSlashes) -> bool {
    match action {
        EscapedSlashes::Redirect | EscapedSlashes::Forward => true,
        EscapedSlashes::Unset
        | EscapedSlashes::ProxyDefault
        | EscapedSlashes::Keep
        | EscapedSlashes::Reject => false,
    }
}

/// Where the escape ends with which the text begins.
fn escape_end(text: &str) -> Result<usize, Refusal> {
    let digits = text.as_bytes().get(1..3).ok_or(Refusal::Escape)?;
    if digits.iter().all(u8::is_ascii_hexdigit) { Ok(3) } else { Err(Refusal::Escape) }
}

/// The byte that an escape of three characters stands for.
fn escaped(one: &str) -> Option<u8> {
    u8::from_str_radix(one.strip_prefix('%')?, 16).ok()
}

fn push_escape(text: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    text.push('%');
    text.push(char::from(DIGITS[usize::from(byte >> 4)]));
    text.push(char::from(DIGITS[usize::from(byte & 15)]));
}

/// All escapes decoded. What is no escape stays.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        match text.get(at..at + 3).and_then(escaped).filter(|_| escape_end(&text[at..]).is_ok()) {
            Some(decoded) if *byte == b'%' => {
                bytes.push(decoded);
                at += 3;
            }
            _ => {
                bytes.push(*byte);
                at += 1;
            }
        }
    }
    bytes
}

/// Resolves dot segments (RFC 3986 §5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        if segment == ".." {
            kept.pop();
        }
        if !matches!(segment, "." | "..") {
            kept.push(segment);
        } else if segments.peek().is_none() {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

fn merged(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for next in path.chars() {
        if next != '/' || !text.ends_with('/') {
            text.push(next);
        }
    }
    text
}

/// Removes the parameters of segments, `;` and what follows.
fn without_parameters(path: &str) -> String {
    let segments: Vec<_> =
        path.split('/').map(|segment| segment.split_once(';').map_or(segment, |(name, _)| name)).collect();
    segments.join("/")
}

/// A way in which a backend might read a path beyond what RFC 3986 says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Leniency {
    /// When it removes parameters of segments.
    pub parameters: Parameters,
    /// Whether it decodes all escapes.
    pub decode: bool,
    /// Whether several slashes are one.
    pub merge: bool,
}

/// When parameters of segments are removed: `;` and what follows, up to the next slash.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Parameters {
    /// Never.
    Keep,
    /// Before escapes are decoded.
    BeforeDecoding,
    /// After escapes are decoded.
    AfterDecoding,
}

/// All ways in which a path is read.
pub const LENIENCIES: [Leniency; 10] = {
    use Parameters::{AfterDecoding, BeforeDecoding, Keep};
    const fn of(parameters: Parameters, decode: bool, merge: bool) -> Leniency {
        Leniency { parameters, decode, merge }
    }
    [
        of(Keep, false, false),
        of(Keep, false, true),
        of(Keep, true, false),
        of(Keep, true, true),
        of(BeforeDecoding, false, false),
        of(BeforeDecoding, false, true),
        of(BeforeDecoding, true, false),
        of(BeforeDecoding, true, true),
        of(AfterDecoding, true, false),
        of(AfterDecoding, true, true),
    ]
};

/// Whether every backend reads a path as it is.
fn is_clear(path: &str) -> bool {
    let mut last = 0;
    path.bytes().all(|byte| {
        let odd = matches!(byte, b'%' | b';' | b'\\') || (last == b'/' && matches!(byte, b'/' | b'.'));
        last = byte;
        !odd
    })
}

/// A text in each of [`LENIENCIES`]. Dot segments are resolved only in a whole path, not in the beginning of one.
fn readings(text: &str, whole: bool) -> Vec<String> {
    LENIENCIES.iter().map(|leniency| leniency.read(text, whole)).collect()
}

impl Leniency {
    fn read(&self, text: &str, whole: bool) -> String {
        let mut text = text.to_owned();
        if self.parameters == Parameters::BeforeDecoding {
            text = without_parameters(&text);
        }
        if self.decode {
            text = String::from_utf8_lossy(&unescaped(&text)).into_owned();
        }
        text = text.replace('\\', "/");
        if self.parameters == Parameters::AfterDecoding {
            text = without_parameters(&text);
        }
        if self.merge {
            text = merged(&text);
        }
        if whole { without_dots(&text) } else { text }
    }
}

/// The text of a permission, to be compared with paths.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) text: Box<str>,
    readings: Vec<String>,
    /// The text by [`Spelling`]; empty if it is the same in all.
    respelled: Vec<Self>,
}

impl Wanted {
    /// Makes the text of a permission canonical as paths are, so that it can be equal to one. A text that cannot be
    /// made canonical stays as it is.
    pub(super) fn new(text: &str, whole: bool) -> Self {
        let own = Self::spelled(text, whole, Spelling(0));
        let plain = *own.text == *text && own.readings.is_empty();
        let respelled: Vec<_> = (0..SPELLINGS)
            .filter(|_| !plain)
            .map(|spelling| Self::spelled(text, whole, Spelling(spelling)))
            .collect();
        let same = respelled.iter().all(|other| other.text == own.text);
        Self { respelled: if same { Vec::new() } else { respelled }, ..own }
    }

    fn spelled(text: &str, whole: bool, spelling: Spelling) -> Self {
        let settings = spelling.settings();
        let escapes = with_canonical_escapes(text, &settings);
        let mut text = escapes.map_or_else(|_| text.to_owned(), |(text, _)| text);
        // Dots at the end of a beginning may be the first characters of a name.
        if whole && !settings.insecure_disable_path_normalization {
            text = without_dots(&text);
        }
        if settings.merge_slashes {
            text = merged(&text);
        }
        let readings = if is_clear(&text) { Vec::new() } else { readings(&text, whole) };
        Self { text: text.into(), readings, respelled: Vec::new() }
    }

    /// The text while the mesh has these settings, and then in each of [`LENIENCIES`].
    pub(super) fn of(text: &str, whole: bool, settings: &RequestNormalization) -> (String, Vec<String>) {
        let Self { text, readings, .. } = Self::spelled(text, whole, Spelling::of(settings));
        let same = || vec![text.to_string(); LENIENCIES.len()];
        let readings = if readings.is_empty() { same() } else { readings };
        (text.into(), readings)
    }

    /// Whether all backends read it as it is, whatever the mesh does to paths.
    pub(super) fn is_clear(&self) -> bool {
        self.readings.is_empty() && self.respelled.is_empty()
    }

    /// Compares it with a path in all readings.
    pub(super) fn fit(&self, path: &Path<'_>, test: impl Fn(&str, &str) -> bool) -> Fit {
        let Self { text, readings, .. } = self.respelled.get(usize::from(path.spelling.0)).unwrap_or(self);
        let first = test(&path.text, text);
        if path.readings.is_empty() && readings.is_empty() {
            return first.into();
        }
        let (mut all, mut any) = (first, first);
        for at in 0..LENIENCIES.len() {
            let path = path.readings.get(at).map_or(&*path.text, String::as_str);
            let wanted = readings.get(at).map_or(&**text, String::as_str);
            let holds = test(path, wanted);
            all &= holds;
            any |= holds;
        }
        Fit::of(all, any)
    }
}

impl Path<'_> {
    /// Asks a question about the path in all readings.
    pub(super) fn fit(&self, test: impl Fn(&str) -> bool) -> Fit {
        let first = test(&self.text);
        let (mut all, mut any) = (first, first);
        for reading in &self.readings {
            let holds = test(reading);
            all &= holds;
            any |= holds;
        }
        Fit::of(all, any)
    }
}
