//! A text that a regular expression matches.
//!
//! Reads what is common in paths and headers, and makes the shortest text. It knows less than the expressions allow:
//! whoever asks checks the text, and does without if there is none.

use std::iter::Peekable;
use std::str::Chars;

/// Groups within groups: more are not read.
const DEPTH_MAX: usize = 8;
/// The longest text: repetitions within repetitions could make one of any length.
const BYTES_MAX: usize = 1024;

/// A text that probably matches; `None` if the expression has something that is not read.
pub(super) fn example(expression: &str) -> Option<String> {
    let mut rest = expression.chars().peekable();
    let text = alternatives(&mut rest, 0)?;
    rest.next().is_none().then_some(text)
}

/// The first of the alternatives; the others are only read.
fn alternatives(rest: &mut Peekable<Chars<'_>>, depth: usize) -> Option<String> {
    let first = sequence(rest, depth)?;
    while rest.next_if_eq(&'|').is_some() {
        sequence(rest, depth)?;
    }
    Some(first)
}

fn sequence(rest: &mut Peekable<Chars<'_>>, depth: usize) -> Option<String> {
    let mut text = String::new();
    while let Some(next) = rest.next_if(|next| !matches!(next, '|' | ')')) {
        let atom = match next {
            '^' | '$' => continue,
            '(' => group(rest, depth + 1)?,
            '[' => class(rest)?.to_string(),
            '.' => "x".to_owned(),
            '\\' => escaped(rest.next()?)?.to_string(),
            '*' | '+' | '?' | '{' => return None,
            literal => literal.to_string(),
        };
        let times = times(rest)?;
        (text.len() + atom.len() * times <= BYTES_MAX).then_some(())?;
        text.push_str(&atom.repeat(times));
    }
    Some(text)
}

fn group(rest: &mut Peekable<Chars<'_>>, depth: usize) -> Option<String> {
    if depth > DEPTH_MAX {
        return None;
    }
    if rest.next_if_eq(&'?').is_some() {
        rest.next_if_eq(&':')?;
    }
    let text = alternatives(rest, depth)?;
    rest.next_if_eq(&')')?;
    Some(text)
}

/// One character of a class.
fn class(rest: &mut Peekable<Chars<'_>>) -> Option<char> {
    let inverted = rest.next_if_eq(&'^').is_some();
    let mut named = Vec::new();
    loop {
        match rest.next()? {
            ']' if !named.is_empty() => break,
            '[' => return None,
            '\\' => named.push(escaped(rest.next()?)?),
            one => named.push(one),
        }
    }
    if inverted {
        ['x', '0', '-'].into_iter().find(|one| !named.contains(one))
    } else {
        named.first().copied()
    }
}

fn escaped(letter: char) -> Option<char> {
    match letter {
        'd' => Some('0'),
        'w' | 'D' | 'S' => Some('x'),
        's' => Some(' '),
        'W' => Some('-'),
        other => (!other.is_ascii_alphanumeric()).then_some(other),
    }
}

/// How often the last part occurs at least.
fn times(rest: &mut Peekable<Chars<'_>>) -> Option<usize> {
    let least = match rest.next_if(|next| matches!(next, '*' | '+' | '?' | '{')) {
        Some('*' | '?') => 0,
        Some('{') => {
            let mut least = String::new();
            while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                least.push(digit);
            }
            while rest.next_if(|next| *next != '}').is_some() {}
            rest.next_if_eq(&'}')?;
            least.parse().ok().filter(|least| *least <= 100)?
        }
        _ => 1,
    };
    let _ = rest.next_if_eq(&'?');
    Some(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_the_shortest_text() {
        let check = |expression: &str, expected: Option<&str>| {
            assert_eq!(example(expression).as_deref(), expected, "{expression}");
        };
        check("/a.*", Some("/a"));
        check("^/admin/[^/]+$", Some("/admin/x"));
        check("/(a|admin)/\\d{3}", Some("/a/000"));
        check("(?:v[12])?/x+", Some("/x"));
        check("a\\.b", Some("a.b"));
        check("(", None);
        check("a)", None);
        check("(?i)a", None);
        check("[[:alpha:]]", None);
        check("a{1000}", None);
        check("((a{100}){100}){100}", None);
        check(&"(".repeat(100), None);
    }
}
