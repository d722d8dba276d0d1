//! Every `GET` endpoint with the rows that it must show and the rights that each row needs, according to Consul's
//! documentation.

use serde_json::Value;

use super::oracle::{Needs, Right};
use super::shapes;

/// The answer of a path.
pub(crate) struct Case {
    /// The endpoint, as the table of endpoints names it.
    pub(crate) route: &'static str,
    pub(crate) path: String,
    /// A caller with none of these rights is refused.
    pub(crate) whole: Needs,
    /// The rows, and the rights that each needs.
    pub(crate) rows: Vec<Row>,
    /// What counts as hidden, if it is not the rows themselves.
    pub(crate) judged: Option<Vec<Row>>,
    /// The names of the rows in an answer.
    pub(crate) read: fn(&Value) -> Vec<String>,
    /// Further parameters that do not change the answer.
    pub(crate) also: Vec<&'static str>,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Exactly what may be seen, and a header if something is hidden.
    List,
    /// The same without the header.
    Silent,
    /// Nothing except what may be seen.
    AtMost,
}

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) needs: Needs,
}

/// An instance in the catalog.
struct Instance {
    node: &'static str,
    id: &'static str,
    service: &'static str,
    tags: &'static [&'static str],
    /// Its checks, in the order of their ids.
    checks: &'static [&'static str],
}

const INSTANCES: [Instance; 7] = [
    instance("n1", "consul", "consul", &[], &["disk", "serfHealth"]),
    instance("n1", "web-1", "web", &["blue"], &["disk", "serfHealth", "web-ttl"]),
    instance("n1", "db-1", "db", &[], &["disk", "serfHealth"]),
    instance("n2", "web-2", "web", &["green"], &["n2-node", "web-2-check"]),
    instance("n2", "web-2-proxy", "web-proxy", &[], &["n2-node", "proxy-check"]),
    instance("m1", "admin", "web-admin", &[], &[]),
    instance("m1", "db-m", "db", &["blue"], &["db-check"]),
];

/// Node, id, service if it has one.
type Check = (&'static str, &'static str, &'static str);

const CHECKS: [Check; 7] = [
    ("n1", "serfHealth", ""),
    ("n1", "disk", ""),
    ("n1", "web-ttl", "web"),
    ("n2", "n2-node", ""),
    ("n2", "web-2-check", "web"),
    ("n2", "proxy-check", "web-proxy"),
    ("m1", "db-check", "db"),
];

/// Services that have defaults.
pub(crate) const DEFAULTS: [&str; 3] = ["db", "web", "web-admin"];

/// Source and destination.
pub(crate) const INTENTIONS: [(&str, &str); 4] =
    [("web", "db"), ("*", "web"), ("db", "web-admin"), ("web-admin", "db")];

const NODES: [&str; 3] = ["n1", "n2", "m1"];

const fn instance(
    node: &'static str,
    id: &'static str,
    service: &'static str,
    tags: &'static [&'static str],
    checks: &'static [&'static str],
) -> Instance {
    Instance { node, id, service, tags, checks }
}

const fn node(name: &'static str) -> Right {
    ("node", name, "read")
}

const fn service(name: &'static str) -> Right {
    ("service", name, "read")
}

const fn intention(name: &'static str) -> Right {
    ("intention", name, "read")
}

fn open() -> Needs {
    vec![Vec::new()]
}

fn only(right: Right) -> Needs {
    vec![vec![right]]
}

fn row(name: impl Into<String>, needs: Needs) -> Row {
    Row { name: name.into(), needs }
}

impl Case {
    fn list(
        route: &'static str,
        path: impl Into<String>,
        read: fn(&Value) -> Vec<String>,
        rows: Vec<Row>,
    ) -> Self {
        let path = path.into();
        Self { route, path, whole: open(), rows, judged: None, read, also: Vec::new(), kind: Kind::List }
    }

    /// A single thing, which is shown to those with the right and refused to all others.
    fn one(route: &'static str, path: impl Into<String>, whole: Needs) -> Self {
        Self { whole, kind: Kind::Silent, ..Self::list(route, path, shapes::nothing, Vec::new()) }
    }

    fn with(mut self, also: &[&'static str]) -> Self {
        self.also.extend(also);
        self
    }
}

/// A catalog list of instances; `also` is needed for each.
fn instances(fits: impl Fn(&Instance) -> bool, also: Option<Right>) -> Vec<Row> {
    let needs =
        |one: &Instance| vec![[node(one.node), service(one.service)].into_iter().chain(also).collect()];
    INSTANCES.iter().filter(|one| fits(one)).map(|one| row(one.id, needs(one))).collect()
}

/// Whether an instance is that of the terminating gateway, whose entry names all services that do not speak the mesh's
/// TLS themselves.
fn stands_for(id: &str, service: &str) -> bool {
    id == "admin" && ["web", "db"].contains(&service)
}

/// The same with the checks that speak for each.
fn healths(fits: impl Fn(&Instance) -> bool, also: Option<Right>) -> Vec<Row> {
    let with_checks = |row: Row| {
        let one = INSTANCES.iter().find(|one| one.id == row.name).unwrap();
        let name = one.checks.iter().fold(row.name, |all, check| format!("{all} {}/{check}", one.node));
        Row { name, ..row }
    };
    instances(fits, also).into_iter().map(with_checks).collect()
}

/// The services of instances, and their tags.
fn services(fits: impl Fn(&Instance) -> bool) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for one in INSTANCES.iter().filter(|one| fits(one)) {
        let tags = one.tags.iter().map(|tag| format!("{} {tag}", one.service));
        for name in std::iter::once(one.service.to_owned()).chain(tags) {
            let needs = vec![node(one.node), service(one.service)];
            match rows.iter_mut().find(|row| row.name == name) {
                Some(row) => row.needs.push(needs),
                None => rows.push(row(name, vec![needs])),
            }
        }
    }
    rows
}

/// In the catalog a check also reveals its node and its service.
fn checks(fits: impl Fn(&Check) -> bool) -> Vec<Row> {
    let needs = |(on, _, of): &Check| {
        vec![std::iter::once(node(on)).chain((!of.is_empty()).then_some(service(of))).collect()]
    };
    let all = CHECKS.iter().filter(|check| fits(check));
    all.map(|check| row(format!("{}/{}", check.0, check.1), needs(check))).collect()
}

/// At the agent a check of a service reveals only the service.
fn own_checks() -> Vec<Row> {
    let needs = |check: &Check| only(if check.2.is_empty() { node("n1") } else { service(check.2) });
    let own = CHECKS.iter().filter(|check| check.0 == "n1" && check.1 != "serfHealth");
    own.map(|check| row(format!("n1/{}", check.1), needs(check))).collect()
}

/// A right to either end is enough for an intention.
fn intentions(fits: impl Fn(&str, &str) -> bool) -> Vec<Row> {
    let needs = |from, to| vec![vec![intention(from)], vec![intention(to)]];
    let all = INTENTIONS.iter().filter(|(from, to)| fits(from, to));
    all.map(|(from, to)| row(format!("{from}>{to}"), needs(from, to))).collect()
}

fn catalog(cases: &mut Vec<Case>) {
    let nodes = |fits: fn(&str) -> bool| {
        NODES.iter().filter(|name| fits(name)).map(|name| row(*name, only(node(name)))).collect()
    };
    let path = "/v1/catalog/nodes";
    cases.push(
        Case::list(path, path, shapes::nodes, nodes(|_| true)).with(&["filter=Node+%21%3D+x", "near=m1"]),
    );
    let on = format!("{path}?node-meta=rack:a");
    let on = Case::list(path, on, shapes::nodes, nodes(|name| name == "n2"));
    cases.push(Case { judged: Some(nodes(|_| true)), ..on });
    cases.push(Case::one("/v1/catalog/datacenters", "/v1/catalog/datacenters", open()));
    let path = "/v1/catalog/services";
    let shown = |on: fn(&Instance) -> bool, query: &str| Case {
        judged: Some(instances(|_| true, None)),
        ..Case::list(path, format!("{path}{query}"), shapes::services, services(on))
    };
    cases.push(shown(|_| true, "").with(&["filter=ServiceName+%21%3D+x", "cached"]));
    cases.push(
        shown(|one| one.node == "m1", "?node-meta=rack:b").with(&["filter=ServiceName+%21%3D+x", "cached"]),
    );
    for name in ["web", "db", "web-proxy", "consul", "nobody"] {
        let fits = |one: &Instance| one.service == name;
        let path = format!("/v1/catalog/service/{name}");
        let case = Case::list("/v1/catalog/service/:name", path, shapes::instances, instances(fits, None));
        cases.push(case.with(&["filter=ServiceID+%21%3D+x", "near=n1", "cached"]));
    }
    for (name, id) in [("web", "web-2-proxy"), ("web-admin", "admin"), ("db", "")] {
        let rows = instances(|one| one.id == id || stands_for(one.id, name), Some(service(name)));
        let path = format!("/v1/catalog/connect/{name}");
        let case = Case::list("/v1/catalog/connect/:name", path, shapes::instances, rows);
        cases.push(case.with(&["filter=ServiceID+%21%3D+x", "cached"]));
    }
    for name in ["n1", "n2", "m1", "nobody"] {
        let mut rows = instances(|one| one.node == name, None);
        let exists = (name != "nobody").then(|| row(name, only(node(name))));
        rows.extend(exists);
        let list = |route, path: &str, read| Case::list(route, format!("{path}/{name}"), read, rows.clone());
        let by_id = list("/v1/catalog/node/:node", "/v1/catalog/node", shapes::node);
        cases.push(by_id.with(&["filter=ID+%21%3D+x"]));
        let in_order =
            list("/v1/catalog/node-services/:node", "/v1/catalog/node-services", shapes::node_services);
        cases.push(in_order.with(&["filter=ID+%21%3D+x"]));
    }
}

fn health(cases: &mut Vec<Case>) {
    const NO_NODE: &str = "filter=Node+%21%3D+x";
    for name in ["web", "db", "web-proxy", "consul", "nobody"] {
        let rows = healths(|one| one.service == name, None);
        let path = format!("/v1/health/service/{name}");
        let case = Case::list("/v1/health/service/:service", path, shapes::health, rows);
        cases.push(case.with(&["filter=Service.ID+%21%3D+x", "near=m1", "cached", "cached&near=n2"]));
        let path = format!("/v1/health/checks/{name}");
        let rows = checks(|check| check.2 == name);
        cases.push(Case::list("/v1/health/checks/:service", path, shapes::checks, rows).with(&[NO_NODE]));
    }
    for (name, id) in [("web", "web-2-proxy"), ("web-admin", "admin"), ("db", "")] {
        let rows = healths(|one| one.id == id || stands_for(one.id, name), Some(service(name)));
        let path = format!("/v1/health/connect/{name}");
        let case = Case::list("/v1/health/connect/:service", path, shapes::health, rows);
        cases.push(case.with(&["filter=Service.ID+%21%3D+x", "cached"]));
    }
    for name in ["n1", "n2", "m1", "nobody"] {
        let rows = checks(|check| check.0 == name);
        let path = format!("/v1/health/node/{name}");
        cases.push(Case::list("/v1/health/node/:node", path, shapes::checks, rows).with(&[NO_NODE]));
    }
    let state = |path: &str, fits: fn(&Check) -> bool| {
        let path = format!("/v1/health/state/{path}");
        Case::list("/v1/health/state/:state", path, shapes::checks, checks(fits)).with(&[NO_NODE])
    };
    cases.push(state("any", |_| true).with(&["near=m1"]));
    let on = state("passing?node-meta=rack:a", |check| check.0 == "n2");
    cases.push(Case { judged: Some(checks(|_| true)), ..on });
}

fn agent(cases: &mut Vec<Case>) {
    let own = || only(("agent", "n1", "read"));
    for (path, needs) in [
        ("/v1/agent/self", own()),
        ("/v1/agent/metrics", own()),
        ("/v1/agent/monitor", own()),
        ("/v1/agent/version", open()),
        ("/v1/agent/connect/ca/roots", open()),
    ] {
        cases.push(Case::one(path, path, needs));
    }
    let write = only(("service", "web", "write"));
    let leaf = Case::one("/v1/agent/connect/ca/leaf/:service", "/v1/agent/connect/ca/leaf/web", write);
    cases.push(leaf.with(&["cached"]));
    let path = "/v1/agent/members";
    let member = vec![row("n1", only(node("n1")))];
    cases.push(Case::list(path, path, shapes::members, member).with(&["filter=Name+%21%3D+x"]));
    let path = "/v1/agent/checks";
    cases.push(Case::list(path, path, shapes::own_checks, own_checks()).with(&["filter=CheckID+%21%3D+x"]));
    let path = "/v1/agent/proxies";
    let attached = vec![row("db", only(service("db"))), row("web", only(service("web")))];
    cases.push(Case::list(path, path, shapes::proxies, attached.clone()));
    let (route, path) = ("/v1/agent/proxies/entry/:kind/:name", "/v1/agent/proxies/entry/mesh/mesh");
    cases.push(Case::list(route, path, shapes::proxies, attached.clone()));
    let path = "/v1/agent/proxies/entry/service-defaults/web";
    let case = Case::list(route, path, shapes::proxies, Vec::new());
    cases.push(Case { whole: only(service("web")), judged: Some(attached), ..case });
    let path = "/v1/agent/services";
    let services = vec![row("web-1", only(service("web"))), row("db-1", only(service("db")))];
    cases.push(Case::list(path, path, shapes::keys, services).with(&["filter=ID+%21%3D+x"]));
    for (id, name) in [("web-1", "web"), ("db-1", "db")] {
        cases.push(Case::one(
            "/v1/agent/service/:id",
            format!("/v1/agent/service/{id}"),
            only(service(name)),
        ));
        let mut rows: Vec<_> =
            own_checks().into_iter().filter(|row| name == "web" || row.name == "n1/disk").collect();
        rows.push(row(id, only(service(name))));
        for (route, path) in [
            ("/v1/agent/health/service/id/:id", format!("/v1/agent/health/service/id/{id}")),
            ("/v1/agent/health/service/name/:name", format!("/v1/agent/health/service/name/{name}")),
        ] {
            let case = Case::list(route, path, shapes::own_health, rows.clone());
            cases.push(Case { whole: only(service(name)), kind: Kind::Silent, ..case });
        }
    }
}

fn mesh(cases: &mut Vec<Case>, id: &str) {
    let path = "/v1/connect/intentions";
    let list = Case::list(path, path, shapes::intentions, intentions(|_, _| true));
    cases.push(list.with(&["filter=SourceName+%21%3D+x"]));
    let either = |from, to| vec![vec![intention(from)], vec![intention(to)]];
    // The intention that the older API created.
    let (from, to) = INTENTIONS[2];
    cases.push(Case::one("/v1/connect/intentions/:id", format!("{path}/{id}"), either(from, to)));
    for (from, to) in INTENTIONS {
        let pair = format!("{path}/exact?source={from}&destination={to}");
        cases.push(Case::one("/v1/connect/intentions/exact", pair, either(from, to)));
        let check = format!("{path}/check?source=web&destination={to}");
        cases.push(Case::one("/v1/connect/intentions/check", check, only(service(to))));
    }
    for name in ["web", "db", "web-admin"] {
        let covers = |own: &str| own == name || own == "*";
        for (by, rows) in
            [("destination", intentions(|_, to| covers(to))), ("source", intentions(|from, _| covers(from)))]
        {
            // A caller that may send the request sees all of it.
            let rows = rows.into_iter().map(|one| row(one.name, open())).collect();
            let path = format!("{path}/match?by={by}&name={name}");
            let case = Case::list("/v1/connect/intentions/match", path, shapes::matches, rows);
            cases.push(Case { whole: only(intention(name)), kind: Kind::Silent, ..case }.with(&["cached"]));
        }
    }
    // Who may not read one of several is refused all of them.
    let several = format!("{path}/match?by=destination&name=db&name=web");
    let rows = intentions(|_, to| ["db", "web"].contains(&to)).into_iter().map(|one| row(one.name, open()));
    let case = Case::list("/v1/connect/intentions/match", several, shapes::matches, rows.collect());
    let both = vec![vec![intention("db"), intention("web")]];
    cases.push(Case { whole: both, kind: Kind::Silent, ..case }.with(&["cached"]));
    let explain = Case::list(
        "/v1/connect/intentions/explain",
        format!("{path}/explain?source=db&destination=web"),
        shapes::affected,
        services(|_| true),
    );
    let both = vec![vec![intention("db"), intention("web")]];
    cases.push(Case { whole: both, kind: Kind::AtMost, ..explain });
    let route = "/v1/config/:kind";
    let entries = ["db", "web", "web-admin"].map(|name| row(name, only(intention(name)))).to_vec();
    cases.push(Case::list(route, "/v1/config/service-intentions", shapes::entries, entries));
    let defaults = DEFAULTS.map(|name| row(name, only(service(name)))).to_vec();
    let defaults = Case::list(route, "/v1/config/service-defaults", shapes::entries, defaults);
    cases.push(defaults.with(&["filter=Name+%21%3D+x"]));
    for name in ["db", "web"] {
        let path = format!("/v1/config/service-intentions/{name}");
        cases.push(Case::one("/v1/config/:kind/:name", path, only(intention(name))));
        let path = format!("/v1/config/service-defaults/{name}");
        cases.push(Case::one("/v1/config/:kind/:name", path, only(service(name))));
    }
    for name in ["db", "web"] {
        let path = format!("/v1/config/status/service-defaults/{name}");
        let status = Case::one("/v1/config/status/:kind/:name", path, only(service(name)));
        cases.push(Case { kind: Kind::AtMost, ..status });
    }
    for name in ["db", "web"] {
        let path = format!("/v1/discovery-chain/{name}");
        cases.push(Case::one("/v1/discovery-chain/:service", path, only(service(name))).with(&["cached"]));
    }
    for (kind, name) in [("proxy-defaults", "global"), ("mesh", "mesh")] {
        cases.push(Case::list(route, format!("/v1/config/{kind}"), shapes::entries, vec![row(name, open())]));
        cases.push(Case::one("/v1/config/:kind/:name", format!("/v1/config/{kind}/{name}"), open()));
    }
    let path = "/v1/connect/ca/configuration";
    cases.push(Case::one(path, path, only(("operator", "", "write"))));
    for path in ["/v1/connect/ca/roots", "/v1/status/leader", "/v1/status/peers"] {
        cases.push(Case::one(path, path, open()));
    }
}

/// The gateway `web-admin` serves `*`, and `web-proxy` serves `db`.
fn gateways(cases: &mut Vec<Case>) {
    const SERVED: [&str; 2] = ["db", "web"];
    let whole = || only(service("web-admin"));
    let names = || SERVED.map(|name| row(name, only(service(name)))).to_vec();
    let list = |route, path: &str, read, rows| Case {
        whole: whole(),
        ..Case::list(route, format!("{path}/web-admin"), read, rows)
    };
    let path = "/v1/catalog/gateway-services";
    cases.push(list("/v1/catalog/gateway-services/:gateway", path, shapes::served, names()));
    let path = "/v1/internal/ui/gateway-services-nodes";
    let on = |one: &Instance| {
        row(format!("{} {}", one.service, one.node), vec![vec![node(one.node), service(one.service)]])
    };
    let nodes = INSTANCES.iter().filter(|one| SERVED.contains(&one.service)).map(on);
    let rows = names().into_iter().chain(nodes).collect();
    cases.push(list("/v1/internal/ui/gateway-services-nodes/:gateway", path, shapes::served_nodes, rows));
    let path = "/v1/internal/ui/gateway-intentions";
    let served = |(from, to): &(&'static str, &'static str)| {
        let needs = [*from, *to].map(|end| vec![service(to), intention(end)]).to_vec();
        row(format!("{from}>{to}"), needs)
    };
    let rows: Vec<_> = INTENTIONS.iter().filter(|(_, to)| SERVED.contains(to)).map(served).collect();
    let judged = Some(rows.iter().cloned().chain(names()).collect());
    let case = list("/v1/internal/ui/gateway-intentions/:gateway", path, shapes::intentions, rows);
    cases.push(Case { judged, ..case });
    let rows = healths(|one| one.service == "web-proxy", Some(service("db")));
    let case = Case::list("/v1/health/ingress/:service", "/v1/health/ingress/db", shapes::health, rows);
    cases.push(case.with(&["filter=Service.ID+%21%3D+x", "cached"]));
    // Without a rule about the mesh the right of operators counts.
    let mesh = vec![vec![("mesh", "", "read")], vec![("operator", "", "read")]];
    cases.push(Case::one("/v1/exported-services", "/v1/exported-services", mesh));
    let path = "/v1/internal/ui/service-topology/web-admin?kind=";
    cases.push(Case::one("/v1/internal/ui/service-topology/:service", path, whole()));
}

fn acl(cases: &mut Vec<Case>, policy: (&str, &str), accessor: &str) {
    let read = || only(("acl", "", "read"));
    // A caller with only read rights sees no secret.
    let secrets = || vec![row("secret", only(("acl", "", "write")))];
    let tokens = Case::list("/v1/acl/tokens", "/v1/acl/tokens", shapes::secrets, secrets());
    cases.push(Case { whole: read(), kind: Kind::Silent, ..tokens });
    let path = format!("/v1/acl/token/{accessor}");
    let token = Case::list("/v1/acl/token/:accessor", path, shapes::secrets, secrets());
    cases.push(Case { whole: read(), kind: Kind::Silent, ..token }.with(&["expanded"]));
    cases.push(Case::one("/v1/acl/policies", "/v1/acl/policies", read()));
    let (id, name) = policy;
    cases.push(Case::one("/v1/acl/policy/:id", format!("/v1/acl/policy/{id}"), read()));
    cases.push(Case::one("/v1/acl/policy/name/:name", format!("/v1/acl/policy/name/{name}"), read()));
    // Every token may read itself.
    cases.push(Case::one("/v1/acl/token/self", "/v1/acl/token/self", open()));
}

/// All cases. `intention` is the id of the intention that has one; `policy` are the id and name of a policy.
pub(crate) fn all(intention: &str, policy: (&str, &str), accessor: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    catalog(&mut cases);
    health(&mut cases);
    agent(&mut cases);
    mesh(&mut cases, intention);
    gateways(&mut cases);
    acl(&mut cases, policy, accessor);
    cases
}
