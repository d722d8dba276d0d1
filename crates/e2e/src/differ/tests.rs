//! The arguments, and that the seed determines the run.

use super::compare::Difference;
use super::*;

#[test]
fn arguments_are_read_or_refused() {
    let args = |text: &str| text.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>();
    let differ = parse(&args("--ours http://127.0.0.1:1/ --theirs 127.0.0.1:2 --seed 7")).unwrap();
    assert_eq!((differ.seed, differ.seeds, differ.requests, differ.token), (7, 1, 5_000, None));
    let all = parse(&args("--ours 127.0.0.1:1 --theirs 127.0.0.1:2 --seeds 3 --list l")).unwrap();
    assert_eq!((all.seeds, all.list), (3, Some("l".into())));
    for (wrong, said) in [
        ("--ours 127.0.0.1:1", "--theirs is missing"),
        ("--ours x --theirs 127.0.0.1:2", "--ours x: an address and port is needed"),
        ("--ours", "--ours needs a value"),
        ("--nope 1", "unknown: --nope"),
        ("--ours 127.0.0.1:1 --theirs 127.0.0.1:2 --seed x", "--seed x: a number is needed"),
    ] {
        assert_eq!(parse(&args(wrong)).unwrap_err(), said);
    }
}

#[test]
fn a_seed_draws_the_same_requests_and_another_seed_others() {
    let drawn = |seed| {
        let mut chance = Chance::of_seed(seed);
        (0..300).map(|_| format!("{:?}", area::any(Area::Mesh, &mut chance, true))).collect::<Vec<_>>()
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}

#[test]
fn every_area_is_drawn() {
    let mut chance = Chance::of_seed(1);
    let drawn: Vec<_> = (0..5_000)
        .map(|_| {
            let area = Area::any(&mut chance);
            area::any(area, &mut chance, true).pattern
        })
        .collect();
    for endpoint in [
        "PUT /v1/agent/service/register",
        "PUT /v1/agent/check/register",
        "GET /v1/agent/services",
        "PUT /v1/catalog/register",
        "GET /v1/catalog/services",
        "GET /v1/health/service/:service",
        "PUT /v1/config",
        "POST /v1/connect/intentions",
        "PUT /v1/connect/intentions/exact",
        "GET /v1/connect/ca/roots",
        "PUT /v1/connect/ca/configuration",
        "POST /v1/agent/connect/authorize",
        "PUT /v1/acl/token",
        "PUT /v1/acl/policy",
        "POST /v1/internal/acl/authorize",
        "GET /v1/status/leader",
    ] {
        assert!(drawn.iter().any(|pattern| pattern == endpoint), "{endpoint}");
    }
}

#[test]
fn every_request_is_written_down_in_its_order() {
    let mut report = Report::default();
    let request = Request::new("GET", "/v1/catalog/nodes", "/v1/catalog/nodes").with_odd("filter x");
    let differ = |what: &str| Difference { what: what.to_owned(), sides: ["1".to_owned(), "2".to_owned()] };
    report.begin_anew();
    report.add(&request, true, &[]);
    report.add(&request, false, &[differ("status 200, theirs 500"), differ("json .A: another value")]);
    let lines: Vec<serde_json::Value> =
        report.lines().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0], "a clean slate");
    assert_eq!(
        (&lines[1]["agreed"], lines[1]["differences"].as_array().map(Vec::len)),
        (&true.into(), Some(0))
    );
    let [known, other] = &lines[2]["differences"].as_array().unwrap()[..] else { panic!("two differences") };
    assert!(known["known"].as_str().unwrap().starts_with("filters: "));
    assert_eq!(
        (&other["what"], &other["known"]),
        (&"json .A: another value".into(), &serde_json::Value::Null)
    );
    assert_eq!((report.requests(), report.unknown()), (2, 1));
    let shown = report.to_string();
    assert!(shown.contains("2 requests, 2 groups of differences: 1 known, 1 not"), "{shown}");
    assert!(!shown.contains("GET *: status 200, theirs 500, odd"), "{shown}");
    assert!(
        shown.contains("GET *: status 403, theirs 500, odd"),
        "an entry that named none is told: {shown}"
    );
}
