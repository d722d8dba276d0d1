//! Access to the agent's cache over HTTP, with ACLs on and default deny. No token gets data which it may not read,
//! however reads, cache warm-ups, narrowed policies and revocations interleave.
//!
//! The oracle knows the policies of each token over time. The answer to a read from t0 to t1 may follow any rights that
//! were in force at some moment between the two. Rights end when the change is acknowledged, plus the token's time to
//! live, plus the delay of a busy machine. The answer of a blocking read is judged only by its end.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use concord_e2e::{Agent, AgentOptions, Chance, Conn, Http, Reply, Scrape, World, figure, number_from_env};
use serde_json::json;

const ROOT: &str = "2f6c3f0a-90b4-4d0e-8a1c-7c6f0f0d4a11";
const SERVICES: [&str; 4] = ["s0", "s1", "s2", "s3"];
const TOKENS: usize = 5;
const THREADS: usize = 6;
/// Delay of a busy machine between a change and its effect.
const SLACK: Duration = Duration::from_millis(500);

fn agent(world: &World, ttl: &str) -> Agent {
    let hcl = format!(
        "acl {{ enabled = true default_policy = \"deny\" token_ttl = \"{ttl}\" tokens {{ initial_management = \"{ROOT}\" }} }}"
    );
    let options = AgentOptions { dev: true, hcl: vec![hcl], ..AgentOptions::default() };
    let agent = world.agent("n1", options);
    let root = agent.http().with_token(ROOT);
    for service in SERVICES {
        root.put(
            "/v1/agent/service/register",
            &json!({ "Name": service, "Port": 1, "Token": ROOT, "Check": { "TTL": "1h" } }),
        )
        .ok();
        let path = format!("/v1/connect/intentions/exact?source=web&destination={service}");
        root.put(&path, &json!({ "Action": "deny" })).ok();
    }
    concord_e2e::eventually("the services are in the catalog", || {
        let all = root.get("/v1/catalog/services").json();
        SERVICES.iter().all(|service| all.get(service).is_some()).then_some(())
    });
    agent
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Level {
    Deny,
    Read,
    Write,
}

/// The grants of a policy for each service: the level, and whether intentions may be read.
type Grants = [(Level, bool); SERVICES.len()];

const NOTHING: Grants = [(Level::Deny, false); SERVICES.len()];

fn rules(grants: &Grants) -> String {
    let word = |level: &Level| match level {
        Level::Deny => "deny",
        Level::Read => "read",
        Level::Write => "write",
    };
    let mut text = "node_prefix \"\" { policy = \"read\" }\n".to_owned();
    for (service, (level, intentions)) in SERVICES.iter().zip(grants) {
        let intentions = if *intentions { "read" } else { "deny" };
        text += &format!(
            "service \"{service}\" {{ policy = \"{}\" intentions = \"{intentions}\" }}\n",
            word(level)
        );
    }
    text
}

fn any_grants(chance: &mut Chance) -> Grants {
    NOTHING.map(|_| {
        let level = [Level::Deny, Level::Read, Level::Write][chance.index(3)];
        (level, chance.percent(50))
    })
}

/// The rights in force from the moment when their change was sent.
#[derive(Clone, Debug)]
struct Version {
    sent: Instant,
    acknowledged: Option<Instant>,
    grants: Grants,
}

/// A secret and its rights over time.
#[derive(Clone, Debug)]
struct Key {
    secret: String,
    accessor: String,
    versions: Vec<Version>,
}

/// A token which is narrowed, widened, revoked and replaced. Its policy object stays the same.
#[derive(Debug)]
struct Slot {
    policy: String,
    name: String,
    keys: Vec<Key>,
}

/// A read whose answer depends on the rights to a service.
#[derive(Clone, Copy, Debug)]
enum Question {
    Leaf,
    Health,
    Checks,
    Match,
    Authorize,
    Catalog,
}

const QUESTIONS: [Question; 6] = [
    Question::Leaf,
    Question::Health,
    Question::Checks,
    Question::Match,
    Question::Authorize,
    Question::Catalog,
];

impl Question {
    fn is_allowed(self, grants: &Grants, service: usize) -> bool {
        let (level, intentions) = grants[service];
        match self {
            Self::Leaf => level == Level::Write,
            // Whoever decides about callers must be allowed to read the intentions.
            Self::Authorize => level == Level::Write && intentions,
            Self::Health | Self::Checks | Self::Catalog => level != Level::Deny,
            Self::Match => intentions,
        }
    }

    fn path(self, service: &str) -> String {
        match self {
            Self::Leaf => format!("/v1/agent/connect/ca/leaf/{service}"),
            Self::Health => format!("/v1/health/service/{service}?cached"),
            Self::Checks => format!("/v1/health/checks/{service}"),
            Self::Match => format!("/v1/connect/intentions/match?by=destination&name={service}"),
            Self::Authorize => "/v1/agent/connect/authorize".to_owned(),
            Self::Catalog => format!("/v1/catalog/service/{service}?cached"),
        }
    }

    fn ask(self, conn: &mut Conn, service: &str, uri: &str, blocking: Option<u64>) -> Reply {
        let mut path = self.path(service);
        if let Some(index) = blocking {
            let mark = if path.contains('?') { '&' } else { '?' };
            path += &format!("{mark}index={index}&wait=250ms");
        }
        let body = json!({ "Target": service, "ClientCertURI": uri }).to_string();
        let answer = match self {
            Self::Authorize => conn.send("POST", &path, Some(&body)),
            _ => conn.send("GET", &path, None),
        };
        answer.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Whether the answer shows the requested data. An answer which neither shows nor refuses it fails the test.
    fn shows(self, service: &str, reply: &Reply) -> bool {
        if reply.status == 403 {
            assert!(reply.header("X-Cache").is_none() && reply.header("Age").is_none(), "{reply:?}");
            assert!(!reply.body.contains("-----BEGIN"), "{reply:?}");
            return false;
        }
        let body = reply.json();
        match self {
            Self::Leaf => {
                assert_eq!(body["Service"], service, "{reply:?}");
                true
            }
            Self::Authorize => true,
            Self::Health | Self::Checks | Self::Catalog => body.as_array().is_some_and(|all| !all.is_empty()),
            Self::Match => body[service].as_array().is_some_and(|all| !all.is_empty()),
        }
    }
}

impl Slot {
    fn new(root: &Http, number: usize) -> Self {
        let name = format!("policy-{number}");
        let policy = root.put("/v1/acl/policy", &json!({ "Name": name, "Rules": rules(&NOTHING) })).json();
        let mut slot =
            Self { policy: policy["ID"].as_str().expect("an id").to_owned(), name, keys: Vec::new() };
        slot.make(root, NOTHING);
        slot
    }

    fn live(&mut self) -> &mut Key {
        self.keys.last_mut().expect("a slot has a key")
    }

    fn make(&mut self, root: &Http, grants: Grants) {
        let token = root.put("/v1/acl/token", &json!({ "Policies": [{ "ID": self.policy }] })).json();
        let text = |key: &str| token[key].as_str().expect("a text").to_owned();
        let now = Instant::now();
        let first = Version { sent: now, acknowledged: Some(now), grants };
        self.keys.push(Key { secret: text("SecretID"), accessor: text("AccessorID"), versions: vec![first] });
    }

    /// Replaces the grants of the policy.
    fn change(slot: &Mutex<Self>, root: &Http, grants: Grants) {
        let (policy, name) = {
            let mut slot = slot.lock().expect("no panic");
            slot.live().versions.push(Version { sent: Instant::now(), acknowledged: None, grants });
            (slot.policy.clone(), slot.name.clone())
        };
        root.put(&format!("/v1/acl/policy/{policy}"), &json!({ "Name": name, "Rules": rules(&grants) })).ok();
        slot.lock().expect("no panic").acknowledge();
    }

    /// Deletes the token and creates another in its place.
    fn revoke(slot: &Mutex<Self>, root: &Http) {
        let (accessor, grants) = {
            let mut slot = slot.lock().expect("no panic");
            let live = slot.live();
            let grants = live.versions.last().expect("a version").grants;
            live.versions.push(Version { sent: Instant::now(), acknowledged: None, grants: NOTHING });
            (live.accessor.clone(), grants)
        };
        root.send("DELETE", &format!("/v1/acl/token/{accessor}"), None).ok();
        let mut slot = slot.lock().expect("no panic");
        slot.acknowledge();
        slot.make(root, grants);
    }

    fn acknowledge(&mut self) {
        self.live().versions.last_mut().expect("a version").acknowledged = Some(Instant::now());
    }
}

impl Key {
    /// The rights which may have been in force at some moment from `from` to `to`.
    fn possible(&self, from: Instant, to: Instant, ttl: Duration) -> Vec<&Version> {
        let ends = self.versions.iter().skip(1).map(|next| next.acknowledged).chain([None]);
        let overlaps = |(version, end): &(&Version, Option<Instant>)| {
            version.sent <= to && end.is_none_or(|end| from <= end + ttl + SLACK)
        };
        self.versions.iter().zip(ends).filter(overlaps).map(|(version, _)| version).collect()
    }
}

#[derive(Debug, Default)]
struct Tally {
    shown: u64,
    refused: u64,
    /// Reads to which only one answer was correct.
    certain: u64,
    blocking: u64,
    changes: u64,
}

struct Run<'a> {
    root: Http,
    http: Http,
    slots: &'a [Mutex<Slot>],
    /// Held while a slot changes, so that the changes of a slot do not overlap.
    turns: &'a [Mutex<()>],
    uri: String,
    ttl: Duration,
}

impl Run<'_> {
    fn step(&self, chance: &mut Chance, conn: &mut Conn, tally: &mut Tally) {
        let slot = chance.index(self.slots.len());
        match chance.below(100) {
            0..6 => {
                let Ok(_turn) = self.turns[slot].try_lock() else { return };
                let mut grants = any_grants(chance);
                if chance.percent(30) {
                    grants = NOTHING;
                }
                Slot::change(&self.slots[slot], &self.root, grants);
                tally.changes += 1;
            }
            6..9 => {
                let Ok(_turn) = self.turns[slot].try_lock() else { return };
                Slot::revoke(&self.slots[slot], &self.root);
                tally.changes += 1;
            }
            9..20 => {
                // Warms the cache with a token which may read everything.
                conn.set_token(ROOT);
                let question = QUESTIONS[chance.index(QUESTIONS.len())];
                let service = SERVICES[chance.index(SERVICES.len())];
                let reply = question.ask(conn, service, &self.uri, None);
                assert!(question.shows(service, &reply), "{question:?}: {reply:?}");
            }
            _ => self.read(slot, chance, conn, tally),
        }
    }

    fn read(&self, slot: usize, chance: &mut Chance, conn: &mut Conn, tally: &mut Tally) {
        let (number, secret) = {
            let slot = self.slots[slot].lock().expect("no panic");
            let last = slot.keys.len() - 1;
            // Sometimes the token before the current one, which is deleted.
            let number = if chance.percent(15) { last.saturating_sub(1) } else { last };
            (number, slot.keys[number].secret.clone())
        };
        conn.set_token(&secret);
        let question = QUESTIONS[chance.index(QUESTIONS.len())];
        let at = chance.index(SERVICES.len());
        let service = SERVICES[at];
        let mut from = Instant::now();
        let mut reply = question.ask(conn, service, &self.uri, None);
        let index = reply.header("X-Consul-Index").and_then(|text| text.parse::<u64>().ok());
        let blocks = chance.percent(8) && !matches!(question, Question::Authorize);
        if let (true, Some(index)) = (blocks, index.or_else(|| (reply.status == 403).then_some(1))) {
            reply = question.ask(conn, service, &self.uri, Some(index));
            from = Instant::now();
            tally.blocking += 1;
        }
        let to = Instant::now();
        let shown = question.shows(service, &reply);
        let key = self.slots[slot].lock().expect("no panic").keys[number].clone();
        let possible = key.possible(from, to, self.ttl);
        let allowed = possible.iter().filter(|version| question.is_allowed(&version.grants, at)).count();
        let right = if shown { allowed > 0 } else { allowed < possible.len() };
        assert!(
            right,
            "{question:?} of {service}: shown {shown}, of {} possible rights {allowed} allow it\n{:?}\n{reply:?}",
            possible.len(),
            possible,
        );
        tally.certain += u64::from(allowed == 0 || allowed == possible.len());
        if shown { tally.shown += 1 } else { tally.refused += 1 }
    }
}

#[track_caller]
fn interleave(ttl: Duration, steps: u64) {
    let world = World::new();
    let agent = agent(&world, &format!("{}ms", ttl.as_millis()));
    let root = agent.http().with_token(ROOT);
    let slots: Vec<_> = (0..TOKENS).map(|number| Mutex::new(Slot::new(&root, number))).collect();
    let turns: Vec<_> = (0..TOKENS).map(|_| Mutex::new(())).collect();
    let uri =
        root.get("/v1/agent/connect/ca/leaf/web").json()["ServiceURI"].as_str().expect("a URI").to_owned();
    let run = Run { root, http: agent.http(), slots: &slots, turns: &turns, uri, ttl };
    let mut chance = Chance::from_env();
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let (run, mut chance) = (&run, chance.fork());
                scope.spawn(move || {
                    let mut tally = Tally::default();
                    let mut conn = run.http.connect().expect("a connection");
                    for _ in 0..steps / THREADS as u64 {
                        run.step(&mut chance, &mut conn, &mut tally);
                    }
                    tally
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a reader saw something wrong")).collect()
    });
    let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();
    let (shown, refused, certain) = (sum(|t| t.shown), sum(|t| t.refused), sum(|t| t.certain));
    figure("steps of isolation", steps as f64, "");
    figure("answers shown", shown as f64, "");
    figure("answers refused", refused as f64, "");
    figure("answers of which only one was right", certain as f64, "");
    figure("blocking reads", sum(|t| t.blocking) as f64, "");
    figure("narrowed, widened, revoked", sum(|t| t.changes) as f64, "");
    assert!(
        shown > 0 && refused > 0 && certain * 4 > shown + refused,
        "the run decided nothing: {tallies:?}"
    );
}

fn steps() -> u64 {
    number_from_env("CONCORD_E2E_STEPS", 3_000)
}

#[test]
fn n_30_interleavings_over_http_show_nothing_to_whom_it_is_not_allowed() {
    interleave(Duration::ZERO, steps() / 2);
}

#[test]
fn n_28_interleavings_with_believed_tokens_end_within_their_time_to_live() {
    interleave(Duration::from_millis(300), steps() / 2);
}

#[test]
fn n_28_an_open_blocking_read_over_http_ends_with_the_refusal() {
    let world = World::new();
    let agent = agent(&world, "30s");
    let root = agent.http().with_token(ROOT);
    let all = [(Level::Write, true); SERVICES.len()];
    for (number, question) in [Question::Leaf, Question::Health, Question::Match].into_iter().enumerate() {
        let mut slot = Slot::new(&root, number);
        let body = json!({ "Name": slot.name, "Rules": rules(&all) });
        root.put(&format!("/v1/acl/policy/{}", slot.policy), &body).ok();
        let key = slot.live().clone();
        let http = agent.http().with_token(&key.secret);
        let path = question.path("s0");
        let first = http.get(&path);
        assert!(question.shows("s0", &first), "{first:?}");
        let mark = if path.contains('?') { '&' } else { '?' };
        let blocking = format!("{path}{mark}index={}&wait=50s", first.index());
        let waiting = thread::spawn(move || http.get(&blocking));
        thread::sleep(Duration::from_millis(200));
        assert!(!waiting.is_finished(), "{question:?} waits");
        // Narrows the rights by removing the token's policy.
        let bare = json!({ "AccessorID": key.accessor, "Policies": [] });
        let began = Instant::now();
        root.put(&format!("/v1/acl/token/{}", key.accessor), &bare).ok();
        let answer = waiting.join().expect("an answer");
        figure(
            &format!("narrowed to the end of a read of {question:?}"),
            began.elapsed().as_secs_f64() * 1e3,
            "ms",
        );
        assert!(!question.shows("s0", &answer), "{answer:?}");
    }
}

#[test]
fn n_26_a_warm_leaf_is_given_to_nobody_over_http() {
    let world = World::new();
    let agent = agent(&world, "30s");
    let root = agent.http().with_token(ROOT);
    let warm = root.get("/v1/agent/connect/ca/leaf/s0");
    assert!(warm.body.contains("PRIVATE KEY"));
    let index = warm.index();
    for suffix in ["", "?index=1", "?cached", "?wait=1s", "?stale", "?pretty"] {
        for method in ["GET", "HEAD", "POST"] {
            let reply = agent.http().send(method, &format!("/v1/agent/connect/ca/leaf/s0{suffix}"), None);
            let expected = if method == "GET" { 403 } else { 405 };
            assert_eq!(reply.status, expected, "{method} {suffix}: {reply:?}");
            assert!(!reply.body.contains("BEGIN") && reply.header("X-Cache").is_none(), "{reply:?}");
        }
    }
    let path = format!("/v1/agent/connect/ca/leaf/s0?index={index}&wait=1s");
    assert_eq!(agent.http().get(&path).status, 403);
}

#[test]
fn n_29_a_flood_of_unknown_tokens_over_http_leaves_no_entries() {
    let flood = number_from_env("CONCORD_E2E_FLOOD", 2_000);
    let world = World::new();
    let agent = agent(&world, "30s");
    let root = agent.http().with_token(ROOT);
    root.get("/v1/agent/connect/ca/roots").ok();
    let entries = || {
        let reply = root.get("/v1/agent/metrics?format=prometheus");
        Scrape::new(reply.ok().body.clone()).sum("concord_agent_cache_entries", "")
    };
    let before = entries();
    let mut chance = Chance::from_env();
    let mut conn = agent.http().connect().expect("a connection");
    let body =
        json!({ "Target": "s0", "ClientCertURI": "spiffe://x.consul/ns/default/dc/dc1/svc/web" }).to_string();
    for number in 0..flood {
        conn.set_token(&chance.uuid());
        let roots = conn.send("GET", "/v1/agent/connect/ca/roots", None).expect("an answer");
        assert_eq!(roots.status, 200, "the trust bundle is public");
        let refused = conn.send("POST", "/v1/agent/connect/authorize", Some(&body)).expect("an answer");
        assert!(matches!(refused.status, 403 | 429), "{number}: {refused:?}");
        let leaf = conn.send("GET", "/v1/agent/connect/ca/leaf/s0", None).expect("an answer");
        assert!(matches!(leaf.status, 403 | 429), "{number}: {leaf:?}");
    }
    assert!(entries() <= before, "{before} entries before, {} after", entries());
}

#[test]
fn n_31_headers_over_http_tell_forbidden_and_absent_alike() {
    let world = World::new();
    let agent = agent(&world, "30s");
    let root = agent.http().with_token(ROOT);
    let mut slot = Slot::new(&root, 0);
    let http = agent.http().with_token(&slot.live().secret.clone());
    // Warms the cache with the management token.
    for path in ["/v1/health/service/s0?cached", "/v1/agent/connect/ca/leaf/s0"] {
        root.get(path).ok();
    }
    let looks = |path: &str| {
        http.get(path);
        let reply = http.get(path);
        let names: Vec<String> = reply.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
        let value: Vec<_> =
            ["X-Cache", "Age"].iter().map(|name| reply.header(name).map(ToOwned::to_owned)).collect();
        (reply.status, names, value, reply.body)
    };
    for (forbidden, absent) in [
        ("/v1/health/service/s0?cached", "/v1/health/service/nothing?cached"),
        ("/v1/catalog/service/s0", "/v1/catalog/service/nothing"),
    ] {
        let (forbidden, absent) = (looks(forbidden), looks(absent));
        assert_eq!((forbidden.0, &forbidden.2, &forbidden.3), (absent.0, &absent.2, &absent.3));
        let differing: Vec<_> = forbidden
            .1
            .iter()
            .filter(|name| !absent.1.contains(name))
            .filter(|name| *name != FILTERED)
            .collect();
        assert!(differing.is_empty(), "{differing:?}");
    }
    let (forbidden, absent) =
        (looks("/v1/agent/connect/ca/leaf/s0"), looks("/v1/agent/connect/ca/leaf/nothing"));
    assert_eq!((forbidden.0, &forbidden.1, &forbidden.2), (absent.0, &absent.1, &absent.2));
    assert_eq!(forbidden.3.replace("s0", "nothing"), absent.3);
}

/// Consul tells callers that something was filtered, but not what.
const FILTERED: &str = "x-consul-results-filtered-by-acls";

#[test]
fn the_oracle_ends_rights_with_their_time_to_live() {
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    let version = |sent, grants| Version { sent: after(sent), acknowledged: Some(after(sent + 1)), grants };
    let all = [(Level::Write, true); SERVICES.len()];
    let key = Key {
        secret: String::new(),
        accessor: String::new(),
        versions: vec![version(0, all), version(10, NOTHING)],
    };
    let allowed = |from, to| {
        let possible = key.possible(after(from), after(to), Duration::from_secs(5));
        assert!(!possible.is_empty());
        possible.iter().any(|version| Question::Leaf.is_allowed(&version.grants, 0))
    };
    assert!(allowed(0, 9) && allowed(9, 20) && allowed(16, 17), "in force, ending, and still believed");
    assert!(!allowed(17, 18), "acknowledged at 11, believed until 16");
}
