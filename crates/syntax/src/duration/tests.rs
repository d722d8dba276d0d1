//! Tests of durations in Go's notation.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{DurationError, format, format_signed, parse, parse_signed};

#[track_caller]
fn check(text: &str, nanos: i64, printed: &str) {
    assert_eq!(parse_signed(text), Ok(nanos), "{text}");
    assert_eq!(format_signed(nanos), printed);
}

#[test]
fn go_reads_and_writes_the_same() {
    check("0", 0, "0s");
    check("-0", 0, "0s");
    check("10s", 10_000_000_000, "10s");
    check("1h", 3_600_000_000_000, "1h0m0s");
    check("90m", 5_400_000_000_000, "1h30m0s");
    check("1m30s", 90_000_000_000, "1m30s");
    check("1.5h", 5_400_000_000_000, "1h30m0s");
    check(".5s", 500_000_000, "500ms");
    check("1.s", 1_000_000_000, "1s");
    check("1500us", 1_500_000, "1.5ms");
    check("7µs", 7_000, "7µs");
    check("7μs", 7_000, "7µs");
    check("1ns", 1, "1ns");
    check("-1m0.5s", -60_500_000_000, "-1m0.5s");
    check("+5s", 5_000_000_000, "5s");
    check("3s2h", 7_203_000_000_000, "2h0m3s");
    check("0.3333333333333333333h", 1_200_000_000_000 - 1, "19m59.999999999s");
    check("9223372036854775807ns", i64::MAX, "2562047h47m16.854775807s");
    check("-9223372036854775808ns", i64::MIN, "-2562047h47m16.854775808s");
}

#[test]
fn what_go_refuses_is_refused() {
    let invalid = |text: &str| assert_eq!(parse(text), Err(DurationError::Invalid(text.into())));
    for text in
        ["", "-", "s", ".", ".s", "--1s", "9223372036854775808ns", "2562048h", "99999999999999999999s"]
    {
        invalid(text);
    }
    assert_eq!(parse("10"), Err(DurationError::MissingUnit("10".into())));
    assert_eq!(parse("1s5"), Err(DurationError::MissingUnit("1s5".into())));
    assert_eq!(parse("3d"), Err(DurationError::UnknownUnit { unit: "d".into(), text: "3d".into() }));
    assert_eq!(parse("3s "), Err(DurationError::UnknownUnit { unit: "s ".into(), text: "3s ".into() }));
    assert!(parse(" 3s").is_err());
    assert_eq!(parse("3d").unwrap_err().to_string(), "time: unknown unit \"d\" in duration \"3d\"");
}

#[test]
fn negative_durations_are_refused_where_only_length_counts() {
    assert_eq!(parse("-1s"), Err(DurationError::Negative("-1s".into())));
    assert_eq!(parse("-0s"), Ok(Duration::ZERO));
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Timeouts {
    #[serde(with = "crate::duration::serde_go", default)]
    connect: Duration,
    #[serde(with = "crate::duration::serde_go::option", default)]
    idle: Option<Duration>,
}

#[test]
fn serde_fields_take_text_or_nanoseconds() {
    let read = |text: &str| crate::decode::<Timeouts>(&crate::hcl::parse(text).unwrap(), "t").ok();
    let timeouts = |connect, idle| Some(Timeouts { connect, idle });
    assert_eq!(
        read("connect = \"10s\" idle = 5000000000"),
        timeouts(Duration::from_secs(10), Some(Duration::from_secs(5)))
    );
    assert_eq!(read("idle = \"\""), timeouts(Duration::ZERO, None));
    assert_eq!(
        read("{\"connect\": null, \"idle\": 1e9}"),
        timeouts(Duration::ZERO, Some(Duration::from_secs(1)))
    );
    assert_eq!(read("connect = \"10\""), None);
    assert_eq!(read("connect = -1"), None);
    assert_eq!(read("connect = 1.5"), None);
    let json = serde_json::to_string(&timeouts(Duration::from_millis(90_500), None)).unwrap();
    assert_eq!(json, r#"{"connect":"1m30.5s","idle":null}"#);
    assert_eq!(serde_json::from_str::<Timeouts>(&json).ok(), timeouts(Duration::from_millis(90_500), None));
}

#[test]
fn unsigned_durations_print_beyond_the_range_of_go() {
    assert_eq!(format(Duration::from_secs(3600 * 3_000_000)), "3000000h0m0s");
}
