//! Tests which expressions compile and what they match.

use super::Pattern;

#[track_caller]
fn check(pattern: &str, matching: &[&str], others: &[&str]) {
    let pattern = Pattern::parse(pattern).unwrap_or_else(|error| panic!("{error}"));
    for text in matching {
        assert!(pattern.is_match(text), "{pattern:?} on {text:?}");
    }
    for text in others {
        assert!(!pattern.is_match(text), "{pattern:?} on {text:?}");
    }
}

#[test]
fn classes_are_about_ascii() {
    check(r"^\d+$", &["12"], &["٣", "a"]);
    check(r"^[\d-]+$", &["1-2"], &["é"]);
    check(r"^\w$", &["a", "_"], &["é"]);
    check(r"^\W\S$", &["éé"], &["aé"]);
    check(r"^[^\s]$", &["é"], &[" "]);
    check(r"\bweb\b", &["a web b"], &["webs"]);
}

#[test]
fn inside_a_class_marks_are_themselves() {
    check(r"^[[a]+$", &["[a"], &["]"]);
    check(r"^[]a]+$", &["]a"], &["["]);
    check(r"^[^]a]$", &["["], &["]"]);
    check(r"^[a&&b]+$", &["a&b"], &["c"]);
    check(r"^[a~~b]+$", &["a~b"], &["c"]);
    check(r"^[!--]$", &["+"], &["."]);
    check(r"^[[:alpha:]_]+$", &["a_"], &["1", ":"]);
    check(r"^[\]\\]+$", &["]\\"], &["a"]);
}

#[test]
fn quoted_text_is_literal() {
    check(r"^\Qa.b*\E+$", &["a.b**"], &["axb"]);
    check(r"\Qa.b", &["a.b"], &["axb"]);
}

#[test]
fn octal_digits_are_a_character() {
    check(r"^\101\60$", &["A0"], &["1010"]);
    check(r"^[\101-\103]\0$", &["B\0"], &["1"]);
    check(r"^\1011$", &["A1"], &["A"]);
}

#[test]
fn matching_is_by_part_unless_anchored() {
    check("v1", &["xv1y"], &["v2"]);
    check("(?i)^WEB$", &["web"], &["webs"]);
    check("", &["", "a"], &[]);
}

#[test]
fn n_64_unusable_and_oversized_expressions_are_refused() {
    for pattern in ["(", "[a", "a{1000}{1000}", "\\", "*", "(?P<n>a)\\1", "(?=a)"] {
        assert!(Pattern::parse(pattern).is_err(), "{pattern}");
    }
    assert!(Pattern::parse(&"(".repeat(10_000)).is_err());
    assert!(Pattern::parse(&format!("{}a{}", "(".repeat(1000), ")".repeat(1000))).is_err());
    let reason = Pattern::parse("a{1000}{1000}").unwrap_err();
    assert!(reason.contains("too large"), "{reason}");
}
