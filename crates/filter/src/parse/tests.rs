//! Tests of the grammar, of canonical texts and of limits.

use crate::limits::{EXPRESSION_BYTES_MAX, NESTING_MAX, PATTERNS_MAX};
use crate::{Expression, FilterError};

/// Parses `text` and compares the result's canonical form, which must parse to the same expression.
#[track_caller]
fn check(text: &str, canonical: &str) {
    let expression = Expression::parse(text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(expression.to_string(), canonical);
    assert_eq!(Expression::parse(canonical), Ok(expression));
}

#[track_caller]
fn check_refused(text: &str, says: &str) {
    let error = Expression::parse(text).expect_err("not an expression");
    assert!(error.to_string().contains(says), "{error}");
}

#[test]
fn every_operator() {
    check("a == \"v\"", "a == \"v\"");
    check("a!=\"v\"", "a != \"v\"");
    check("\"v\" in a", "\"v\" in a");
    check("v not in a", "\"v\" not in a");
    check("a contains v", "\"v\" in a");
    check("a not  contains \"v\"", "\"v\" not in a");
    check("a is empty", "a is empty");
    check("a is not empty", "a is not empty");
    check("a matches `^\\d$`", "a matches \"^\\\\d$\"");
    check("a not matches \"x\"", "a not matches \"x\"");
}

#[test]
fn not_binds_before_and_before_or() {
    check("not a is empty and b is empty or c is empty", "not a is empty and b is empty or c is empty");
    check("a is empty or (b is empty and c is empty)", "a is empty or b is empty and c is empty");
    check("(a is empty or b is empty) and c is empty", "(a is empty or b is empty) and c is empty");
    check("not (a is empty or b is empty)", "not (a is empty or b is empty)");
    check("not not a is empty", "not not a is empty");
    check("((a is empty))", "a is empty");
    check("a is empty and (b is empty and c is empty)", "a is empty and (b is empty and c is empty)");
    check(" \t(\na==b\r)and(c==d) ", "a == \"b\" and c == \"d\"");
}

#[test]
fn selectors_and_values() {
    check("Service.Meta.version == v1", "Service.Meta.version == \"v1\"");
    check("Meta[\"a b\"] == 1", "Meta[\"a b\"] == \"1\"");
    check("Meta[ `x` ].y.0 == -1.50", "Meta.x.y.0 == \"-1.50\"");
    check("a == v1.2 ", "a == \"v1.2\"");
    check("Meta[\"\"] == \"\"", "Meta[\"\"] == \"\"");
    check("a == \"\\\"\\\\\\n\\x41\\u00e9\\101\"", "a == \"\\\"\\\\\\x0aAéA\"");
    check("a == `b\\n`", "a == \"b\\\\n\"");
    check("kubernetes_io/name == a", "kubernetes_io/name == \"a\"");
    check(
        "notes == a and inner is empty and oracle == or",
        "notes == \"a\" and inner is empty and oracle == \"or\"",
    );
}

#[test]
fn what_is_not_an_expression_is_refused_with_place_and_remedy() {
    check_refused("", "column 1: expected a selector");
    check_refused("a", "column 2: expected ==, !=, in");
    check_refused("a = b", "column 3: expected ==, !=, in");
    check_refused("a == ", "expected a value");
    check_refused("a == b c", "column 8: expected and, or, or the end");
    check_refused("a == 10.0.0.1", "column 6: expected a number; put other values in double quotes");
    check_refused("a == 08", "double quotes");
    check_refused("a == \"b", "column 6: expected a closing double quote");
    check_refused("a == `b", "closing backquote");
    check_refused("a == \"\\d\"", "use backquotes");
    check_refused("a == \"\\u12\"", "use backquotes");
    check_refused("(a == b", "closing parenthesis");
    check_refused("\"v\" == a", "column 1: expected a selector, or in or not in");
    check_refused("\"v\"", "or in or not in after the value");
    check_refused("v in \"a\"", "a selector after in");
    check_refused("a. == b", "write other keys as");
    check_refused("a[b] == c", "text in double quotes");
    check_refused("a[\"b\" == c", "a closing bracket");
    check_refused("a.b-c == d", "column 4: expected ==");
    check_refused("a matches \"(\"", "column 11: the regular expression is not usable: unclosed group");
    check_refused("a == b and", "expected a selector");
    check_refused("a == b AND c == d", "expected and, or");
    check_refused("é == b", "column 1");
}

#[test]
fn n_20_depth_and_length_are_bounded() {
    let nested = |levels: usize| format!("{}a is empty{}", "(".repeat(levels), ")".repeat(levels));
    assert!(Expression::parse(&nested(NESTING_MAX)).is_ok());
    assert_eq!(
        Expression::parse(&nested(NESTING_MAX + 1)),
        Err(FilterError::TooDeep { column: NESTING_MAX + 2 })
    );
    assert!(matches!(
        Expression::parse(&format!("{}a is empty", "not ".repeat(4000))),
        Err(FilterError::TooDeep { .. })
    ));
    assert!(matches!(Expression::parse(&nested(10_000)), Err(FilterError::TooLong { .. })));
    let wide = vec!["a is empty"; EXPRESSION_BYTES_MAX / 20].join(" or ");
    assert!(Expression::parse(&wide).is_ok());
}

#[test]
fn n_64_regular_expressions_are_bounded() {
    let many = |count: usize| vec!["a matches b"; count].join(" or ");
    assert!(Expression::parse(&many(PATTERNS_MAX)).is_ok());
    check_refused(&many(PATTERNS_MAX + 1), "more than 16 regular expressions");
    check_refused("a matches `(a{100}){100}{100}`", "too large");
}
