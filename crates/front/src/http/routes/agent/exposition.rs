//! Metrics in the form of `agent/metrics`, parsed from Prometheus' text format.
//!
//! The exporter produces that text. Parsing it keeps one source for both forms. Values count from the start of the
//! process, not per interval.

use std::collections::BTreeMap;

use concord_api::Moment;
use concord_model::Timestamp;
use serde::Serialize;

/// The answer of `agent/metrics`.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tables {
    timestamp: String,
    gauges: Vec<Gauge>,
    points: [(); 0],
    counters: Vec<Counter>,
    samples: Vec<Sample>,
}

type Labels = BTreeMap<String, String>;

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Gauge {
    name: String,
    value: f64,
    labels: Labels,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Counter {
    name: String,
    count: f64,
    labels: Labels,
}

#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Sample {
    name: String,
    count: f64,
    sum: f64,
    mean: f64,
    labels: Labels,
}

/// Parses a text that was read at `now`. Lines that cannot be parsed are left out.
pub(super) fn tables(text: &str, now: Timestamp) -> Tables {
    let mut kinds: BTreeMap<&str, &str> = BTreeMap::new();
    let mut tables = Tables { timestamp: shown(now), ..Tables::default() };
    let mut samples: BTreeMap<(String, Labels), Sample> = BTreeMap::new();
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            if let Some((name, kind)) = declared.split_once(' ') {
                kinds.insert(name, kind);
            }
            continue;
        }
        let Some((name, labels, value)) = series(line) else { continue };
        match kinds.get(name) {
            Some(&"gauge") => tables.gauges.push(Gauge { name: name.to_owned(), value, labels }),
            Some(&"counter") => tables.counters.push(Counter { name: name.to_owned(), count: value, labels }),
            Some(_) | None => {
                let parts = [("_count", true), ("_sum", false)];
                let part = parts.iter().find_map(|(end, count)| Some((name.strip_suffix(end)?, *count)));
                let Some((base, is_count)) = part.filter(|(base, _)| kinds.contains_key(base)) else {
                    continue;
                };
                let sample = samples.entry((base.to_owned(), labels)).or_default();
                *(if is_count { &mut sample.count } else { &mut sample.sum }) = value;
            }
        }
    }
    let finished = samples.into_iter().map(|((name, labels), Sample { count, sum, .. })| {
        let mean = if count > 0.0 { sum / count } else { 0.0 };
        Sample { name, count, sum, mean, labels }
    });
    tables.samples = finished.collect();
    tables
}

/// A time in Go's format, to the second.
fn shown(now: Timestamp) -> String {
    let seconds = now.nanos() - now.nanos().rem_euclid(1_000_000_000);
    Moment::from(Timestamp::from_nanos(seconds)).to_string().replace('T', " ").replace('Z', " +0000 UTC")
}

/// `name{label="value",…} number`.
fn series(line: &str) -> Option<(&str, Labels, f64)> {
    if line.starts_with('#') {
        return None;
    }
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let (label, after) = rest.trim_start_matches(',').split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.insert(label.to_owned(), value);
            rest = after;
        }
    }
    let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
    value.is_finite().then_some((name, labels, value))
}

/// The value of a label up to its closing quote, and the rest of the text.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_series_has_its_table() {
        let text = "# HELP x y\n# TYPE open gauge\nopen{a=\"b\\\"}c\",d=\"e\"} 2\n# TYPE all_total counter\n\
                    all_total 7\n# TYPE took summary\ntook{quantile=\"0.5\"} 1\ntook_sum 6\ntook_count 3\nbroken{a\n";
        let tables = tables(text, Timestamp::from_nanos(1_500_000_000_900_000_000));
        assert_eq!(tables.timestamp, "2017-07-14 02:40:00 +0000 UTC");
        let labels = Labels::from([("a".to_owned(), "b\"}c".to_owned()), ("d".to_owned(), "e".to_owned())]);
        assert_eq!(tables.gauges, [Gauge { name: "open".to_owned(), value: 2.0, labels }]);
        assert_eq!(tables.counters.len(), 1);
        let sample =
            Sample { name: "took".to_owned(), count: 3.0, sum: 6.0, mean: 2.0, labels: Labels::new() };
        assert_eq!(tables.samples, [sample]);
    }
}
