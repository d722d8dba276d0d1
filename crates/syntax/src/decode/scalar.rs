//! Conversions between scalars.

use crate::tree::{Kind, Node};

use super::fault::{Fault, quoted};

/// An integer or a floating-point number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
}

pub(super) fn boolean(node: &Node, weak: bool) -> Result<bool, Fault> {
    let value = match &node.kind {
        Kind::Bool(value) => Some(*value),
        Kind::Int(value) if weak => Some(*value != 0),
        Kind::String(text) if weak => match text.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" | "" => Some(false),
            _ => None,
        },
        Kind::Null => Some(false),
        Kind::Int(_) | Kind::String(_) | Kind::Float(_) | Kind::List(_) | Kind::Object(_) => None,
    };
    value.ok_or_else(|| wanted("true or false", node))
}

/// An integer if possible. A floating-point number only if it has a fraction or is too large.
pub(super) fn integer(node: &Node, weak: bool) -> Result<Number, Fault> {
    let number = match &node.kind {
        Kind::Int(value) => Some(Number::Int(*value)),
        Kind::Float(value) => Some(whole(*value).map_or(Number::Float(*value), Number::Int)),
        Kind::Bool(value) if weak => Some(Number::Int(i64::from(*value))),
        Kind::String(text) if weak => parse_text(text).map(Number::Int),
        Kind::Null => Some(Number::Int(0)),
        Kind::Bool(_) | Kind::String(_) | Kind::List(_) | Kind::Object(_) => None,
    };
    number.ok_or_else(|| wanted("a number", node))
}

pub(super) fn float(node: &Node, weak: bool) -> Result<f64, Fault> {
    let number = match &node.kind {
        Kind::Int(value) => Some(*value as f64),
        Kind::Float(value) => Some(*value),
        Kind::Bool(value) if weak => Some(f64::from(u8::from(*value))),
        Kind::String(text) if weak && text.is_empty() => Some(0.0),
        Kind::String(text) if weak => text.parse().ok().filter(|value: &f64| value.is_finite()),
        Kind::Null => Some(0.0),
        Kind::Bool(_) | Kind::String(_) | Kind::List(_) | Kind::Object(_) => None,
    };
    number.ok_or_else(|| wanted("a number", node))
}

/// Text. Booleans become `1` and `0`, as in Consul's decoder.
pub(super) fn text(node: &Node, weak: bool) -> Result<String, Fault> {
    match &node.kind {
        Kind::String(text) => Ok(text.clone()),
        Kind::Null => Ok(String::new()),
        Kind::Int(value) if weak => Ok(value.to_string()),
        Kind::Float(value) if weak => Ok(value.to_string()),
        Kind::Bool(value) if weak => Ok(u8::from(*value).to_string()),
        Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::List(_) | Kind::Object(_) => {
            Err(wanted("a string", node))
        }
    }
}

/// Reads an integer in Go's notation, in any base: `0x1f`, `0o17`, `017`, `0b1`, `15`.
pub(crate) fn parse_integer(digits: &str, negative: bool) -> Option<i64> {
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let value = i128::from(u64::from_str_radix(digits, radix).ok()?);
    i64::try_from(if negative { -value } else { value }).ok()
}

fn parse_text(text: &str) -> Option<i64> {
    match text.strip_prefix('-') {
        Some(digits) => parse_integer(digits, true),
        None if text.is_empty() => Some(0),
        None => parse_integer(text.strip_prefix('+').unwrap_or(text), false),
    }
}

/// The equal integer, if the number is small enough to be exact.
fn whole(value: f64) -> Option<i64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    (value.fract() == 0.0 && value.abs() <= EXACT_MAX).then_some(value as i64)
}

pub(super) fn wanted(what: &str, node: &Node) -> Fault {
    let found = match &node.kind {
        Kind::String(text) => quoted(text),
        Kind::Bool(value) => value.to_string(),
        Kind::Int(value) => value.to_string(),
        Kind::Float(value) => value.to_string(),
        Kind::Null | Kind::List(_) | Kind::Object(_) => node.kind_name().to_owned(),
    };
    Fault::Value(format!("expected {what}, found {found}"))
}
