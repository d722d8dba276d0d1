//! Tests that nobody sees what they may not see: random interleavings of reads, blocking reads, changes of rights and
//! registrations, with the authorizer as oracle.
//!
//! The oracle's answer is what the management token sees, minus what the rules of the caller's token do not allow.
//! The rights to each thing are written beside it here.

use std::collections::BTreeSet;

use concord_acl::{Authorizer, Labelled, Level, Policy, Right};
use concord_model::catalog::{CheckStatus, Registered};
use concord_model::intention::Action;
use concord_model::{ServiceName, Uuid};
use concord_rpc::request::{
    CheckState, ChecksInState, DeleteToken, InstanceSelection, ListInstances, ListIntentions, ListNodes,
    ListServices, MatchBy, MatchIntentions, NodeChecks, NodeDump, PolicyChoice, ServiceHealth, SetPolicy,
    SetToken,
};
use concord_rpc::{Answer, Head, RpcError, ServerApiExt};
use concord_runtime::{Entropy, SeededEntropy};
use concord_server::LocalApi;
use tokio::task::JoinHandle;

use crate::catalog::sidecar;
use crate::intention::upsert;
use crate::world::{
    Host, ROOT, SECOND, Setup, check, deregister, name, new_token, policy, register, target, with,
};

/// The number of steps. `cargo xtask measure isolation` uses ten times as many.
const STEPS: usize = 10_000;
const TOKENS: usize = 5;
const OPEN: usize = 12;
const NODES: [&str; 4] = ["a", "b", "ab", "c"];
const SERVICES: [&str; 4] = ["web", "api", "api-2", "db"];

#[derive(Clone, Copy, Debug)]
enum Query {
    Nodes,
    Services,
    Health(&'static str),
    Connect(&'static str),
    Dump(&'static str),
    Checks(&'static str),
    State(CheckState),
    Instances,
    Intentions,
    Match(&'static str),
}

/// A thing in an answer. A caller may see it if it has all rights of one of the lists.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Item {
    text: String,
    rights: Vec<Vec<(Label, String)>>,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Label {
    Node,
    Service,
    Intention,
}

impl Label {
    fn of(self) -> Labelled {
        match self {
            Self::Node => Labelled::Node,
            Self::Service => Labelled::Service,
            Self::Intention => Labelled::Intention,
        }
    }
}

fn item(text: String, rights: &[(Label, &str)]) -> Item {
    Item { text, rights: vec![rights.iter().map(|(label, name)| (*label, (*name).to_owned())).collect()] }
}

fn may(oracle: &Authorizer, label: Label, name: &str) -> bool {
    oracle.check(&Right::named(label.of(), name.to_owned(), Level::Read)).is_allowed()
}

impl Item {
    fn shown_to(&self, oracle: &Authorizer) -> bool {
        self.rights.iter().any(|all| all.iter().all(|(label, name)| may(oracle, *label, name)))
    }
}

impl Query {
    fn random(entropy: &SeededEntropy) -> Self {
        let (node, service) = (pick(entropy, &NODES), pick(entropy, &SERVICES));
        match entropy.below(11) {
            0 => Self::Nodes,
            1 => Self::Services,
            2 => Self::Health(service),
            3 => Self::Connect(service),
            4 => Self::Dump(node),
            5 => Self::Checks(node),
            6 => Self::Intentions,
            7 => Self::State(CheckState::Any),
            8 => Self::State(CheckState::Is(CheckStatus::Passing)),
            9 => Self::Instances,
            _ => Self::Match(service),
        }
    }

    /// Whether the query as a whole is refused.
    fn denied(self, oracle: &Authorizer) -> bool {
        matches!(self, Self::Match(service) if !may(oracle, Label::Intention, service))
    }

    async fn ask(self, api: &LocalApi, head: Head) -> Result<(BTreeSet<Item>, u64), RpcError> {
        fn index<T>(answer: &Answer<T>) -> u64 {
            answer.index
        }
        let mut items = BTreeSet::new();
        let at = match self {
            Self::Nodes => {
                let answer = api.call(head, ListNodes::default()).await?;
                let node = |name: &str| item(name.to_owned(), &[(Label::Node, name)]);
                items.extend(answer.value.iter().map(|one| node(one.name.as_str())));
                index(&answer)
            }
            Self::Services => {
                let answer = api.call(head, ListServices::default()).await?;
                // A service exists where its instances are.
                let all = api.call(with(ROOT), ListInstances::default()).await?.value;
                let both = |name: &str, node: &str| {
                    vec![(Label::Service, name.to_owned()), (Label::Node, node.to_owned())]
                };
                for name in answer.value.keys().map(ServiceName::as_str) {
                    let of_it = all.iter().filter(|one| one.service.service.as_str() == name);
                    let rights = of_it.map(|one| both(name, one.node.name.as_str())).collect();
                    items.insert(Item { text: name.to_owned(), rights });
                }
                index(&answer)
            }
            Self::Health(of) | Self::Connect(of) => {
                let connect = matches!(self, Self::Connect(_));
                let select = InstanceSelection { connect, ..InstanceSelection::of(target(of)) };
                let answer = api.call(head, ServiceHealth { select, worst: None }).await?;
                for one in &answer.value {
                    let (node, service) = (one.node.name.as_str(), one.service.service.as_str());
                    let rights = [(Label::Node, node), (Label::Service, service), (Label::Service, of)];
                    items.insert(item(format!("{node}/{service}"), &rights));
                    let check = |id: &str| item(format!("{node}/{service}/{id}"), &rights);
                    items.extend(one.checks.iter().map(|own| check(own.id.as_str())));
                }
                index(&answer)
            }
            Self::Dump(on) => {
                let answer = api.call(head, NodeDump::of(name(on))).await?;
                if let Some(dump) = &answer.value {
                    items.insert(item(on.to_owned(), &[(Label::Node, on)]));
                    for one in &dump.services {
                        let service = one.service.as_str();
                        let rights = [(Label::Node, on), (Label::Service, service)];
                        items.insert(item(format!("service {}", one.id.as_str()), &rights));
                    }
                    items.extend(dump.checks.iter().map(|one| check_item(on, one)));
                }
                index(&answer)
            }
            Self::Checks(on) => {
                let answer = api.call(head, NodeChecks { node: name(on) }).await?;
                items.extend(answer.value.iter().map(|one| check_item(on, one)));
                index(&answer)
            }
            Self::State(state) => {
                let query = ChecksInState { state, node_meta: Default::default() };
                let answer = api.call(head, query).await?;
                items.extend(answer.value.iter().map(|one| {
                    let on = one.node.as_str();
                    let item = check_item(on, &one.check);
                    Item { text: format!("{on}/{}", item.text), ..item }
                }));
                index(&answer)
            }
            Self::Instances => {
                let answer = api.call(head, ListInstances::default()).await?;
                for one in &answer.value {
                    let (node, service) = (one.node.name.as_str(), one.service.service.as_str());
                    let rights = [(Label::Node, node), (Label::Service, service)];
                    items.insert(item(format!("{node}/{}", one.service.id.as_str()), &rights));
                }
                index(&answer)
            }
            Self::Intentions => {
                let answer = api.call(head, ListIntentions {}).await?;
                for entry in &answer.value {
                    let to = entry.destination.name.as_str();
                    for one in &entry.sources {
                        let from = one.source.name.as_str();
                        let side = |name: &str| vec![(Label::Intention, name.to_owned())];
                        items.insert(Item {
                            text: format!("{from}>{to}"),
                            rights: vec![side(to), side(from)],
                        });
                    }
                }
                index(&answer)
            }
            Self::Match(of) => {
                let by = MatchBy::Destination(target(of));
                let answer = api.call(head, MatchIntentions::of(by)).await?;
                for entry in answer.value.entries() {
                    let pair = |from: &str| format!("{from}>{}", entry.destination.name.as_str());
                    let sources = entry.sources.iter().map(|one| pair(one.source.name.as_str()));
                    items.extend(sources.map(|text| item(text, &[(Label::Intention, of)])));
                }
                index(&answer)
            }
        };
        Ok((items, at))
    }
}

fn check_item(on: &str, check: &concord_model::catalog::Check) -> Item {
    let mut rights = vec![(Label::Node, on)];
    rights.extend(check.service_name.iter().map(|service| (Label::Service, service.as_str())));
    item(format!("check {}", check.id.as_str()), &rights)
}

fn pick(entropy: &SeededEntropy, from: &[&'static str]) -> &'static str {
    from[usize::try_from(entropy.below(from.len() as u64)).unwrap()]
}

fn random_rules(entropy: &SeededEntropy) -> String {
    let mut seen = BTreeSet::new();
    let mut rules = String::new();
    for _ in 0..entropy.below(6) {
        let (kind, names) = if entropy.below(2) == 0 { ("node", &NODES) } else { ("service", &SERVICES) };
        let name = if entropy.below(5) == 0 { "" } else { pick(entropy, names) };
        let form = if name.is_empty() || entropy.below(2) == 0 { "_prefix" } else { "" };
        let level = pick(entropy, &["read", "read", "write", "deny"]);
        if seen.insert((kind, form, name)) {
            rules += &format!("{kind}{form} \"{name}\" {{ policy = \"{level}\" }}\n");
        }
    }
    rules
}

/// A token, its rules, and how often its place was reused.
struct Holder {
    accessor: Uuid,
    secret: String,
    policy: Uuid,
    policy_name: String,
    oracle: Authorizer,
    rules: String,
    /// How often its rights have changed.
    changes: usize,
}

impl Holder {
    async fn new(host: &Host, at: usize, entropy: &SeededEntropy) -> Self {
        let policy_name = format!("policy-{at}-{}", entropy.u64());
        let rules = random_rules(entropy);
        let made = host.ask_as(ROOT, policy(&policy_name, &rules)).await.unwrap();
        let policies = vec![PolicyChoice::Id(made.id)];
        let token = host.ask_as(ROOT, SetToken { policies, ..new_token() }).await.unwrap();
        let (accessor, secret) = (token.accessor, token.secret);
        Self { accessor, secret, policy: made.id, policy_name, oracle: oracle(&rules), rules, changes: 0 }
    }
}

fn oracle(rules: &str) -> Authorizer {
    Authorizer::new(&[&Policy::parse(rules).unwrap()], Action::Deny)
}

struct Open {
    query: Query,
    secret: String,
    index: u64,
    /// Changes of its rights when it began.
    changes: usize,
    task: JoinHandle<Result<(BTreeSet<Item>, u64), RpcError>>,
}

/// What the answer to this secret must be now.
async fn judge(
    host: &Host,
    holders: &[Holder],
    secret: &str,
    query: Query,
    answer: &Result<BTreeSet<Item>, RpcError>,
) {
    let Some(holder) = holders.iter().find(|holder| holder.secret == secret) else {
        assert_eq!(answer, &Err(RpcError::TokenNotFound), "{query:?} of a revoked token");
        return;
    };
    if query.denied(&holder.oracle) {
        assert!(matches!(answer, Err(RpcError::Denied(_))), "{query:?}: {answer:?}");
        return;
    }
    let (all, _) = query.ask(&host.api, with(ROOT)).await.unwrap();
    let expected = all.into_iter().filter(|item| item.shown_to(&holder.oracle)).collect();
    assert_eq!(answer, &Ok(expected), "{query:?}");
}

async fn mutate(host: &Host, entropy: &SeededEntropy) {
    let (node, service) = (pick(entropy, &NODES), pick(entropy, &SERVICES));
    match entropy.below(5) {
        0 => host.ask_as(ROOT, sidecar(node, service)).await.unwrap(),
        1 => {
            host.ask_as(ROOT, deregister(node, Registered::Node)).await.unwrap();
        }
        2 => {
            let action = if entropy.below(2) == 0 { Action::Allow } else { Action::Deny };
            host.ask_as(ROOT, upsert(pick(entropy, &SERVICES), service, action)).await.unwrap();
        }
        _ => {
            let status = if entropy.below(2) == 0 { CheckStatus::Passing } else { CheckStatus::Critical };
            let mut request = register(node, service);
            request.0.checks = vec![check("node", None, status), check(service, Some(service), status)];
            host.ask_as(ROOT, request).await.unwrap();
        }
    }
}

/// The seed of the test run, or that of `cargo xtask random`.
#[allow(clippy::disallowed_methods, reason = "the seed is said in the environment")]
fn seed() -> u64 {
    std::env::var("PROPTEST_RNG_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0x5eed)
}

#[tokio::test(start_paused = true)]
async fn n_28_n_30_interleavings_show_nothing_to_whom_it_is_not_allowed() {
    let host = Setup::guarded().start().await;
    let entropy = SeededEntropy::new(seed());
    let mut holders = Vec::new();
    for at in 0..TOKENS {
        holders.push(Holder::new(&host, at, &entropy).await);
    }
    let mut open: Vec<Open> = Vec::new();
    let (mut shown, mut ended) = (0, 0);
    let wanted = option_env!("CONCORD_ISOLATION").and_then(|text| text.parse().ok());
    for step in 0..wanted.unwrap_or(STEPS) {
        let at = usize::try_from(entropy.below(TOKENS as u64)).unwrap();
        match entropy.below(10) {
            0..=3 => {
                let (query, secret) = (Query::random(&entropy), holders[at].secret.clone());
                let answer = query.ask(&host.api, with(&secret)).await.map(|(items, _)| items);
                shown += answer.as_ref().map_or(0, BTreeSet::len);
                judge(&host, &holders, &secret, query, &answer).await;
            }
            4 | 5 if open.len() < OPEN => {
                let (query, secret) = (Query::random(&entropy), holders[at].secret.clone());
                let Ok((_, index)) = query.ask(&host.api, with(&secret)).await else { continue };
                let head = Head { min_index: index, wait: Some(SECOND * 100_000), ..with(&secret) };
                let api = host.api.clone();
                let task = tokio::spawn(async move { query.ask(&api, head).await });
                open.push(Open { query, secret, index, changes: holders[at].changes, task });
            }
            6 => {
                let rules = random_rules(&entropy);
                let holder = &mut holders[at];
                let narrowed = SetPolicy { id: Some(holder.policy), ..policy(&holder.policy_name, &rules) };
                host.ask_as(ROOT, narrowed).await.unwrap();
                holder.oracle = oracle(&rules);
                holder.changes += usize::from(holder.rules != rules);
                holder.rules = rules;
            }
            7 if entropy.below(4) == 0 => {
                let accessor = holders[at].accessor;
                host.ask_as(ROOT, DeleteToken { accessor }).await.unwrap();
                let gone = std::mem::replace(&mut holders[at], Holder::new(&host, step, &entropy).await);
                judge(&host, &holders, &gone.secret, Query::Nodes, &Err(RpcError::TokenNotFound)).await;
                let answer = Query::Nodes.ask(&host.api, with(&gone.secret)).await;
                assert_eq!(answer, Err(RpcError::TokenNotFound));
            }
            _ => mutate(&host, &entropy).await,
        }
        if open.is_empty() {
            continue;
        }
        host.settle().await;
        let (done, still): (Vec<Open>, Vec<Open>) = open.into_iter().partition(|one| one.task.is_finished());
        open = still;
        for Open { query, secret, index, task, .. } in done {
            let answer = task.await.unwrap();
            ended += 1;
            assert!(
                answer.as_ref().is_ok_and(|(_, now)| *now > index) || answer.is_err(),
                "{query:?}: no news"
            );
            let answer = answer.map(|(items, _)| items);
            judge(&host, &holders, &secret, query, &answer).await;
        }
        // A caller that lost its rights must not wait on, nor one that may see more or less of a list.
        for Open { query, secret, changes, .. } in &open {
            let holder = holders.iter().find(|holder| holder.secret == *secret);
            assert!(holder.is_some_and(|holder| !query.denied(&holder.oracle)), "{query:?} still waits");
            let as_before = holder.is_some_and(|holder| holder.changes == *changes);
            assert!(as_before, "{query:?} waits with other rights");
        }
    }
    assert!(shown > 1_000 && ended > 500, "{shown} things shown, {ended} waits ended");
    open.iter().for_each(|one| one.task.abort());
    host.stop().await;
}
