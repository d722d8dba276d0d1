//! Conditions on headers.

use std::borrow::Cow;

use concord_filter::Pattern;
use concord_model::intention::{HeaderMatch, HeaderValueMatch};

use super::authority::Authority;
use super::canonical::Request;
use super::fit::Fit;
use super::lines::{Headers, members};
use crate::entry::COMPILED_BYTES_MAX;

/// A condition on a header.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) name: Box<str>,
    subject: Subject,
    pub(super) test: Test,
    pub(super) invert: bool,
}

/// What a condition looks at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Subject {
    Header,
    Authority,
    Method,
    Path,
    /// A name with a colon that means nothing here.
    Nothing,
}

/// What a condition asks of a value.
#[derive(Debug)]
pub(super) enum Test {
    Present,
    Text {
        how: How,
        text: Box<str>,
        ignore_case: bool,
    },
    Pattern(Pattern),
    /// An expression that cannot be compiled.
    Broken,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum How {
    Exact,
    Prefix,
    Suffix,
    Contains,
}

impl Wanted {
    pub(super) fn compile(header: &HeaderMatch) -> Self {
        let HeaderMatch { name, value, ignore_case, invert } = header;
        let subject = match name.to_ascii_lowercase().as_str() {
            "host" | ":authority" => Subject::Authority,
            ":method" => Subject::Method,
            ":path" => Subject::Path,
            other if other.starts_with(':') => Subject::Nothing,
            _ => Subject::Header,
        };
        let test = Test::compile(value, *ignore_case || subject == Subject::Authority);
        let mut wanted = Self { name: name.as_str().into(), subject, test, invert: *invert };
        wanted.canonical_authority();
        wanted
    }

    /// An authority is compared in its canonical form.
    fn canonical_authority(&mut self) {
        if let (Subject::Authority, Test::Text { how: How::Exact, text, .. }) = (self.subject, &mut self.test)
            && let Ok(canonical) = Authority::parse(text)
        {
            *text = canonical.text.into_owned().into();
        }
    }

    /// Whether it looks at a header that the request has by this name.
    pub(super) fn is_of_header(&self) -> bool {
        self.subject == Subject::Header
    }

    pub(super) fn fit(&self, request: &Request<'_>) -> Fit {
        match self.subject {
            Subject::Header => self.of_header(request),
            Subject::Authority => self.of_authority(request),
            Subject::Method => self.of_value(self.test.fit_text(request.received.method)),
            Subject::Path => self.of_value(self.of_path(request)),
            Subject::Nothing => Fit::Unclear,
        }
    }

    fn of_value(&self, plain: Fit) -> Fit {
        if self.invert { plain.inverted() } else { plain }
    }

    fn of_header(&self, request: &Request<'_>) -> Fit {
        let seen = Seen::of(request.headers, &self.name, &self.test);
        match (&self.test, self.invert) {
            (Test::Present, _) => self.of_value(Fit::of(seen.present, seen.any)),
            (_, false) => Fit::of(seen.present && seen.all, seen.any),
            (_, true) if seen.present && !seen.any => Fit::Yes,
            (_, true) if seen.present && seen.all => Fit::No,
            (_, true) => Fit::Unclear,
        }
    }

    fn of_authority(&self, request: &Request<'_>) -> Fit {
        let Some(authority) = &request.authority else {
            let is_present = matches!(self.test, Test::Present);
            return if self.invert && !is_present { Fit::Unclear } else { self.invert.into() };
        };
        let with_port = match &self.test {
            Test::Text { how: How::Exact, text, .. } => {
                Authority::parse(text).is_ok_and(|authority| authority.has_port())
            }
            _ => false,
        };
        let sure = authority.fit(with_port, |text| self.test.fit_text(text) == Fit::Yes);
        let maybe = authority.fit(with_port, |text| self.test.fit_text(text) > Fit::No);
        self.of_value(Fit::of(sure == Fit::Yes, maybe > Fit::No))
    }

    /// The path with its query, as Envoy has it, and every reading of the path without.
    fn of_path(&self, request: &Request<'_>) -> Fit {
        let path = request.path();
        let whole = match request.query {
            Some(query) => Cow::Owned(format!("{path}?{query}")),
            None => Cow::Borrowed(path),
        };
        let sure = |text: &str| self.test.fit_text(text) == Fit::Yes;
        let maybe = |text: &str| self.test.fit_text(text) > Fit::No;
        Fit::of(
            sure(&whole) && request.path.fit(sure) == Fit::Yes,
            maybe(&whole) || request.path.fit(maybe) > Fit::No,
        )
    }
}

/// What a test says about the lines of a header.
struct Seen {
    /// Whether a line has exactly this name.
    present: bool,
    /// Whether all values match.
    all: bool,
    /// Whether a value matches.
    any: bool,
}

impl Seen {
    fn of(headers: Headers<'_>, name: &str, test: &Test) -> Self {
        let mut seen = Self { present: false, all: true, any: false };
        let mut lines = 0;
        for (line, exactly) in headers.like(name) {
            lines += 1;
            seen.present |= exactly;
            seen.take(test.fit(line), true);
            // A whole line that is equal leaves no member that could differ.
            members(line).for_each(|member| seen.take(test.fit(member), !test.is_exact()));
        }
        if lines > 1 && !seen.any && test.may_span_lines() {
            let joined: Vec<_> = headers.like(name).map(|(line, _)| line).collect();
            seen.take(test.fit(&joined.join(&b',')), false);
        }
        seen
    }

    fn take(&mut self, fit: Fit, counts_for_all: bool) {
        self.any |= fit > Fit::No;
        self.all &= !counts_for_all || fit == Fit::Yes;
    }
}

impl Test {
    fn compile(value: &HeaderValueMatch, ignore_case: bool) -> Self {
        let text = |how, text: &str| Self::Text { how, text: text.into(), ignore_case };
        match value {
            HeaderValueMatch::Present => Self::Present,
            HeaderValueMatch::Exact(own) => text(How::Exact, own),
            HeaderValueMatch::Prefix(own) => text(How::Prefix, own),
            HeaderValueMatch::Suffix(own) => text(How::Suffix, own),
            HeaderValueMatch::Contains(own) => text(How::Contains, own),
            HeaderValueMatch::Regex(own) => whole_pattern(own).map_or(Self::Broken, Self::Pattern),
        }
    }

    fn is_exact(&self) -> bool {
        matches!(self, Self::Text { how: How::Exact, .. })
    }

    /// Whether lines that are joined by commas could match where none of them does.
    fn may_span_lines(&self) -> bool {
        match self {
            Self::Text { text, .. } => text.contains(','),
            Self::Pattern(_) => true,
            Self::Present | Self::Broken => false,
        }
    }

    fn fit_text(&self, value: &str) -> Fit {
        self.fit(value.as_bytes())
    }

    fn fit(&self, value: &[u8]) -> Fit {
        match self {
            Self::Present => Fit::Yes,
            Self::Text { how, text, ignore_case } => how.holds(value, text.as_bytes(), *ignore_case).into(),
            Self::Pattern(pattern) => {
                std::str::from_utf8(value).map_or(Fit::Unclear, |value| pattern.is_match(value).into())
            }
            Self::Broken => Fit::Unclear,
        }
    }
}

impl How {
    fn holds(self, value: &[u8], text: &[u8], ignore_case: bool) -> bool {
        let same = |part: &[u8]| if ignore_case { part.eq_ignore_ascii_case(text) } else { part == text };
        match self {
            Self::Exact => same(value),
            Self::Prefix => value.get(..text.len()).is_some_and(same),
            Self::Suffix => value.len().checked_sub(text.len()).is_some_and(|begin| same(&value[begin..])),
            Self::Contains => text.is_empty() || value.windows(text.len()).any(same),
        }
    }
}

/// What the anchors need beside a compiled expression, amply.
const ANCHORS_BYTES: usize = 64 * 1024;

/// An expression that matches whole texts; `None` if it cannot be compiled.
pub(super) fn whole_pattern(text: &str) -> Option<Pattern> {
    Pattern::parse_within(text, COMPILED_BYTES_MAX).ok()?;
    Pattern::parse_within(&format!(r"\A(?:{text})\z"), COMPILED_BYTES_MAX + ANCHORS_BYTES).ok()
}
