//! Plans: they say what the writes do, need their rights, and write nothing.

use concord_mesh::chain::Overrides;
use concord_mesh::plan::{ChainState, Outcome, Plan, STEPS_MAX, lines};
use concord_model::entry::{Entry, EntryKind, EntryName};
use concord_model::intention::Action;
use concord_rpc::RpcError;
use concord_rpc::request::{
    ApplyEntry, CheckIntention, DeleteEntry, PlanEntries, PlannedChange, ReadChain, ReadEntry,
    ReadEntryStatus,
};

use crate::catalog::sidecar;
use crate::intention::entry;
use crate::world::{Host, ROOT, Setup, register, target};

fn other(kind: &str, name: &str, said: &str) -> Entry {
    let scope = format!(r#"{{"namespace": "default", "name": "{name}"}}"#);
    serde_json::from_str(&format!(r#"{{"{kind}": {{"scope": {scope}, "said": {{{said}}}}}}}"#)).unwrap()
}

fn write(entry: Entry) -> PlannedChange {
    PlannedChange::Write(Box::new(entry))
}

fn delete(kind: EntryKind, name: &str) -> PlannedChange {
    PlannedChange::Delete(EntryName::parse(kind, name).unwrap())
}

/// What an operator might write: some of it cannot stand beside the rest.
fn changes() -> Vec<PlannedChange> {
    let subset = r#""subsets": {"v1": {"filter": "Service.Meta.v == 1"}}"#;
    let split = r#""splits": [{"weight": 50}, {"weight": 50, "service": "db"}]"#;
    let route = r#""routes": [{"match": {"http": {"path_prefix": "/a"}}, "destination": {"service": "db"}}]"#;
    let lost = r#""routes": [{"destination": {"service": "db", "service_subset": "v1"}}]"#;
    vec![
        write(entry("db", &[("web", Action::Allow)])),
        write(entry("db", &[("web", Action::Deny), ("*", Action::Allow)])),
        write(entry("*", &[("*", Action::Deny)])),
        delete(EntryKind::ServiceIntentions, "db"),
        write(other("service-defaults", "db", r#""protocol": "http""#)),
        write(other("service-defaults", "web", r#""protocol": "http""#)),
        write(other("service-defaults", "web", r#""protocol": "tcp""#)),
        delete(EntryKind::ServiceDefaults, "db"),
        write(other("proxy-defaults", "global", r#""config": {"protocol": "http"}"#)),
        delete(EntryKind::ProxyDefaults, "global"),
        write(other("service-resolver", "db", subset)),
        write(other("service-resolver", "db", r#""connect_timeout": 7000000000"#)),
        delete(EntryKind::ServiceResolver, "db"),
        write(other("service-splitter", "web", split)),
        delete(EntryKind::ServiceSplitter, "web"),
        write(other("service-router", "web", route)),
        write(other("service-router", "web", lost)),
        delete(EntryKind::ServiceRouter, "web"),
        write(other("service-defaults", "*", "")),
    ]
}

/// All entries that the changes are about.
async fn all_stored(host: &Host) -> Vec<Option<String>> {
    let mut told = Vec::new();
    for change in changes() {
        let found = host.ask(ReadEntry { name: change.name() }).await.unwrap().value;
        told.push(found.map(|entry| serde_json::to_string(&*entry).unwrap()));
    }
    told
}

async fn plan(host: &Host, changes: Vec<PlannedChange>) -> Plan {
    host.ask(PlanEntries { changes }).await.unwrap().value
}

async fn carry_out(host: &Host, change: &PlannedChange) -> Result<bool, RpcError> {
    match change.clone() {
        PlannedChange::Write(entry) => {
            host.ask(ApplyEntry { entry: *entry, cas: None }).await.map(|own| own.value)
        }
        PlannedChange::Delete(name) => host.ask(DeleteEntry { name, cas: None }).await.map(|own| own.value),
    }
}

async fn stored(host: &Host, name: &EntryName) -> Option<Entry> {
    host.ask(ReadEntry { name: name.clone() }).await.unwrap().value.map(|entry| Entry::clone(&entry))
}

async fn chain(host: &Host, of: &str) -> Result<Vec<String>, String> {
    let question = ReadChain { service: target(of), datacenter: None, overrides: Overrides::default() };
    host.ask(question).await.map(|chain| lines(&chain.value)).map_err(|error| error.to_string())
}

/// Who may call whom.
async fn verdicts(host: &Host) -> Vec<(&'static str, &'static str, bool)> {
    let mut all = Vec::new();
    for destination in ["db", "web"] {
        for source in ["db", "web"] {
            let request = CheckIntention { source: Some(target(source)), destination: target(destination) };
            all.push((source, destination, host.ask(request).await.unwrap().value.allowed));
        }
    }
    all
}

/// The same stored entry, whenever it was written.
fn same(planned: &Entry, stored: &Entry) -> bool {
    planned.says_the_same(stored)
}

#[tokio::test(start_paused = true)]
async fn what_a_plan_says_is_what_the_writes_do() {
    let host = Setup::open().start().await.with_ca().await;
    for of in ["web", "db"] {
        host.ask(register("n1", of)).await.unwrap();
    }
    let (all, mut at, mut refused, mut flipped, mut routed) = (changes(), 7_usize, 0, 0, 0);
    for _ in 0..60 {
        let batch: Vec<_> = (0..3)
            .map(|_| {
                at = (at * 31 + 17) % 9973;
                all[at % all.len()].clone()
            })
            .collect();
        let before = (verdicts(&host).await, [chain(&host, "db").await, chain(&host, "web").await]);
        let planned = plan(&host, batch.clone()).await;
        assert_eq!(planned.steps.len(), 3);
        for (step, change) in planned.steps.iter().zip(&batch) {
            let was = stored(&host, &change.name()).await;
            let written = carry_out(&host, change).await;
            let is = stored(&host, &change.name()).await;
            match (&step.outcome, written) {
                (Outcome::Refused { reason }, Err(error)) => {
                    assert_eq!(*reason, error.to_string());
                    refused += 1;
                }
                (Outcome::Created { after }, Ok(true)) => assert!(was.is_none() && same(after, &is.unwrap())),
                (Outcome::Changed { before, after }, Ok(true)) => {
                    assert!(same(before, &was.unwrap()) && same(after, &is.unwrap()));
                }
                (Outcome::Unchanged, Ok(true)) => assert_eq!(was, is),
                (Outcome::Removed { before }, Ok(true)) => {
                    assert!(same(before, &was.unwrap()) && is.is_none())
                }
                (Outcome::Absent, Ok(true)) => assert!(was.is_none() && is.is_none()),
                (outcome, written) => panic!("{change:?}: planned {outcome:?}, written {written:?}"),
            }
        }
        let after = (verdicts(&host).await, [chain(&host, "db").await, chain(&host, "web").await]);
        let flips = &planned.effects.verdicts;
        let told = flips.first.iter().filter(|flip| flip.request.is_none()).map(|flip| {
            (flip.source.name.as_str().to_owned(), flip.destination.name.as_str().to_owned(), flip.allowed)
        });
        // The servers' own service is known, too.
        let told: Vec<_> = told.filter(|(from, to, _)| from != "consul" && to != "consul").collect();
        let expected = before.0.iter().zip(&after.0).filter(|(was, is)| was != is);
        let expected: Vec<_> =
            expected.map(|(_, (from, to, is))| (from.to_string(), to.to_string(), *is)).collect();
        assert_eq!(told, expected);
        flipped += expected.len();
        for (at, name) in ["db", "web"].into_iter().enumerate() {
            let changed = planned.effects.chains.first.iter().find(|own| own.service == target(name));
            assert_eq!(changed.is_some(), before.1[at] != after.1[at], "{name}");
            let Some(changed) = changed else { continue };
            routed += 1;
            if let ChainState::Whole { lines, .. } = &changed.after {
                let now = after.1[at].as_ref().unwrap();
                assert!(
                    lines.iter().all(|line| now.contains(line) || line.starts_with("the same")),
                    "{lines:?}"
                );
            }
        }
    }
    assert!(refused > 10 && flipped > 10 && routed > 10, "{refused} {flipped} {routed}");
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_plan_writes_nothing() {
    let host = Setup::open().start().await.with_ca().await;
    host.ask(register("n1", "web")).await.unwrap();
    let first = plan(&host, Vec::new()).await.index;
    let before = all_stored(&host).await;
    let planned = plan(&host, changes()).await;
    assert!(planned.steps.iter().any(|step| matches!(step.outcome, Outcome::Created { .. })));
    assert_eq!(all_stored(&host).await, before);
    assert_eq!(plan(&host, Vec::new()).await.index, first, "the log is as long as before");
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_221_a_plan_needs_the_right_to_each_of_its_writes() {
    let host = Setup::guarded().start().await.with_ca().await;
    let rules = r#"service "web" { policy = "write" } service "db" { policy = "read" }"#;
    let token = host.token("web", rules).await;
    let secret = token.secret.as_str();
    let resolver = || write(other("service-resolver", "web", r#""connect_timeout": 1"#));
    let ask = async |changes| host.ask_as(secret, PlanEntries { changes }).await;
    assert!(ask(vec![resolver()]).await.is_ok());
    let refuse = async |change: PlannedChange, named: &str| {
        let refused = ask(vec![resolver(), change]).await.unwrap_err();
        assert!(refused.is_denial(), "{refused}");
        let text = refused.to_string();
        assert!(text.starts_with("Permission denied") && text.contains(named), "{text}");
    };
    refuse(write(other("service-resolver", "db", "")), "service-resolver/db").await;
    refuse(delete(EntryKind::ServiceResolver, "db"), "service-resolver/db").await;
    refuse(write(other("mesh", "mesh", "")), "mesh/mesh").await;
    refuse(write(entry("web", &[("db", Action::Deny)])), "service-intentions/web").await;
    // Where requests go must be for the caller to read.
    refuse(
        write(other("service-resolver", "web", r#""redirect": {"service": "api"}"#)),
        "service-resolver/web",
    )
    .await;
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_222_a_plan_tells_nothing_that_its_caller_may_not_read() {
    let host = Setup::guarded().start().await.with_ca().await;
    for of in ["web", "db", "api"] {
        host.ask_as(ROOT, register("n1", of)).await.unwrap();
    }
    let stored = [
        other("proxy-defaults", "global", r#""config": {"protocol": "http"}"#),
        other("service-resolver", "api", r#""redirect": {"service": "db"}"#),
        other(
            "ingress-gateway",
            "edge",
            r#""listeners": [{"port": 80, "protocol": "http", "services": [{"name": "api"}]}]"#,
        ),
    ];
    for entry in stored {
        assert!(host.ask_as(ROOT, ApplyEntry { entry, cas: None }).await.unwrap());
    }
    let changes = || {
        vec![
            write(other("service-resolver", "db", r#""connect_timeout": 7"#)),
            write(entry("*", &[("*", Action::Allow)])),
            write(other(
                "ingress-gateway",
                "edge",
                r#""listeners": [{"port": 81, "protocol": "http", "services": [{"name": "api"}]}]"#,
            )),
        ]
    };
    let told = async |rules: &str, name: &str, changes: Vec<PlannedChange>| {
        let token = host.token(name, rules).await;
        let secret = token.secret.as_str();
        let head = crate::world::with(secret);
        let answer = concord_rpc::ServerApiExt::call(&host.api, head, PlanEntries { changes }).await;
        let answer = answer.unwrap();
        (answer.filtered, answer.value)
    };
    let all = r#"node_prefix "" { policy = "read" } service_prefix "" { policy = "write" intentions = "write" } mesh = "write""#;
    let (filtered, plan) = told(all, "all", changes()).await;
    let chains: Vec<_> = plan.effects.chains.first.iter().map(|own| own.service.name.to_string()).collect();
    assert_eq!((filtered, chains), (false, vec!["api".to_owned(), "db".to_owned()]));
    assert_eq!(plan.effects.verdicts.pairs, 16);
    assert!(matches!(plan.steps[2].outcome, Outcome::Changed { .. }));
    // Every right to write that is needed, and the right to read neither `api` nor its intentions, nor `edge`.
    let some = r#"node_prefix "" { policy = "read" } service_prefix "" { policy = "write" intentions = "write" }
        service "api" { policy = "deny" intentions = "write" } service "edge" { policy = "deny" intentions = "write" }
        mesh = "write""#;
    let (filtered, plan) = told(some, "some", changes()).await;
    let text = serde_json::to_string(&plan.effects).unwrap();
    assert!(filtered && !text.contains("api"), "{text}");
    assert_eq!((plan.effects.chains.all, plan.effects.verdicts.pairs), (1, 9));
    assert_eq!(plan.steps[2].outcome, Outcome::Accepted, "nothing of what it says now");
    // The protocol of a service decides whether a token is seen there: a verdict changes with the service alone.
    let mut demanding = entry("web", &[("db", Action::Allow)]);
    let Entry::ServiceIntentions(own) = &mut demanding else { unreachable!() };
    own.jwt = serde_json::from_str(r#"{"providers": [{"name": "okta"}]}"#).unwrap();
    let keys = r#""json_web_key_set": {"local": {"jwks": "e30="}}"#;
    for entry in [other("jwt-provider", "okta", keys), demanding] {
        assert!(host.ask_as(ROOT, ApplyEntry { entry, cas: None }).await.unwrap());
    }
    let changes = || vec![write(other("service-defaults", "web", r#""protocol": "tcp""#))];
    let (_, plan) = told(all, "all-again", changes()).await;
    assert_eq!(plan.effects.verdicts.pairs, 1);
    let some =
        r#"node_prefix "" { policy = "read" } service_prefix "" { policy = "write" intentions = "deny" }"#;
    let (filtered, plan) = told(some, "service", changes()).await;
    assert_eq!((filtered, plan.effects.verdicts.pairs), (true, 0));
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_is_too_long_is_refused() {
    let host = Setup::open().start().await.with_ca().await;
    let changes = vec![delete(EntryKind::ServiceRouter, "web"); STEPS_MAX + 1];
    let refused = host.ask(PlanEntries { changes }).await.unwrap_err().to_string();
    assert!(refused.contains("at most 100 entries are planned at a time, these are 101"), "{refused}");
    assert_eq!(plan(&host, Vec::new()).await.steps, []);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_status_of_an_entry_tells_what_it_does_for_which_services() {
    let host = Setup::open().start().await.with_ca().await;
    for of in ["web", "api"] {
        host.ask(register("n1", of)).await.unwrap();
    }
    let status = async |kind, name| {
        let name = EntryName::parse(kind, name).unwrap();
        host.ask(ReadEntryStatus { name }).await.unwrap().value
    };
    assert_eq!(status(EntryKind::ServiceSplitter, "web").await, None);
    let stored = [
        other("proxy-defaults", "global", r#""config": {"protocol": "http"}"#),
        other("service-splitter", "web", r#""splits": [{"weight": 90}, {"weight": 10, "service": "api"}]"#),
        entry("api", &[("web", Action::Deny)]),
    ];
    for entry in stored {
        assert!(host.ask(ApplyEntry { entry, cas: None }).await.unwrap().value);
    }
    let splitter = status(EntryKind::ServiceSplitter, "web").await.unwrap();
    assert_eq!((splitter.refused, splitter.chains.whole, splitter.effects.chains.all), (None, 1, 1));
    assert_eq!(splitter.effects.verdicts.all, 0);
    let intentions = status(EntryKind::ServiceIntentions, "api").await.unwrap();
    let flips: Vec<_> = intentions.effects.verdicts.first.iter().map(|one| one.allowed).collect();
    assert_eq!((flips, intentions.chains.whole), (vec![true], 0));
    // What it says is what a plan to delete the entry says.
    let gone = plan(&host, vec![delete(EntryKind::ServiceIntentions, "api")]).await;
    assert_eq!(gone.effects, intentions.effects);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_223_a_status_tells_of_services_that_its_caller_may_read() {
    let host = Setup::guarded().start().await.with_ca().await;
    for of in ["web", "api", "db"] {
        host.ask_as(ROOT, register("n1", of)).await.unwrap();
        host.ask_as(ROOT, sidecar("n1", of)).await.unwrap();
    }
    let all = other("proxy-defaults", "global", r#""config": {"protocol": "http", "a": 1}"#);
    assert!(host.ask_as(ROOT, ApplyEntry { entry: all, cas: None }).await.unwrap());
    let name = EntryName::only(EntryKind::ProxyDefaults);
    let told = async |token: &str| {
        let status = host.ask_as(token, ReadEntryStatus { name: name.clone() }).await.unwrap().unwrap();
        let names: Vec<_> = status.proxies.first.iter().map(|one| one.name.to_string()).collect();
        (status.proxies.all, names, status.chains.whole)
    };
    let (count, names, chains) = told(ROOT).await;
    assert_eq!((count, names), (3, ["api", "db", "web"].map(str::to_owned).to_vec()));
    assert!(chains >= 3, "{chains}");
    let rules = r#"node_prefix "" { policy = "read" } service_prefix "" { policy = "read" } service "db" { policy = "deny" }
        service "api" { policy = "deny" }"#;
    let token = host.token("some", rules).await.secret;
    let (count, names, fewer) = told(&token).await;
    assert_eq!((count, names, fewer), (1, vec!["web".to_owned()], chains - 2));
    // Whoever may not read the entry is told nothing.
    let name = EntryName::parse(EntryKind::ServiceIntentions, "db").unwrap();
    let refused = host.ask_as(&token, ReadEntryStatus { name }).await.unwrap_err();
    assert!(refused.is_denial(), "{refused}");
    host.stop().await;
}
