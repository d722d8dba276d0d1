//! The differential runner finds no difference between two of our agents, but finds one in an agent which differs.

use concord_e2e::differ::Differ;
use concord_e2e::{AgentOptions, Http, World};

const ROOT: &str = "b0000000-0000-4000-8000-000000000001";
/// Number of requests in each run.
const REQUESTS: usize = 1_000;

fn guarded(world: &World, dir: &str, more: &str) -> concord_e2e::Agent {
    let hcl = format!(
        r#"acl {{ enabled = true default_policy = "deny"
            tokens {{ initial_management = "{ROOT}" agent = "{ROOT}" }} }} {more}"#
    );
    agent(world, dir, hcl)
}

fn agent(world: &World, dir: &str, hcl: String) -> concord_e2e::Agent {
    // A filter may ask for a part of the id, so it is the same.
    let id = r#"node_id = "0f0f0f0f-0000-4000-8000-0000000000c1""#.to_owned();
    let options = AgentOptions { dev: true, hcl: vec![id, hcl], ..AgentOptions::default() };
    let place = world.path(dir);
    std::fs::create_dir_all(&place).expect("a directory");
    world.agent_in(&place, "n1", options)
}

fn run(ours: &Http, theirs: &Http, token: Option<&str>, requests: usize) -> concord_e2e::differ::Report {
    let differ = Differ {
        ours: ours.clone(),
        theirs: theirs.clone(),
        token: token.map(ToOwned::to_owned),
        seed: 1,
        seeds: 1,
        requests,
        only: None,
        list: None,
    };
    differ.run().expect("both agents answer")
}

#[test]
fn two_agents_of_ours_do_not_differ() {
    let world = World::new();
    let (one, other) = (guarded(&world, "one", ""), guarded(&world, "other", ""));
    check_alike(&run(&one.http(), &other.http(), Some(ROOT), REQUESTS));
}

#[test]
fn two_agents_of_ours_without_acls_do_not_differ() {
    let world = World::new();
    let [one, other] = ["one", "other"].map(|dir| agent(&world, dir, String::new()));
    check_alike(&run(&one.http(), &other.http(), None, REQUESTS));
}

#[track_caller]
fn check_alike(report: &concord_e2e::differ::Report) {
    // The output of a check depends on whether the check has run already, the order of tokens on their random ids.
    let chance = [".Output: another value", "tokens are listed by accessor"];
    let groups: Vec<_> =
        report.groups().filter(|(_, what, _)| !chance.iter().any(|part| what.contains(part))).collect();
    assert_eq!(groups, [], "{report}");
    assert_eq!(report.requests(), REQUESTS);
    assert!(report.agreed() > REQUESTS / 3, "{report}");
}

#[test]
fn a_planted_difference_is_seen_as_what_it_is() {
    let world = World::new();
    let one = guarded(&world, "one", "");
    let other = guarded(&world, "other", r#"datacenter = "dc9""#);
    let report = run(&one.http(), &other.http(), Some(ROOT), 400);
    let found =
        |endpoint: &str, what: &str| report.groups().any(|(of, kind, _)| of == endpoint && kind == what);
    assert!(found("GET /v1/catalog/nodes", "json [].Datacenter: another value"), "{report}");
    assert!(report.unknown() > 0);
}
