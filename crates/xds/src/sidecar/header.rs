//! Headers that entries add, replace and remove: what Envoy takes of them.
//!
//! Envoy refuses a whole route configuration for one header that it does not take, and the requests of the upstream would go
//! on by the old routes. So such a header is left out and told, and all else of the entry counts. A value is a format of
//! Envoy (`%PROTOCOL%`); a percent sign that begins no command is sent as it is. A command that has the form of one is
//! passed on, whether it is known here or not: which there are depends on the version of Envoy.

use concord_envoy_proto::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use concord_envoy_proto::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use concord_model::entry::HeaderModifiers;

/// Why a header is left out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HeaderFault {
    /// It is a part of the request line or of the status.
    #[error("Envoy lets nobody change host, nor what begins with a colon")]
    Reserved,
    /// It is no name.
    #[error("it is no name of a header (RFC 9110 section 5.1)")]
    NoName,
    /// Its value would end the header.
    #[error("its value has a line break or a NUL")]
    NoValue,
}

/// A header that is left out: the list it stands in, its name, and why.
pub(super) type LeftOut = (&'static str, String, HeaderFault);

/// Headers to add or replace, and headers to remove. What Envoy would not take is left out.
pub(super) fn changed(
    modifiers: Option<&HeaderModifiers>,
    left_out: &mut Vec<LeftOut>,
) -> (Vec<HeaderValueOption>, Vec<String>) {
    let Some(HeaderModifiers { add, set, remove }) = modifiers else { return Default::default() };
    let mut changed = Vec::with_capacity(add.len() + set.len());
    for (list, own, action) in [
        ("Add", add, HeaderAppendAction::AppendIfExistsOrAdd),
        ("Set", set, HeaderAppendAction::OverwriteIfExistsOrAdd),
    ] {
        for (name, value) in own {
            match named(name).and_then(|()| written(value)) {
                Ok(value) => changed.push(option(name, value, action)),
                Err(fault) => left_out.push((list, name.clone(), fault)),
            }
        }
    }
    let mut removed = Vec::with_capacity(remove.len());
    for name in remove {
        match named(name) {
            Ok(()) => removed.push(name.clone()),
            Err(fault) => left_out.push(("Remove", name.clone(), fault)),
        }
    }
    (changed, removed)
}

fn option(name: &str, value: String, action: HeaderAppendAction) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue { key: name.to_owned(), value, ..HeaderValue::default() }),
        append_action: action.into(),
        ..HeaderValueOption::default()
    }
}

fn named(name: &str) -> Result<(), HeaderFault> {
    if name.starts_with(':') || name.eq_ignore_ascii_case("host") {
        return Err(HeaderFault::Reserved);
    }
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (!name.is_empty() && name.bytes().all(is_token)).then_some(()).ok_or(HeaderFault::NoName)
}

/// The value as a format: percent signs that begin no command are doubled.
fn written(value: &str) -> Result<String, HeaderFault> {
    if value.contains(['\0', '\r', '\n']) {
        return Err(HeaderFault::NoValue);
    }
    let (mut written, mut rest) = (String::with_capacity(value.len()), value);
    while let Some(at) = rest.find('%') {
        let (before, from) = rest.split_at(at);
        let length = if from.starts_with("%%") { Some(2) } else { command(from) };
        written.push_str(before);
        written.push_str(length.map_or("%%", |length| &from[..length]));
        rest = &from[length.unwrap_or(1)..];
    }
    Ok(written + rest)
}

/// How many bytes the command has that this text begins with: `%NAME%`, `%NAME(arguments)%`, `%NAME(arguments):9%`.
fn command(text: &str) -> Option<usize> {
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let name = text[1..].find(|c| !is_name(c)).filter(|length| *length > 0)? + 1;
    if let Some(length) = ended(&text[name..]) {
        return Some(name + length);
    }
    if !text[name..].starts_with('(') {
        return None;
    }
    // The arguments end at the first bracket behind which the command can end.
    let brackets = text[name..].match_indices(')').map(|(at, _)| name + at + 1);
    brackets.into_iter().find_map(|at| Some(at + ended(&text[at..])?))
}

/// The length of the end of a command: `%`, or `:9%`.
fn ended(text: &str) -> Option<usize> {
    let most = match text.strip_prefix(':') {
        Some(rest) => 1 + rest.find(|c: char| !c.is_ascii_digit()).filter(|length| *length > 0)?,
        None => 0,
    };
    text[most..].starts_with('%').then_some(most + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, expected: &str) {
        assert_eq!(written(value).as_deref(), Ok(expected));
    }

    #[test]
    fn a_percent_sign_that_begins_no_command_is_sent_as_it_is() {
        for format in [
            "",
            "plain",
            "%PROTOCOL%",
            "a %REQ(X-A?:PATH):9% b",
            "%START_TIME(%s (a) %3f)%",
            "100%%",
            "%A%%B:1%",
        ] {
            check(format, format);
        }
        check("100%", "100%%");
        check("50% of %PROTOCOL%", "50%% of %PROTOCOL%");
        check("%lower% %()% %A( %B:%", "%%lower%% %%()%% %%A( %%B:%%");
        check("%A:x% ä%", "%%A:x%% ä%%");
        assert_eq!(written("a\r\nb: c"), Err(HeaderFault::NoValue));
    }

    #[test]
    fn names_that_envoy_does_not_take_are_told() {
        for name in ["x-a", "X_A", "hosts"] {
            assert_eq!(named(name), Ok(()), "{name}");
        }
        for name in [":path", ":x", "host", "Host"] {
            assert_eq!(named(name), Err(HeaderFault::Reserved), "{name}");
        }
        for name in ["", "a b", "a:b", "ä", "a\n"] {
            assert_eq!(named(name), Err(HeaderFault::NoName), "{name}");
        }
    }
}
