//! Arguments, and that a seed decides over the course.

use super::*;

#[test]
fn arguments_are_read_or_refused() {
    let args = |text: &str| text.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>();
    let differ = parse(&args("--ours http://127.0.0.1:1/ --theirs 127.0.0.1:2 --seed 7")).unwrap();
    assert_eq!((differ.seed, differ.requests, differ.token), (7, 5_000, None));
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
        (0..300).map(|_| format!("{:?}", request::any(Area::Mesh, &mut chance, true))).collect::<Vec<_>>()
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
            request::any(area, &mut chance, true).pattern
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
