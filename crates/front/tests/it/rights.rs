//! Tests every list with every narrow right: each row is shown to exactly those who have all rights to it.
//!
//! The table of cases is compared with the table of endpoints, so that an endpoint without a row here fails the test.

mod cases;
mod oracle;
mod shapes;

use std::collections::BTreeSet;
use std::sync::Arc;

use concord_front::http::routes;
use concord_model::{Secret, ServiceName};
use concord_proxycfg::{DescribedProxy, DescribedUpstream, Feature, Understood};
use concord_rpc::grpc::SnapshotClient;
use concord_rpc::{Attach, ProxyTarget, SnapshotSource as _, SnapshotStream};
use futures::StreamExt as _;
use http::Method;
use serde_json::{Value, json};
use tonic::transport::Endpoint;

use self::cases::{Case, DEFAULTS, INTENTIONS, Kind, Row};
use self::oracle::Rules;
use crate::world::{ROOT, Response, Setup, World};

/// Parameters of every read that do not change its answer.
const EVERY_READ: [&str; 2] = ["stale", "consistent"];

/// One in this many requests is sent in another way, too.
const OTHER_WAY: usize = 2;

/// A caller with narrow rights; the anonymous token is empty.
struct Somebody {
    secret: String,
    rules: Rules,
}

async fn put(world: &World, path: &str, body: Value) -> Value {
    let answer = world.put(path, body.to_string()).token(ROOT).send().await;
    assert_eq!(answer.status, 200, "{path} {body}: {}", answer.body);
    if answer.body.is_empty() { Value::Null } else { answer.json() }
}

/// Three nodes; services on several of them, with and without proxies; checks of nodes and of services; intentions
/// written through every API.
async fn fill(world: &World) -> String {
    let register = async |body: Value| put(world, "/v1/catalog/register", body).await;
    put(
        world,
        "/v1/agent/service/register",
        json!({
            "ID": "web-1", "Name": "web", "Tags": ["blue"],
            "Check": {"CheckID": "web-ttl", "Name": "ttl", "TTL": "1h", "Status": "passing"},
        }),
    )
    .await;
    put(world, "/v1/agent/service/register", json!({"ID": "db-1", "Name": "db"})).await;
    put(
        world,
        "/v1/agent/check/register",
        json!({"CheckID": "disk", "Name": "disk", "TTL": "1h", "Status": "passing"}),
    )
    .await;
    let check = |id: &str, service: &str| json!({"CheckID": id, "Name": id, "Status": "passing", "ServiceID": service});
    for (service, checks) in [
        (
            json!({"ID": "web-2", "Service": "web", "Tags": ["green"]}),
            json!([check("web-2-check", "web-2"), check("n2-node", "")]),
        ),
        (
            json!({"ID": "web-2-proxy", "Service": "web-proxy", "Kind": "connect-proxy", "Port": 20000,
                   "Proxy": {"DestinationServiceName": "web"}}),
            json!([check("proxy-check", "web-2-proxy")]),
        ),
    ] {
        register(json!({"Node": "n2", "Address": "10.0.0.2", "NodeMeta": {"rack": "a"}, "Service": service, "Checks": checks}))
            .await;
    }
    for (service, checks) in [
        (
            json!({"ID": "admin", "Service": "web-admin", "Port": 9000, "Connect": {"Native": true}}),
            json!([]),
        ),
        (json!({"ID": "db-m", "Service": "db", "Tags": ["blue"]}), json!([check("db-check", "db-m")])),
    ] {
        register(json!({"Node": "m1", "Address": "10.0.0.3", "NodeMeta": {"rack": "b"}, "Service": service, "Checks": checks}))
            .await;
    }
    let [first, any, by_id, second] = INTENTIONS;
    for (from, to) in [first, any, second] {
        let path = format!("/v1/connect/intentions/exact?source={from}&destination={to}");
        put(world, &path, json!({"Action": "deny"})).await;
    }
    for name in DEFAULTS {
        put(world, "/v1/config", json!({"Kind": "service-defaults", "Name": name, "Protocol": "http"})).await;
    }
    put(world, "/v1/config", json!({"Kind": "proxy-defaults", "Config": {"protocol": "http"}})).await;
    put(world, "/v1/config", json!({"Kind": "mesh"})).await;
    let all = json!([{"Name": "*"}]);
    put(world, "/v1/config", json!({"Kind": "terminating-gateway", "Name": "web-admin", "Services": all}))
        .await;
    let listeners = json!([{"Port": 8080, "Protocol": "http", "Services": [{"Name": "db"}]}]);
    put(world, "/v1/config", json!({"Kind": "ingress-gateway", "Name": "web-proxy", "Listeners": listeners}))
        .await;
    let body = json!({"SourceName": by_id.0, "DestinationName": by_id.1, "Action": "allow"});
    let made = world.post("/v1/connect/intentions", body.to_string()).token(ROOT).json().await;
    // Registrations at the agent reach the catalog a moment later.
    world
        .until("/v1/health/node/n1", ROOT, |answer| {
            ["disk", "web-ttl"].iter().all(|id| answer.body.contains(id))
        })
        .await;
    world.until("/v1/catalog/service/db", ROOT, |answer| answer.body.contains("db-1")).await;
    made["ID"].as_str().unwrap().to_owned()
}

/// An unregistered proxy of a service. Its configuration has arrived.
async fn attached(world: &World, service: &str) -> SnapshotStream {
    let channel = Endpoint::from_shared(format!("http://{}", world.grpc)).unwrap().connect_lazy();
    let name = |text: &str| ServiceName::parse(text).unwrap();
    let upstream = DescribedUpstream { service: name("nobody"), bind: ([127, 0, 0, 1], 9191).into() };
    let described = DescribedProxy::try_new(name(service), None, vec![upstream]).unwrap();
    let target = ProxyTarget::Described(Arc::new(described));
    let attach = Attach::new(target, Understood::of(Feature::ALL));
    let token = Some(Secret::new(ROOT.to_owned()));
    let mut stream = SnapshotClient::new(channel).attach(attach, token).await.unwrap();
    world.guard(stream.next()).await.unwrap().unwrap();
    let is_there =
        |body: &Value| body["Proxies"].as_array().unwrap().iter().any(|one| one["Proxy"] == service);
    world.until("/v1/agent/proxies/entry/mesh/mesh", ROOT, |answer| is_there(&answer.json())).await;
    stream
}

/// A token for each set of rules.
async fn somebodies(world: &World) -> Vec<Somebody> {
    let mut all = vec![Somebody { secret: String::new(), rules: Rules(Vec::new()) }];
    for (at, rules) in Rules::all().into_iter().enumerate() {
        let name = format!("narrow-{at}");
        put(world, "/v1/acl/policy", json!({"Name": name, "Rules": rules.text()})).await;
        let made = put(world, "/v1/acl/token", json!({"Policies": [{"Name": name}]})).await;
        all.push(Somebody { secret: made["SecretID"].as_str().unwrap().to_owned(), rules });
    }
    all
}

fn asked(path: &str, more: &str) -> String {
    match (more, path.contains('?')) {
        ("", _) => path.to_owned(),
        (more, true) => format!("{path}&{more}"),
        (more, false) => format!("{path}?{more}"),
    }
}

fn names(rows: &[Row], rules: &Rules) -> BTreeSet<String> {
    rows.iter().filter(|row| rules.open(&row.needs)).map(|row| row.name.clone()).collect()
}

/// Compares an answer with what the caller may see. Returns the errors.
fn judge(case: &Case, somebody: &Somebody, answer: &Response) -> Result<(), String> {
    let (refused, rules) = (answer.status == 403, &somebody.rules);
    let anonymous = somebody.secret.is_empty();
    let own_token = case.route == "/v1/acl/token/self" && anonymous;
    if refused == (rules.open(&case.whole) && !own_token) {
        return Err(format!("status {}: {}", answer.status, answer.body));
    }
    if refused {
        return Ok(());
    }
    let told = answer.header("x-consul-results-filtered-by-acls").is_some();
    let judged = case.judged.as_ref().unwrap_or(&case.rows);
    let hidden = judged.iter().any(|row| !rules.open(&row.needs));
    if case.kind != Kind::AtMost && told != (case.kind == Kind::List && hidden && !anonymous) {
        return Err(format!("the header that something is hidden: {told}"));
    }
    if case.rows.is_empty() {
        return Ok(());
    }
    let (shown, may) = ((case.read)(&answer.json()), names(&case.rows, rules));
    let once: BTreeSet<String> = shown.iter().cloned().collect();
    let right = match case.kind {
        Kind::AtMost => once.is_subset(&may),
        Kind::List | Kind::Silent => once == may && once.len() == shown.len(),
    };
    if right { Ok(()) } else { Err(format!("shows {shown:?}, not {may:?}")) }
}

/// Sends the plain request, then one of the other forms in turn. Returns the errors in the answers.
async fn check(world: &World, case: &Case, somebody: &Somebody, turn: usize) -> Vec<String> {
    let token = &somebody.secret;
    let plain = world.get(&case.path).token(token).send().await;
    let mut ways: Vec<String> = EVERY_READ.iter().map(|way| (*way).to_owned()).collect();
    ways.extend(case.also.iter().map(|way| (*way).to_owned()));
    if let Some(index) = plain.header("x-consul-index") {
        // One answer is new at once, and for the other the wait ends.
        let waits = ["", "cached&"].into_iter().filter(|way| way.is_empty() || case.also.contains(&"cached"));
        for way in waits {
            ways.push(format!("{way}index=1&wait=1ms"));
            ways.push(format!("{way}index={index}&wait=1ms"));
        }
    }
    let path = asked(&case.path, &ways[turn / OTHER_WAY % ways.len()]);
    let mut answers = vec![(&case.path, plain)];
    if turn.is_multiple_of(OTHER_WAY) {
        answers.push((&path, world.get(&path).token(token).send().await));
    }
    let mut wrong = Vec::new();
    for (path, answer) in &answers {
        if let Err(what) = judge(case, somebody, answer) {
            wrong.push(format!("{path} with {:?}: {what}", somebody.rules.text()));
        }
    }
    wrong
}

#[tokio::test]
async fn n_32_each_row_of_each_list_is_shown_to_who_has_all_rights_to_it_and_to_nobody_else() {
    let world = Setup::guarded().start().await;
    let intention = fill(&world).await;
    let _attached = [attached(&world, "db").await, attached(&world, "web").await];
    let everybody = somebodies(&world).await;
    let name = "narrow-1";
    let policy = world.get(&format!("/v1/acl/policy/name/{name}")).token(ROOT).json().await;
    let policy = (policy["ID"].as_str().unwrap(), name);
    let own = world.get("/v1/acl/token/self").token(ROOT).json().await;
    let cases = cases::all(&intention, policy, own["AccessorID"].as_str().unwrap());

    let table = routes::router().table();
    let routes: BTreeSet<_> =
        table.iter().filter(|row| row.0 == Method::GET).map(|(_, path, _)| *path).collect();
    let judged: BTreeSet<_> = cases.iter().map(|case| case.route).collect();
    let unjudged: Vec<_> = routes.symmetric_difference(&judged).collect();
    assert!(
        unjudged.is_empty(),
        "{unjudged:?}: every GET needs a case in rights/cases.rs, and every case an endpoint"
    );

    let mut wrong = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        for (turn, somebody) in everybody.iter().enumerate() {
            wrong.extend(check(&world, case, somebody, turn + at).await);
        }
    }
    assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
    world.stop().await;
}

/// Open reads of lists, at the servers and in the agent's cache, end when rights change: when they are narrowed,
/// widened or removed. Their answers show what may be seen then.
#[tokio::test]
async fn n_70_every_open_list_ends_when_rights_change() {
    let world = Setup::guarded().start().await;
    let intention = fill(&world).await;
    let made = put(&world, "/v1/acl/policy", json!({"Name": "p", "Rules": Rules::wide().text()})).await;
    let policy = format!("/v1/acl/policy/{}", made["ID"].as_str().unwrap());
    let made = put(&world, "/v1/acl/token", json!({"Policies": [{"Name": "p"}]})).await;
    let secret = made["SecretID"].as_str().unwrap().to_owned();
    let lists = || {
        let all = cases::all(&intention, ("", ""), "").into_iter();
        // Who is refused the whole of a list waits for nothing.
        let open = |case: &Case| case.whole.iter().any(Vec::is_empty);
        all.filter(move |case| case.kind == Kind::List && open(case) && !case.route.starts_with("/v1/agent/"))
    };
    for rules in [Rules::narrow(), Rules::wide(), Rules(Vec::new())] {
        let mut waits = Vec::new();
        for case in lists() {
            for way in ["", "cached"].into_iter().filter(|way| way.is_empty() || case.also.contains(way)) {
                let path = asked(&case.path, way);
                let index = world.get(&path).token(&secret).send().await.index();
                waits.push((way, asked(&path, &format!("index={index}&wait=10m"))));
            }
        }
        assert!(waits.len() > 30, "{}", waits.len());
        let before = world.waiting();
        let at_servers = waits.iter().filter(|(way, _)| way.is_empty()).count() as u64;
        let open =
            futures::future::join_all(waits.iter().map(|(_, path)| world.get(path).token(&secret).send()));
        let change = async {
            while world.waiting() < before + at_servers {
                world.pause(5).await;
            }
            put(&world, &policy, json!({"Name": "p", "Rules": rules.text()})).await;
        };
        let (answers, ()) = world.guard(async { tokio::join!(open, change) }).await;
        let somebody = Somebody { secret: secret.clone(), rules };
        let with_ways = lists().flat_map(|case| {
            let twice = case.also.contains(&"cached");
            std::iter::repeat_n(std::rc::Rc::new(case), if twice { 2 } else { 1 })
        });
        for ((case, answer), (_, path)) in with_ways.zip(&answers).zip(&waits) {
            judge(&case, &somebody, answer).unwrap_or_else(|wrong| panic!("{path}: {wrong}"));
        }
    }
    world.stop().await;
}

/// A filter about a hidden row gives the same answer as one about a row that does not exist.
#[tokio::test]
async fn n_32_a_filter_asks_nothing_of_what_is_hidden() {
    let world = Setup::guarded().start().await;
    fill(&world).await;
    let rules = r#"service_prefix "" { policy = "read" } node "n1" { policy = "read" }"#;
    put(&world, "/v1/acl/policy", json!({"Name": "narrow", "Rules": rules})).await;
    let made = put(&world, "/v1/acl/token", json!({"Policies": [{"Name": "narrow"}]})).await;
    let token = made["SecretID"].as_str().unwrap();
    for (path, field) in [
        ("/v1/catalog/nodes?", "Node"),
        ("/v1/catalog/services?", "Node"),
        ("/v1/catalog/service/web?", "Node"),
        ("/v1/health/service/web?", "Node.Node"),
        ("/v1/health/service/web?cached&", "Node.Node"),
        ("/v1/health/checks/web?", "Node"),
        ("/v1/health/state/any?", "Node"),
    ] {
        let ask = async |value: &str| {
            let path = format!("{path}filter={field}+%3D%3D+{value}");
            let answer = world.get(&path).token(token).send().await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            let told = answer.header("x-consul-results-filtered-by-acls").map(ToOwned::to_owned);
            (answer.index(), told, answer.body)
        };
        assert_eq!(ask("m1").await, ask("m2").await, "{path}");
        assert!(ask("n1").await.2.len() > 2, "{path}");
    }
    world.stop().await;
}

#[tokio::test]
async fn n_32_metadata_asked_for_tells_nothing_of_hidden_nodes() {
    let world = Setup::guarded().start().await;
    fill(&world).await;
    let rules = r#"service_prefix "" { policy = "read" } node "n1" { policy = "read" }"#;
    put(&world, "/v1/acl/policy", json!({"Name": "narrow", "Rules": rules})).await;
    let made = put(&world, "/v1/acl/token", json!({"Policies": [{"Name": "narrow"}]})).await;
    let token = made["SecretID"].as_str().unwrap();
    for path in [
        "/v1/catalog/nodes",
        "/v1/catalog/services",
        "/v1/catalog/service/web",
        "/v1/catalog/connect/web",
        "/v1/health/service/web",
        "/v1/health/connect/web",
        "/v1/health/checks/web",
        "/v1/health/state/passing",
    ] {
        let ask = async |rack: &str| {
            let path = format!("{path}?node-meta=rack:{rack}");
            let answer = world.get(&path).token(token).send().await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            let told = answer.header("x-consul-results-filtered-by-acls").map(ToOwned::to_owned);
            (answer.index(), told, answer.body)
        };
        // The hidden nodes are in two racks; the third rack is empty.
        let nowhere = ask("nowhere").await;
        assert_eq!((ask("a").await, ask("b").await), (nowhere.clone(), nowhere), "{path}");
    }
    world.stop().await;
}

/// `HEAD` does not bypass any right.
#[tokio::test]
async fn no_list_is_told_of_by_its_head() {
    let world = Setup::guarded().start().await;
    for case in cases::all("", ("", ""), "") {
        let head = world.ask("HEAD", &case.path).token(ROOT).send().await;
        assert_eq!((head.status, head.body.as_str(), head.header("x-consul-index")), (405, "", None));
    }
    world.stop().await;
}

/// What the oracle expects exists and is shown to callers with all rights: an empty world would prove nothing.
#[tokio::test]
async fn who_may_see_everything_sees_every_row() {
    let world = Setup::guarded().start().await;
    let intention = fill(&world).await;
    let _attached = [attached(&world, "db").await, attached(&world, "web").await];
    for case in cases::all(&intention, ("", ""), "") {
        if case.route.starts_with("/v1/acl/") || case.rows.is_empty() {
            continue;
        }
        let shown: BTreeSet<String> =
            (case.read)(&world.get(&case.path).token(ROOT).json().await).into_iter().collect();
        let all: BTreeSet<String> = case.rows.iter().map(|row| row.name.clone()).collect();
        match case.kind {
            Kind::AtMost => assert!(!shown.is_empty() && shown.is_subset(&all), "{}: {shown:?}", case.path),
            Kind::List | Kind::Silent => assert_eq!(shown, all, "{}", case.path),
        }
    }
    world.stop().await;
}
