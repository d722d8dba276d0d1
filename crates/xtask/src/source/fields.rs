//! The structs that a file declares, with the names of their fields.

use super::code::{self, Token};

/// A struct with named fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Struct {
    pub(crate) name: String,
    pub(crate) fields: Vec<String>,
}

/// All structs in `code`, which has no comments and literals.
pub(crate) fn structs(code: &str) -> Vec<Struct> {
    let tokens: Vec<Token<'_>> = code::tokens(code).into_iter().map(|(_, token)| token).collect();
    let mut found = Vec::new();
    for (at, pair) in tokens.windows(2).enumerate() {
        if let [Token::Word("struct"), Token::Word(name)] = pair
            && let Some(fields) = fields(&tokens[at + 2..])
        {
            found.push(Struct { name: (*name).to_owned(), fields });
        }
    }
    found
}

/// The fields of the struct whose name was the last token. `None` if it has no named fields.
fn fields(tokens: &[Token<'_>]) -> Option<Vec<String>> {
    let is_body = |token: &Token<'_>| matches!(token, Token::Mark('{' | ';' | '('));
    let open = tokens.iter().position(is_body).filter(|at| tokens[*at] == Token::Mark('{'))?;
    let mut found = Vec::new();
    let mut depth = 0_usize;
    for at in open..tokens.len() {
        match tokens[at] {
            Token::Mark('{' | '(' | '[') => depth += 1,
            Token::Mark('}' | ')' | ']') => depth -= 1,
            Token::Word(name) if depth == 1 && tokens.get(at + 1) == Some(&Token::Mark(':')) => {
                found.push(name.to_owned());
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: &str, expected: &[&str]) {
        let found: Vec<String> =
            structs(code).iter().map(|found| format!("{}: {}", found.name, found.fields.join(" "))).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn fields_are_the_names_before_a_colon() {
        check(
            "pub struct A { pub a: u8, #[serde(x)] pub(crate) b: BTreeMap<K, a::V>, c: fn(d: u8) -> E }",
            &["A: a b c"],
        );
        check("struct A<T: Copy> where T: Ord { a: T }  struct B { b: [u8; 4] }", &["A: a", "B: b"]);
    }

    #[test]
    fn a_struct_without_names_has_no_fields() {
        check("struct A; struct B(u8, C); enum D { E { f: u8 } } fn g(h: u8) { I { j: 1 } }", &[]);
    }
}
