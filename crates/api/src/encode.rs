//! JSON as Go's encoder writes it: its escapes and numbers, compact or indented with four spaces.

use std::io;

use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};

/// The layout of an answer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Layout {
    /// On one line, with nothing after it.
    #[default]
    Compact,
    /// With `?pretty`, and always in `-dev`: four spaces, and a line break at the end.
    Pretty,
}

/// Encodes an answer.
///
/// Fails only for values that JSON cannot represent, such as maps with keys that are not text. We have none.
pub fn json<T: Serialize + ?Sized>(value: &T, layout: Layout) -> Result<Vec<u8>, serde_json::Error> {
    let mut out = Vec::new();
    json_into(&mut out, value, layout)?;
    Ok(out)
}

/// The same, appended to bytes that may have room for it already.
pub fn json_into<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    value: &T,
    layout: Layout,
) -> Result<(), serde_json::Error> {
    match layout {
        Layout::Compact => {
            value.serialize(&mut Serializer::with_formatter(out, GoFormatter(CompactFormatter)))
        }
        Layout::Pretty => {
            let pretty = GoFormatter(PrettyFormatter::with_indent(b"    "));
            value.serialize(&mut Serializer::with_formatter(&mut *out, pretty))?;
            out.push(b'\n');
            Ok(())
        }
    }
}

/// Uses the layout of `F`, with Go's escapes and numbers.
struct GoFormatter<F>(F);

impl<F: Formatter> Formatter for GoFormatter<F> {
    fn write_string_fragment<W: io::Write + ?Sized>(&mut self, out: &mut W, text: &str) -> io::Result<()> {
        let bytes = text.as_bytes();
        let mut from = 0;
        for (at, byte) in bytes.iter().enumerate() {
            let (escape, len): (&[u8], usize) = match byte {
                b'<' => (b"\\u003c", 1),
                b'>' => (b"\\u003e", 1),
                b'&' => (b"\\u0026", 1),
                0xe2 if bytes[at..].starts_with("\u{2028}".as_bytes()) => (b"\\u2028", 3),
                0xe2 if bytes[at..].starts_with("\u{2029}".as_bytes()) => (b"\\u2029", 3),
                _ => continue,
            };
            out.write_all(&bytes[from..at])?;
            out.write_all(escape)?;
            from = at + len;
        }
        out.write_all(&bytes[from..])
    }

    fn write_f64<W: io::Write + ?Sized>(&mut self, out: &mut W, value: f64) -> io::Result<()> {
        let size = value.abs();
        if size != 0.0 && !(1e-6..1e21).contains(&size) {
            let text = format!("{value:e}");
            return match text.split_once('e') {
                Some((digits, exponent)) if !exponent.starts_with('-') => write!(out, "{digits}e+{exponent}"),
                _ => out.write_all(text.as_bytes()),
            };
        }
        write!(out, "{value}")
    }

    fn begin_array<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_array(out)
    }

    fn end_array<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array(out)
    }

    fn begin_array_value<W: io::Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(out, first)
    }

    fn end_array_value<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array_value(out)
    }

    fn begin_object<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object(out)
    }

    fn end_object<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object(out)
    }

    fn begin_object_key<W: io::Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(out, first)
    }

    fn end_object_key<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object_key(out)
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object_value(out)
    }

    fn end_object_value<W: io::Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object_value(out)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(value: &impl Serialize, expected: &str) {
        assert_eq!(String::from_utf8(json(value, Layout::Compact).unwrap()).unwrap(), expected);
    }

    #[test]
    fn text_is_escaped_as_go_does() {
        check(
            &"<a> & \"b\"\n\u{2028}\u{2029}\u{1}é…",
            r#""\u003ca\u003e \u0026 \"b\"\n\u2028\u2029\u0001é…""#,
        );
        check(&"plain", r#""plain""#);
    }

    #[test]
    fn keys_are_escaped_too() {
        check(&json!({"<": 1}), r#"{"\u003c":1}"#);
    }

    #[test]
    fn numbers_are_printed_as_go_does() {
        check(&[1.0, 0.5, -2.0, 0.0], "[1,0.5,-2,0]");
        check(&[1e21, 1.5e300, 1e-7, 1e20], "[1e+21,1.5e+300,1e-7,100000000000000000000]");
        check(&[u64::MAX], "[18446744073709551615]");
    }

    #[test]
    fn pretty_has_four_spaces_and_a_line_end() {
        let value = json!({"a": [1, {}], "b": []});
        let text = String::from_utf8(json(&value, Layout::Pretty).unwrap()).unwrap();
        assert_eq!(text, "{\n    \"a\": [\n        1,\n        {}\n    ],\n    \"b\": []\n}\n");
    }
}
