//! Code without its comments and literals, and its tokens.

/// Replaces the contents of comments, strings and character literals, and whole lifetimes, with blanks. Newlines are
/// kept, so line numbers do not change.
pub(crate) fn only(text: &str) -> String {
    Blanker { rest: text, out: String::with_capacity(text.len()) }.run()
}

const TEST_ONLY: &str = "#[cfg(test)]";

/// Removes `#[cfg(test)] mod … { … }` blocks.
pub(crate) fn without_test_modules(code: &str) -> String {
    without(code, |item| ["mod ", "pub mod ", "pub(crate) mod "].iter().any(|start| item.starts_with(start)))
}

/// Removes all items with `#[cfg(test)]`.
pub(crate) fn without_test_items(code: &str) -> String {
    without(code, |_| true)
}

/// Removes the items with `#[cfg(test)]` for whose text `is_cut` holds. Line numbers do not change.
fn without(code: &str, is_cut: impl Fn(&str) -> bool) -> String {
    let mut out = code.to_owned();
    let mut from = 0;
    while let Some(found) = out[from..].find(TEST_ONLY) {
        from += found + TEST_ONLY.len();
        if !is_cut(out[from..].trim_start()) {
            continue;
        }
        let end = item_end(&out, from);
        let blank: String = out[from..end].chars().map(|c| if c == '\n' { c } else { ' ' }).collect();
        out.replace_range(from..end, &blank);
    }
    out
}

/// The position after the item that starts at `from`: after its semicolon, or after the brace that closes its body. The
/// braces of a `use` are not a body, and a field ends with its comma.
fn item_end(code: &str, from: usize) -> usize {
    let is_use = code[from..].trim_start().trim_start_matches("pub").trim_start().starts_with("use ")
        || code[from..].trim_start().starts_with("pub(crate) use ");
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'{' if depth == 0 && !is_use => return matching_brace(code, at),
            b';' if depth == 0 => return at + 1,
            b',' if depth == 0 && !is_use => return at + 1,
            b'(' | b'[' | b'{' | b'<' => depth += 1,
            b'>' if code.as_bytes()[at - 1] == b'-' => {}
            b'}' if depth == 0 => return at,
            b')' | b']' | b'}' | b'>' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    code.len()
}

/// The position after the brace that closes the one at `open`, or the end of the code.
pub(crate) fn matching_brace(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// A token of code without comments and literals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    Word(&'a str),
    Mark(char),
    /// `::`
    Path,
}

/// The tokens with their line numbers, counted from one.
pub(crate) fn tokens(code: &str) -> Vec<(usize, Token<'_>)> {
    let mut out = Vec::new();
    let mut line = 1;
    let mut chars = code.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\n' {
            line += 1;
        } else if is_word(c) {
            let mut end = at + c.len_utf8();
            while let Some((next, c)) = chars.next_if(|(_, c)| is_word(*c)) {
                end = next + c.len_utf8();
            }
            out.push((line, Token::Word(&code[at..end])));
        } else if c == ':' && chars.next_if(|(_, c)| *c == ':').is_some() {
            out.push((line, Token::Path));
        } else if !c.is_whitespace() {
            out.push((line, Token::Mark(c)));
        }
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

struct Blanker<'a> {
    rest: &'a str,
    out: String,
}

// === impl Blanker ===

impl<'a> Blanker<'a> {
    fn run(mut self) -> String {
        let mut previous = ' ';
        while let Some(c) = self.rest.chars().next() {
            let at_word_start = !is_word(previous);
            previous = c;
            if self.rest.starts_with("//") {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.blank(end);
            } else if self.rest.starts_with("/*") {
                let end = block_comment(self.rest);
                self.blank(end);
            } else if let Some(end) = at_word_start.then(|| raw_string(self.rest)).flatten() {
                self.blank(end);
            } else if c == '"' {
                let end = quoted(self.rest, '"');
                self.blank(end);
            } else if c == '\'' {
                let end = char_or_lifetime(self.rest);
                self.blank(end);
            } else {
                self.keep(c.len_utf8());
            }
        }
        self.out
    }

    fn blank(&mut self, len: usize) {
        let (gone, rest) = self.rest.split_at(len);
        self.out.extend(gone.chars().map(|c| if c == '\n' { c } else { ' ' }));
        self.rest = rest;
    }

    fn keep(&mut self, len: usize) {
        let (kept, rest) = self.rest.split_at(len);
        self.out.push_str(kept);
        self.rest = rest;
    }
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let bytes = text.as_bytes();
    let mut at = 0;
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The length of `r"…"`, `r#"…"#`, `br"…"` or `cr"…"` at the start of `text`.
fn raw_string(text: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"].into_iter().find(|prefix| {
        text.strip_prefix(prefix).is_some_and(|rest| rest.trim_start_matches('#').starts_with('"'))
    })?;
    let rest = &text[prefix.len()..];
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    let close = format!("\"{}", "#".repeat(hashes));
    let body = prefix.len() + hashes + 1;
    Some(text[body..].find(&close).map_or(text.len(), |at| body + at + close.len()))
}

/// The length of a literal that starts and ends with `quote` and has backslash escapes.
fn quoted(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote {
            return at + 1;
        }
    }
    text.len()
}

fn char_or_lifetime(text: &str) -> usize {
    let mut chars = text.chars().skip(1);
    let (first, second) = (chars.next(), chars.next());
    if first == Some('\\') || second == Some('\'') {
        return quoted(text, '\'');
    }
    1 + text[1..].find(|c| !is_word(c)).unwrap_or(text.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, words: &[&str]) {
        let code = only(text);
        assert_eq!(code.lines().count(), text.lines().count(), "line numbers stay");
        let found: Vec<&str> = tokens(&code)
            .into_iter()
            .filter_map(|(_, token)| if let Token::Word(word) = token { Some(word) } else { None })
            .collect();
        assert_eq!(found, words);
    }

    #[test]
    fn comments_and_literals_are_not_code() {
        check("a // tokio\nb", &["a", "b"]);
        check("a /* x /* y */ z */ b", &["a", "b"]);
        check(r#"a "tokio \" x" b"#, &["a", "b"]);
        check(r##"a r#"tokio " x"# b"##, &["a", "b"]);
        check("a br\"x\" b", &["a", "b"]);
        check("for_r \"x\" b", &["for_r", "b"]);
        check("a '{' '\\'' '\\n' b", &["a", "b"]);
        check("fn f<'a>(x: &'a str) -> &'static str", &["fn", "f", "x", "str", "str"]);
    }

    #[test]
    fn test_modules_are_cut_and_lines_stay() {
        let code = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { Instant }\n}\nfn c() {}";
        let cut = without_test_modules(code);
        assert!(!cut.contains("Instant") && cut.contains("fn c"));
        assert_eq!(cut.lines().count(), code.lines().count());
        let single = "#[cfg(test)]\nfn only_one() {}\nfn kept() {}";
        assert_eq!(without_test_modules(single), single);
    }

    #[test]
    fn test_items_are_cut_and_what_follows_stays() {
        for item in [
            "fn gone(x: Vec<(A, B)>) -> C<D, E> { gone() }",
            "use gone::{a, b};",
            "pub(crate) use gone::a;",
            "mod gone;",
            "gone: Option<Gone>,",
        ] {
            let code = format!("fn a() {{}}\n#[cfg(test)]\n{item}\nfn kept() {{}}");
            let cut = without_test_items(&code);
            assert!(!cut.contains("gone") && cut.ends_with("\nfn kept() {}"), "{item}: {cut}");
        }
    }
}
