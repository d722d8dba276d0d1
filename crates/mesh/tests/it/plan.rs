//! Tests of plans: what they say of a change is what is decided and compiled before and after it.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::Arc;

use concord_mesh::entry::Lookup;
use concord_mesh::explain::request::AskedRequest;
use concord_mesh::intention::{DefaultPolicy, DefaultSource, Policy};
use concord_mesh::plan::{
    ChainState, Effects, Examples, FLIPS_LISTED_MAX, Facts, JUDGED_MAX, Side, effects, examples, lines,
};
use concord_mesh::protocol::{Unsaid, protocol_by};
use concord_mesh::request::{Header, Received, Token};
use concord_model::entry::{Entry, EntryKind, EntryName, Protocol, Record, RequestNormalization};
use concord_model::intention::{
    Action, Decision, HeaderMatch, HeaderValueMatch, HttpPermission, JwtRequirement, PathMatch, Permission,
    ServiceIntentions, precedence,
};
use concord_model::{Datacenter, ServiceRef, Stamp};

use crate::chain::language::{World, entry, service};
use crate::chain::random;
use crate::random::{Random, action};
use crate::random_request::{entries, names};
use crate::{oracle, request_oracle};

/// The entries on one side.
#[derive(Clone, Default)]
pub(crate) struct State {
    pub(crate) world: World,
    pub(crate) intentions: Vec<ServiceIntentions>,
}

/// A change, and what is known beside it.
struct Case {
    before: State,
    after: State,
    changed: Vec<EntryName>,
    default: Action,
    callers: Vec<ServiceRef>,
    known: Vec<ServiceRef>,
}

impl State {
    pub(crate) fn side(&self) -> Side<'_> {
        Side { entries: &self.world, intentions: &self.intentions }
    }

    fn protocol(&self, to: &ServiceRef) -> Protocol {
        let own = self.world.entry(&EntryName::of_service(EntryKind::ServiceDefaults, to));
        let all = self.world.entry(&EntryName::only(EntryKind::ProxyDefaults));
        protocol_by(to, own.as_deref(), all.as_deref(), Unsaid::IsInherited).protocol
    }

    fn allows(&self, from: &ServiceRef, to: &ServiceRef, asked: &AskedRequest, default: Action) -> bool {
        if !self.protocol(to).is_http() {
            return oracle::decide(&self.intentions, from, to, default).allowed;
        }
        let AskedRequest { method, target, headers, tokens } = asked;
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect();
        let tokens: Vec<_> = tokens.iter().map(|(provider, claims)| Token { provider, claims }).collect();
        let (target, authority) = (target.as_bytes(), None);
        let received = Received { method, target, authority, headers: &headers, tokens: &tokens };
        let settings = RequestNormalization::default();
        request_oracle::decide(&self.intentions, (from, to), received, &settings, default).allowed
    }

    /// The tokens that are demanded of requests of a caller, by hand.
    fn demands(&self, from: &ServiceRef, to: &ServiceRef) -> Vec<JwtRequirement> {
        let ceiling = |own: &ServiceIntentions| {
            own.sources.iter().map(|one| precedence(&own.destination, &one.source)).max().unwrap_or(0)
        };
        let policy = Policy::compile(to, &self.intentions);
        let rule = policy.covering(from).first().cloned();
        let covering = || self.intentions.iter().filter(|own| own.destination.covers(to));
        let of_rule =
            covering().find(|own| rule.as_ref().is_some_and(|rule| rule.destination == own.destination));
        let least = of_rule.map_or(0, ceiling);
        let mut parts: Vec<_> = covering().filter(|own| !own.sources.is_empty()).collect();
        parts.sort_by_key(|own| std::cmp::Reverse(ceiling(own)));
        parts.into_iter().filter(|own| ceiling(own) >= least).filter_map(|own| own.jwt.clone()).collect()
    }

    /// Whether the verdict depends on the request.
    fn by_request(&self, from: &ServiceRef, to: &ServiceRef) -> bool {
        let rule = Policy::compile(to, &self.intentions).covering(from).first().cloned();
        let permissions = rule.is_some_and(|rule| rule.decision.is_by_request());
        self.protocol(to).is_http() && (permissions || !self.demands(from, to).is_empty())
    }
}

impl Case {
    fn random(seed: u64) -> Self {
        let random = &mut Random::new(seed);
        let mut before = State { world: random::world(random), intentions: few(random) };
        before.world.overrides = Default::default();
        let (mut after, mut changed) = (before.clone(), Vec::new());
        for _ in 0..random.below(3) {
            let to = entry(&random::line(random));
            changed.push(to.name());
            match random.one_in(4) {
                true => drop(after.world.entries.remove(&to.name())),
                false => drop(after.world.entries.insert(to.name(), Arc::new(to))),
            }
        }
        for own in few(random).into_iter().take(random.below(3)) {
            changed.push(EntryName::intentions(&own.destination));
            after.intentions.retain(|other| other.destination != own.destination);
            if !random.one_in(4) {
                after.intentions.push(own);
            }
        }
        // A small change of what stands, as operators make them.
        let count = after.intentions.len();
        if count > 0 && random.one_in(2) {
            let at = random.below(count);
            let own = &mut after.intentions[at];
            changed.push(EntryName::intentions(&own.destination));
            for source in &mut own.sources {
                narrow(&mut source.decision, random);
            }
        }
        let known = random::NAMES.map(service).to_vec();
        Self { before, after, changed, default: action(random), callers: names().universe(), known }
    }

    /// Whether anything differs that can matter for calls to a service.
    fn concerns(&self, to: &ServiceRef) -> bool {
        let of = |own: &State| -> Vec<ServiceIntentions> {
            own.intentions.iter().filter(|own| own.destination.covers(to)).cloned().collect()
        };
        let protocols = [&self.before, &self.after].map(|own| own.protocol(to));
        protocols[0] != protocols[1] || of(&self.before) != of(&self.after)
    }

    fn effects(&self) -> Effects {
        self.effects_until(&|| false)
    }

    fn effects_until(&self, enough: &dyn Fn() -> bool) -> Effects {
        let facts = Facts {
            callers: &self.callers,
            called: &self.callers,
            known: &self.known,
            sees_chain: &|_| true,
            enough,
            default: DefaultPolicy { action: self.default, source: DefaultSource::AclDefault },
            datacenter: &Datacenter::parse("dc1").unwrap(),
        };
        effects(self.before.side(), self.after.side(), &self.changed, facts)
    }

    /// What is asked of a pair on both sides; `None` for the pair itself.
    fn asked(&self, from: &ServiceRef, to: &ServiceRef) -> (Vec<Option<AskedRequest>>, Examples) {
        let sides = [&self.before, &self.after];
        if !sides.iter().any(|side| side.by_request(from, to)) {
            return (vec![None], Examples::default());
        }
        let rules = sides.map(|side| Policy::compile(to, &side.intentions).covering(from).first().cloned());
        let rules: Vec<_> = rules.iter().flatten().map(|rule| &**rule).collect();
        let demands: Vec<_> = sides.iter().flat_map(|side| side.demands(from, to)).collect();
        let made = examples(&rules, &demands.iter().collect::<Vec<_>>());
        (made.requests.iter().cloned().map(Some).collect(), made)
    }
}

/// Random intentions; seldom with so many permissions that not all examples are made.
pub(crate) fn few(random: &mut Random) -> Vec<ServiceIntentions> {
    let mut all = entries(&names(), random);
    let most = if random.one_in(200) { usize::MAX } else { 2 };
    for source in all.iter_mut().flat_map(|own| &mut own.sources) {
        if let Decision::Requests(list) = &mut source.decision {
            list.truncate(most);
        }
    }
    all
}

fn narrow(decision: &mut Decision, random: &mut Random) {
    let Decision::Requests(list) = decision else { return };
    let at = random.below(list.len());
    match random.below(4) {
        0 => list[at].action = list[at].action.flipped(),
        1 => drop(list.remove(at)),
        2 => list.swap(0, at),
        _ => {
            list[at].http =
                list[at].http.take().map(|http| HttpPermission { methods: vec!["PUT".into()], ..http })
        }
    }
    if list.is_empty() {
        *decision = Decision::Connection(Action::Deny);
    }
}

/// The seed, and how many changes are planned: many more if somebody searches for faults with another seed.
#[allow(clippy::disallowed_methods, reason = "the seed of all random tests")]
pub(crate) fn seed_and_count() -> (u64, u64) {
    let seed = std::env::var("PROPTEST_RNG_SEED").ok().and_then(|text| text.parse().ok());
    // That of `.cargo/config.toml`.
    let usual = 20_261_129;
    let seed: u64 = seed.unwrap_or(usual);
    (seed.wrapping_mul(1_000_000) & (u64::MAX >> 8), if seed == usual { 100 } else { 10_000 })
}

/// Texts of flips, to be compared as sets.
type Told = BTreeSet<String>;

fn told(from: &ServiceRef, to: &ServiceRef, asked: &Option<AskedRequest>, allowed: bool) -> String {
    format!("{from} {to} {asked:?} {allowed}")
}

#[test]
fn the_verdicts_of_a_plan_are_those_that_differ_before_and_after() {
    let (first, count) = seed_and_count();
    let (mut pairs, mut requests, mut quiet) = (0, 0, 0);
    for seed in first..first + count {
        let case = Case::random(seed);
        let flips = case.effects().verdicts;
        assert!(flips.all <= FLIPS_LISTED_MAX || flips.first.len() == FLIPS_LISTED_MAX);
        let (mut expected, mut of_pairs, mut cut) = (Told::new(), 0, false);
        // Most of the time only those whose verdicts can differ: the others are many.
        let all = seed % 8 == 0;
        for to in case.callers.iter().filter(|to| all || case.concerns(to)) {
            for from in &case.callers {
                let (asked, made) = case.asked(from, to);
                cut |= made.cut;
                let plain =
                    AskedRequest { method: "GET".into(), target: "/".into(), ..AskedRequest::default() };
                let before = expected.len();
                for asked in asked {
                    let request = asked.as_ref().unwrap_or(&plain);
                    let [was, is] =
                        [&case.before, &case.after].map(|own| own.allows(from, to, request, case.default));
                    if was != is {
                        expected.insert(told(from, to, &asked, is));
                        if asked.is_some() { requests += 1 } else { pairs += 1 }
                    }
                }
                of_pairs += usize::from(expected.len() > before);
            }
        }
        assert_eq!((flips.all, flips.pairs), (expected.len(), of_pairs), "seed {seed}");
        assert!(!all || cut || !flips.cut, "seed {seed}");
        let found: Told = flips
            .first
            .iter()
            .map(|own| told(&own.source, &own.destination, &own.request, own.allowed))
            .collect();
        assert!(found.is_subset(&expected), "seed {seed}");
        assert_eq!(found.len(), flips.all.min(FLIPS_LISTED_MAX), "seed {seed}");
        quiet += usize::from(flips.all == 0);
    }
    assert!(pairs > 20 && requests > 200 && quiet > 10, "{pairs} {requests} {quiet}");
}

#[test]
fn the_chains_of_a_plan_are_those_that_differ_before_and_after() {
    let (first, count) = seed_and_count();
    let (mut changed, mut broken, mut mended) = (0, 0, 0);
    for seed in first..first + count {
        let case = Case::random(seed);
        let chains = case.effects().chains;
        assert!(!chains.cut);
        let mut listed = chains.first.iter();
        let (mut own, mut breaks, mut mends) = (0, 0, 0);
        let mut names = random::NAMES.to_vec();
        names.sort_unstable();
        for name in names {
            let [was, is] = [&case.before, &case.after].map(|side| compiled(side, name));
            if was == is {
                continue;
            }
            let change = listed.next().unwrap_or_else(|| panic!("seed {seed}: {name} is missing"));
            assert_eq!(change.service, service(name), "seed {seed}");
            assert_ne!(change.before, change.after, "seed {seed}: the lines of {name} are the same");
            own += 1;
            breaks += usize::from(was.is_ok() && is.is_err());
            mends += usize::from(was.is_err() && is.is_ok());
            for (chain, told) in [(&was, &change.before), (&is, &change.after)] {
                match (chain, told) {
                    (Ok(chain), ChainState::Whole { lines: told, left_out: 0 }) => {
                        let all = lines(chain);
                        let other = |line: &String| *line == "the same in another order";
                        assert!(told.iter().all(|line| all.contains(line) || other(line)), "seed {seed}");
                    }
                    (Err(fault), ChainState::Broken { fault: told }) => assert_eq!(*told, fault.to_string()),
                    other => panic!("seed {seed}: {other:?}"),
                }
            }
        }
        assert!(listed.next().is_none(), "seed {seed}: a chain that did not change");
        assert_eq!((chains.all, chains.broken, chains.mended), (own, breaks, mends), "seed {seed}");
        (changed, broken, mended) = (changed + own, broken + breaks, mended + mends);
    }
    assert!(changed > 50 && broken > 5 && mended > 5, "{changed} {broken} {mended}");
}

fn compiled(
    side: &State,
    name: &str,
) -> Result<concord_mesh::chain::CompiledChain, concord_mesh::chain::ChainFault> {
    use concord_mesh::chain::{Request, compile, gather};
    let domain = concord_model::TrustDomain::parse("any.consul").unwrap();
    let request = Request { trust_domain: domain, ..side.world.request(name) };
    compile(&gather(&service(name), |name| side.world.entries.get(name).cloned())?, &request)
}

#[test]
fn nothing_changes_between_equal_sides() {
    let (first, _) = seed_and_count();
    for seed in first..first + 100 {
        let mut case = Case::random(seed);
        case.after = case.before.clone();
        assert_eq!((case.effects().verdicts.all, case.effects().chains.all), (0, 0), "seed {seed}");
    }
}

fn permission(
    action: Action,
    path: Option<PathMatch>,
    methods: &[&str],
    headers: Vec<HeaderMatch>,
) -> Permission {
    let methods = methods.iter().map(ToString::to_string).collect();
    Permission { action, http: Some(HttpPermission { path, headers, methods }), jwt: None }
}

/// What the examples of a change of one permission tell, as `METHOD path [headers] allowed`.
#[track_caller]
fn check(was: Permission, is: Permission, expected: &[&str]) {
    let of = |permission: &Permission| {
        let source = crate::random::intention(
            serde_json::from_value(serde_json::json!({"namespace": "default", "name": "web"})).unwrap(),
            Decision::Requests(vec![permission.clone()]),
        );
        let to = serde_json::from_value(serde_json::json!({"namespace": "default", "name": "api"})).unwrap();
        let world = World::of("D api http");
        State { world, intentions: vec![crate::random::entry(to, vec![source])] }
    };
    let case = Case {
        changed: vec![EntryName::intentions(&of(&was).intentions[0].destination)],
        before: of(&was),
        after: of(&is),
        default: Action::Deny,
        callers: vec![service("web"), service("api")],
        known: Vec::new(),
    };
    let flips = case.effects().verdicts;
    let line = |own: &concord_mesh::plan::Flip| {
        let AskedRequest { method, target, headers, .. } = own.request.clone().unwrap();
        let headers: Vec<_> = headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let allowed = if own.allowed { "allowed" } else { "denied" };
        format!("{method} {target} [{}] {allowed}", headers.join(","))
    };
    let told: BTreeSet<_> = flips.first.iter().map(line).collect();
    for one in expected {
        assert!(told.contains(*one), "{one} is not among {told:#?}");
    }
    assert!(!expected.is_empty() || told.is_empty(), "{told:#?}");
}

#[test]
fn a_permission_that_is_narrowed_or_widened_is_seen() {
    use PathMatch::{Exact, Prefix, Regex};
    let path = |path: PathMatch| permission(Action::Allow, Some(path), &[], vec![]);
    let methods = |methods: &[&str]| permission(Action::Allow, Some(Prefix("/a".into())), methods, vec![]);
    let header = |value: HeaderValueMatch, invert| {
        let own = HeaderMatch { name: "x".into(), value, ignore_case: false, invert };
        permission(Action::Allow, None, &[], vec![own])
    };
    check(path(Exact("/a".into())), path(Prefix("/a".into())), &["GET /a/x [] allowed"]);
    check(path(Prefix("/a/".into())), path(Prefix("/".into())), &["GET /any-other-path [] allowed"]);
    check(methods(&[]), methods(&["GET"]), &["POST /a [] denied", "POST /a/x [] denied"]);
    check(methods(&["GET"]), methods(&["GET", "PUT"]), &["PUT /a [] allowed"]);
    check(
        path(Regex("/v[0-9]+/.*".into())),
        path(Exact("/b".into())),
        &["GET /v0/ [] denied", "GET /b [] allowed"],
    );
    let exact = || HeaderValueMatch::Exact("a".into());
    check(
        header(exact(), false),
        header(HeaderValueMatch::Present, false),
        &["GET /any-other-path [x=x] allowed"],
    );
    check(header(exact(), false), header(exact(), true), &["GET /any-other-path [x=a] denied"]);
    check(methods(&["GET"]), methods(&["GET"]), &[]);
}

/// What a `mesh` entry with these settings reverses where this decides about web's calls to api.
fn respelled(decision: Decision, settings: RequestNormalization) -> Vec<String> {
    let source = crate::random::intention(
        serde_json::from_value(serde_json::json!({"namespace": "default", "name": "web"})).unwrap(),
        decision,
    );
    let to = serde_json::from_value(serde_json::json!({"namespace": "default", "name": "api"})).unwrap();
    let before =
        State { world: World::of("D api http"), intentions: vec![crate::random::entry(to, vec![source])] };
    let mut after = before.clone();
    let said = serde_json::json!({"http": {"incoming": {"request_normalization": settings}}});
    let name = EntryName::only(EntryKind::Mesh);
    let said = serde_json::from_value(said).unwrap();
    let (scope, meta, stamp) = (name.scope.clone(), [].into(), Stamp::default());
    let mesh = Entry::Mesh(Record { scope, said, meta, stamp });
    let changed = vec![name];
    after.world.entries.insert(mesh.name(), Arc::new(mesh));
    let callers = vec![service("web")];
    let called = vec![service("api"), service("tcp")];
    let facts = Facts {
        callers: &callers,
        called: &called,
        known: &[],
        sees_chain: &|_| true,
        enough: &|| false,
        default: DefaultPolicy { action: Action::Deny, source: DefaultSource::AclDefault },
        datacenter: &Datacenter::parse("dc1").unwrap(),
    };
    let flips = effects(before.side(), after.side(), &changed, facts).verdicts;
    assert!(!flips.cut && flips.pairs <= 1);
    let line = |own: &concord_mesh::plan::Flip| {
        let AskedRequest { target, headers, .. } = own.request.clone().unwrap();
        let headers: String = headers.iter().map(|(name, _)| format!(" {name}")).collect();
        format!("{target}{headers} {}", if own.allowed { "allowed" } else { "denied" })
    };
    flips.first.iter().map(line).collect()
}

#[test]
fn a_change_of_what_is_done_to_spellings_is_seen_whatever_decides() {
    use concord_model::entry::{EscapedSlashes, Underscores};
    let none = RequestNormalization::default();
    let reject =
        |path_with_escaped_slashes_action| RequestNormalization { path_with_escaped_slashes_action, ..none };
    let allow = || Decision::Connection(Action::Allow);
    assert_eq!(respelled(allow(), reject(EscapedSlashes::Reject)), ["/%2Fx denied"]);
    assert_eq!(respelled(allow(), reject(EscapedSlashes::Keep)), [""; 0]);
    assert_eq!(respelled(Decision::Connection(Action::Deny), reject(EscapedSlashes::Reject)), [""; 0]);
    let underscores = RequestNormalization { headers_with_underscores_action: Underscores::Reject, ..none };
    assert_eq!(respelled(allow(), underscores), ["/ x_other denied"]);
    let on = |path: &str| {
        Decision::Requests(vec![permission(
            Action::Allow,
            Some(PathMatch::Exact(path.into())),
            &["GET"],
            vec![],
        )])
    };
    let merging = RequestNormalization { merge_slashes: true, ..none };
    assert_eq!(respelled(on("/a/b"), merging), ["//a/b allowed"]);
    assert_eq!(respelled(on("/a/b"), reject(EscapedSlashes::Forward)), ["/a%2Fb allowed"]);
    let raw = RequestNormalization { insecure_disable_path_normalization: true, ..none };
    assert_eq!(respelled(on("/a/b"), raw), ["/x/../a/b denied", "/%61/b denied"]);
}

#[test]
fn what_is_so_by_default_is_not_told_of_a_route() {
    let chain = World::of("P http\nR web a>api").chain("web").unwrap();
    assert_eq!(lines(&chain)[1..3], ["path prefix /a -> api", "path prefix / -> web"]);
}

#[test]
fn the_method_that_nobody_names_is_one() {
    let all = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"];
    let of =
        |methods: &[&str]| permission(Action::Allow, Some(PathMatch::Exact("/a".into())), methods, vec![]);
    check(of(&all), of(&[]), &["PROPFIND /a [] allowed"]);
    check(of(&all[..6]), of(&[]), &["HEAD /a [] allowed"]);
}

#[test]
fn n_220_a_plan_that_is_not_complete_says_so() {
    let to = |name: &str| {
        let to = serde_json::from_value(serde_json::json!({"namespace": "default", "name": name})).unwrap();
        let all = serde_json::from_value(serde_json::json!({"namespace": "default", "name": "*"})).unwrap();
        let decision = Decision::Connection(Action::Deny);
        crate::random::entry(to, vec![crate::random::intention(all, decision)])
    };
    let callers: Vec<_> = (0..600).map(|at| service(&format!("s{at}"))).collect();
    let after = State { world: World::default(), intentions: vec![to("*")] };
    let changed = vec![EntryName::intentions(&after.intentions[0].destination)];
    let known = Vec::new();
    let case = Case {
        before: State::default(),
        after,
        changed,
        default: Action::Allow,
        callers: callers.clone(),
        known,
    };
    let flips = case.effects().verdicts;
    assert_eq!((flips.cut, flips.all, flips.first.len()), (true, JUDGED_MAX, FLIPS_LISTED_MAX));
    // Nobody waits for more than the first few.
    let asked = Cell::new(0);
    let flips = case.effects_until(&|| asked.replace(asked.get() + 1) >= 5).verdicts;
    assert_eq!((flips.cut, flips.all), (true, 5));
    let after = State { world: World::of("D * http"), ..State::default() };
    let changed = vec![EntryName::only(EntryKind::ProxyDefaults)];
    let (before, known) = (State::default(), callers.clone());
    let case = Case { before, after, changed, default: Action::Allow, callers: callers.clone(), known };
    let chains = case.effects_until(&|| true).chains;
    assert_eq!((chains.cut, chains.all), (true, 0));
    assert!(!case.effects().chains.cut, "all are examined otherwise");
    // One pair with more examples than are made.
    let permissions = (0..400)
        .map(|at| permission(Action::Allow, Some(PathMatch::Exact(format!("/{at}"))), &["PUT"], vec![]));
    let mut own = to("s1");
    own.sources[0].decision = Decision::Requests(permissions.collect());
    let after = State { world: World::of("D s1 http"), intentions: vec![own] };
    let before = State { world: World::of("D s1 http"), ..State::default() };
    let changed = vec![EntryName::intentions(&after.intentions[0].destination)];
    let callers = callers[..2].to_vec();
    let case = Case { before, after, changed, default: Action::Allow, callers, known: Vec::new() };
    let flips = case.effects().verdicts;
    assert!(
        flips.cut && flips.pairs == 0,
        "an allow list over an allow changes nothing, and not all was asked"
    );
}

#[test]
fn requests_without_an_example_are_counted() {
    let regex = |text: &str| permission(Action::Allow, Some(PathMatch::Regex(text.into())), &[], vec![]);
    let rule = |permission: Permission| {
        let entry =
            serde_json::json!({"destination": {"namespace": "default", "name": "api"}, "sources": []});
        let mut entry: ServiceIntentions = serde_json::from_value(entry).unwrap();
        let source =
            serde_json::from_value(serde_json::json!({"namespace": "default", "name": "web"})).unwrap();
        entry.sources.push(crate::random::intention(source, Decision::Requests(vec![permission])));
        concord_mesh::intention::Intention::of_entry(&entry).next().unwrap()
    };
    assert_eq!(examples(&[&rule(regex("(?i)/a"))], &[]).without, 1);
    assert_eq!(examples(&[&rule(regex("/a|/b"))], &[]).without, 0);
}

#[test]
fn a_plan_survives_its_wire_form() {
    let (first, _) = seed_and_count();
    let effects = Case::random(first + 3).effects();
    let text = serde_json::to_string(&effects).unwrap();
    assert_eq!(serde_json::from_str::<Effects>(&text).unwrap(), effects);
}

#[test]
fn a_condition_that_becomes_narrower_or_wider_is_noticed() {
    use HeaderValueMatch::{Contains, Exact, Prefix};
    let header = |value: HeaderValueMatch, ignore_case| {
        let matching = HeaderMatch { name: "x".to_owned(), value, ignore_case, invert: false };
        HttpPermission {
            path: Some(PathMatch::Prefix("/".to_owned())),
            headers: vec![matching],
            ..Default::default()
        }
    };
    let pattern =
        |text: &str| HttpPermission { path: Some(PathMatch::Regex(text.to_owned())), ..Default::default() };
    let text = || "ab".to_owned();
    for (before, after) in [
        (header(Prefix(text()), false), header(Exact(text()), false)),
        (header(Exact(text()), true), header(Exact(text()), false)),
        (header(Contains(text()), false), header(Prefix(text()), false)),
        (pattern("/v[0-9]+"), pattern("/v[0-9]")),
    ] {
        let state = |http: &HttpPermission| {
            let deny = Permission { action: Action::Deny, http: Some(http.clone()), jwt: None };
            let source =
                serde_json::from_value(serde_json::json!({ "name": "web", "namespace": "default" })).unwrap();
            let mut own = entries(&names(), &mut Random::new(1)).remove(0);
            own.destination = concord_model::intention::Destination::of(&service("db"));
            own.jwt = None;
            own.sources.truncate(1);
            own.sources[0].source = source;
            own.sources[0].decision = Decision::Requests(vec![deny]);
            State { world: World::of("P http"), intentions: vec![own] }
        };
        let [before, after] = [state(&before), state(&after)];
        let changed = vec![EntryName::intentions(&before.intentions[0].destination)];
        let (callers, known) = (names().universe(), Vec::new());
        let case = Case { before, after, changed, default: Action::Allow, callers, known };
        let flips = case.effects().verdicts;
        assert!(flips.first.iter().any(|flip| flip.allowed), "{:?}", case.after.intentions);
    }
}
