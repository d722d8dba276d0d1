//! The tokens of HCL1: white space and comments, identifiers, numbers, strings, heredocs.

use crate::cursor::{Cursor, hex_digits};
use crate::tree::{Kind, SyntaxError};

/// Skips white space and comments.
pub(super) fn space(cursor: &mut Cursor<'_>) -> Result<(), SyntaxError> {
    loop {
        cursor.take_while(char::is_whitespace);
        let start = *cursor;
        if cursor.eat("#") || cursor.eat("//") {
            cursor.take_while(|c| c != '\n');
        } else if cursor.eat("/*") {
            while !cursor.eat("*/") {
                if cursor.bump().is_none() {
                    return Err(start.fault("this comment is never closed"));
                }
            }
        } else {
            return Ok(());
        }
    }
}

pub(super) fn begins_identifier(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

pub(super) fn identifier<'a>(cursor: &mut Cursor<'a>) -> &'a str {
    cursor.take_while(|c| begins_identifier(c) || c.is_numeric() || matches!(c, '-' | '.'))
}

/// Reads a decimal, octal (`0755`) or hexadecimal (`0x1f`) integer, or a floating-point number.
pub(super) fn number(cursor: &mut Cursor<'_>) -> Result<Kind, SyntaxError> {
    let start = *cursor;
    let text = cursor.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.' | '_'));
    let bad = || start.fault(format!("`{}` is not a number", text.chars().take(32).collect::<String>()));
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Err(bad());
    }
    if let Some(value) = crate::decode::parse_integer(digits, negative) {
        return Ok(Kind::Int(value));
    }
    let octal = digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if octal || !plain || digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad());
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Kind::Float(value)),
        _ => Err(bad()),
    }
}

/// Reads a string in double quotes. Inside `${…}` there are no escapes, and quotes and line ends are allowed.
pub(super) fn string(cursor: &mut Cursor<'_>) -> Result<String, SyntaxError> {
    let start = *cursor;
    let unclosed = || start.fault("this string is never closed");
    cursor.bump();
    let mut text = String::new();
    let mut braces = 0_usize;
    loop {
        if braces == 0 && cursor.eat("${") {
            text.push_str("${");
            braces = 1;
            continue;
        }
        match cursor.bump().ok_or_else(unclosed)? {
            '"' if braces == 0 => return Ok(text),
            '\n' if braces == 0 => {
                return Err(start.fault("this string is not closed on its line; use <<EOF for several lines"));
            }
            '\\' if braces == 0 => escape(cursor, &mut text)?,
            c => {
                match c {
                    '{' if braces > 0 => braces += 1,
                    '}' if braces > 0 => braces -= 1,
                    _ => {}
                }
                text.push(c);
            }
        }
    }
}

/// Reads an escape sequence after its backslash, as in Go's string literals.
fn escape(cursor: &mut Cursor<'_>, text: &mut String) -> Result<(), SyntaxError> {
    let here = *cursor;
    let code = match cursor.bump() {
        Some(c @ ('"' | '\\')) => u32::from(c),
        Some('a') => 0x07,
        Some('b') => 0x08,
        Some('f') => 0x0c,
        Some('n') => 0x0a,
        Some('r') => 0x0d,
        Some('t') => 0x09,
        Some('v') => 0x0b,
        Some('x') => hex_digits(cursor, 2)?,
        Some('u') => hex_digits(cursor, 4)?,
        Some('U') => hex_digits(cursor, 8)?,
        Some('0'..='7') => {
            *cursor = here;
            let digits = take_octal(cursor);
            u32::from_str_radix(digits, 8)
                .ok()
                .filter(|code| digits.len() == 3 && *code < 256)
                .ok_or_else(|| here.fault("an octal escape is three digits up to \\377"))?
        }
        _ => return Err(here.expected("an escape such as \\n, \\\" or \\u00e9")),
    };
    text.push(char::from_u32(code).ok_or_else(|| here.fault("this escape names no character"))?);
    Ok(())
}

fn take_octal<'a>(cursor: &mut Cursor<'a>) -> &'a str {
    let mut left = 3;
    cursor.take_while(|c| {
        let takes = left > 0 && c.is_digit(8);
        left -= i32::from(takes);
        takes
    })
}

/// Reads `<<EOF` or `<<-EOF` up to the line that consists only of the marker. The text keeps its last line end. With
/// `-`, the marker's indentation is removed from all lines if all lines have it.
pub(super) fn heredoc(cursor: &mut Cursor<'_>) -> Result<String, SyntaxError> {
    let start = *cursor;
    if !cursor.eat("<<") {
        return Err(cursor.expected("a value"));
    }
    let indented = cursor.eat("-");
    let marker = cursor.take_while(|c| begins_identifier(c) || c.is_numeric());
    if marker.is_empty() {
        return Err(cursor.expected("a marker such as EOF after <<"));
    }
    cursor.eat("\r");
    if !cursor.eat("\n") {
        return Err(cursor.expected("the end of the line after a heredoc's marker"));
    }
    let mut lines = Vec::new();
    loop {
        let line = cursor.take_while(|c| c != '\n');
        let bare = line.trim_start();
        if bare.trim_end_matches('\r') == marker {
            let indentation = &line[..line.len() - bare.len()];
            return Ok(join(&lines, if indented { indentation } else { "" }));
        }
        if !cursor.eat("\n") {
            return Err(start.fault(format!("this heredoc is never closed; its last line must be {marker}")));
        }
        lines.push(line);
    }
}

fn join(lines: &[&str], indentation: &str) -> String {
    let all = lines.iter().all(|line| line.starts_with(indentation));
    let cut = if all { indentation.len() } else { 0 };
    let mut text = String::new();
    for line in lines {
        text.push_str(&line[cut..]);
        text.push('\n');
    }
    text
}
