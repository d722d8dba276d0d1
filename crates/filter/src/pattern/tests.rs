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

#[test]
fn n_64_counts_beyond_those_of_other_engines_are_refused() {
    for pattern in [
        "a{1001}",
        "a{1,1001}",
        "a{1001,}",
        "(a{10}b){101}",
        "(?:(a{2}){10}|c){1,51}",
        r"[a}]{1001}",
        r"\x{41}{1001}",
    ] {
        let reason = Pattern::parse(pattern).expect_err(pattern);
        assert!(reason.contains("a repetition count is larger than 1000"), "{pattern}: {reason}");
    }
    for pattern in [
        "a{1000}",
        "a{0,1000}",
        "(a{10}b){100}",
        "(a{10})b{1000}",
        r"a\{1001}",
        "[{1001}]",
        r"\Q{1001}\E",
        r"\x{1001}",
        "[[:alpha:]]{2}",
        r"[\]{1001}]{2}",
        "(a{1000}|b){1}",
        "a+{2}",
    ] {
        let told = Pattern::parse(pattern).err();
        assert!(
            told.as_ref().is_none_or(|reason| !reason.contains("count is larger")),
            "{pattern}: {told:?}"
        );
    }
    // The limit of the compiled size is one of its own.
    assert!(Pattern::parse("[a-z]{1000}").is_ok());
    assert!(Pattern::parse(".{1000}").is_err_and(|reason| reason.contains("too large")));
}
