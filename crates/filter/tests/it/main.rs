//! Properties of all expressions and texts.

use concord_filter::{Expression, Match, Operator, Pattern, Selectable, Selected, Selector};
use proptest::prelude::*;

fn selectors() -> impl Strategy<Value = Selector> {
    let part = prop_oneof!["[a-zA-Z][a-zA-Z0-9_/]{0,3}", "[0-9]{1,3}", any::<String>()];
    ("[a-mo-z][a-zA-Z0-9_/]{0,3}", proptest::collection::vec(part, 0..3))
        .prop_map(|(first, rest)| Selector { path: std::iter::once(first).chain(rest).collect() })
}

fn expressions() -> impl Strategy<Value = Expression> {
    let pattern = prop_oneof!["[a-z.]{0,4}", "\\^[a-c]\\+\\$", "\\\\d\\[\"\\]"];
    let operator = prop_oneof![
        any::<String>().prop_map(Operator::Equal),
        any::<String>().prop_map(Operator::NotEqual),
        any::<String>().prop_map(Operator::In),
        "[a-z0-9.]{0,4}".prop_map(Operator::NotIn),
        Just(Operator::Empty),
        Just(Operator::NotEmpty),
        pattern.clone().prop_map(|text| Operator::Matches(Pattern::parse(&text).expect("a pattern"))),
        pattern.prop_map(|text| Operator::NotMatches(Pattern::parse(&text).expect("a pattern"))),
    ];
    let leaf = (selectors(), operator)
        .prop_map(|(selector, operator)| Expression::Match(Match { selector, operator }));
    leaf.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Expression::Or),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(Expression::And),
            inner.prop_map(|part| Expression::Not(Box::new(part))),
        ]
    })
}

/// A record in which each selector exists and is a different text.
struct Echo;

impl Selectable for Echo {
    fn select(&self, path: &[&str]) -> Option<Selected<'_>> {
        Some(path.join("/").into())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn expressions_read_back_what_they_printed(expression in expressions()) {
        let text = expression.to_string();
        prop_assert_eq!(Expression::parse(&text), Ok(expression), "{}", text);
    }

    #[test]
    fn negation_turns_every_answer(expression in expressions()) {
        let answer = expression.matches(&Echo).expect("text takes every operator");
        let negated = Expression::Not(Box::new(expression));
        prop_assert_eq!(negated.matches(&Echo), Ok(!answer));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        let _ = Expression::parse(&text);
    }

    #[test]
    fn no_near_text_makes_the_parser_panic(
        words in proptest::collection::vec(
            prop_oneof![
                Just("a"), Just(".b"), Just("[\"c\"]"), Just(" == "), Just("!="), Just(" in "), Just(" not "), Just("("),
                Just(")"), Just("\""), Just("\\"), Just("\\u"), Just("`"), Just(" is "), Just("empty"), Just(" matches "),
                Just("é"), Just("1"), Just("-"), Just(" and "), Just(" or "), Just("["), Just("]"), Just("{2}"), Just("\\x4"),
            ],
            0..20,
        ),
    ) {
        if let Ok(expression) = Expression::parse(&words.concat()) {
            prop_assert_eq!(Expression::parse(&expression.to_string()), Ok(expression));
        }
    }

    #[test]
    fn no_pattern_panics(text in "[\\[\\]\\\\&~dDwWsSbBQEpP{}0-9a^:(|)?*+.$<>é-]{0,16}") {
        if let Ok(pattern) = Pattern::parse(&text) {
            pattern.is_match("abc é 012");
        }
    }
}
