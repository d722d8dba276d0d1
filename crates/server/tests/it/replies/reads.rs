//! Every request that reads, with what it shows and the rights that open each part, after Consul's documentation.

use std::collections::BTreeMap;

use concord_mesh::chain::Overrides;
use concord_mesh::defaults::Question;
use concord_mesh::explain::request::AskedRequest;
use concord_model::catalog::CheckStatus;
use concord_model::entry::{EntryKind, EntryName};
use concord_rpc::AnyRequest;
use concord_rpc::request::*;

use super::filled::{
    BY_ID, CHECKS, ENTRIES, Filled, INSTANCES, INTENTIONS, Instance, NODES, entry_mark, needs_of_check,
    needs_of_intention,
};
use super::oracle::{ANY, Needs, Right};
use crate::intention::{from, to};
use crate::world::{name, target};

/// A request that reads.
pub(crate) struct Read {
    pub(crate) request: AnyRequest,
    /// Whoever has none of these is refused.
    pub(crate) whole: Needs,
    /// What is shown, and to whom.
    pub(crate) rows: Vec<Row>,
    /// What counts as hidden, where it is not the rows themselves.
    pub(crate) judged: Option<Vec<Row>>,
    /// Texts that are no names of ours here.
    pub(crate) says: &'static [&'static str],
}

/// Things that are shown together.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) shows: Vec<String>,
    pub(crate) needs: Needs,
}

fn open() -> Needs {
    vec![Vec::new()]
}

fn only(right: Right) -> Needs {
    vec![vec![right]]
}

fn row(shows: impl IntoIterator<Item = String>, needs: Needs) -> Row {
    Row { shows: shows.into_iter().collect(), needs }
}

impl Read {
    /// A list, each row of which is shown to who may see it.
    fn list<R: Request>(request: R, rows: Vec<Row>) -> Self {
        Self { request: request.into_any(), whole: open(), rows, judged: None, says: &[] }
    }

    /// Something that is shown whole to whom it is open, and refused to all others.
    fn whole<R: Request>(request: R, whole: Needs, rows: impl IntoIterator<Item = Row>) -> Self {
        let rows = rows.into_iter().map(|row| Row { needs: open(), ..row }).collect();
        Self { whole, ..Self::list(request, rows) }
    }
}

pub(crate) fn all(filled: &Filled) -> Vec<Read> {
    let mut all = catalog();
    all.extend(health());
    all.extend(intentions(filled));
    all.extend(entries());
    all.extend(gateways());
    all.extend(tokens(filled));
    all.extend(others());
    all
}

// === Catalog and health ===

fn node_row(node: &'static str) -> Row {
    row([format!("node {node}")], only(("node", node, "read")))
}

fn needs(one: &Instance) -> Vec<Right> {
    vec![("node", one.node, "read"), ("service", one.service, "read")]
}

/// The marks of an instance's own record. The server's own has no tag.
fn record(one: &Instance) -> Vec<String> {
    let mut all = vec![format!("instance {}", one.id)];
    all.extend((one.id != "consul").then(|| format!("tag {}", one.id)));
    all
}

/// Instances with their nodes; the `also` right is needed for each.
fn placed(fits: impl Fn(&Instance) -> bool, also: Option<Right>) -> Vec<Row> {
    let whole = |one: &Instance| {
        let shows = record(one).into_iter().chain([format!("node {}", one.node)]);
        row(shows, vec![needs(one).into_iter().chain(also).collect()])
    };
    INSTANCES.iter().filter(|one| fits(one)).map(whole).collect()
}

/// The same with the checks that speak for each.
fn healths(fits: impl Fn(&Instance) -> bool, also: Option<Right>) -> Vec<Row> {
    let mut rows = placed(&fits, also);
    for (one, row) in INSTANCES.iter().filter(|one| fits(one)).zip(&mut rows) {
        let checks = CHECKS.iter().filter(|check| check.node == one.node);
        let checks = checks.filter(|check| check.instance.is_empty() || check.instance == one.id);
        row.shows.extend(checks.map(|check| format!("check {}", check.id)));
    }
    rows
}

/// A check has the tags of its instance.
fn checks(fits: impl Fn(&super::filled::Check) -> bool) -> Vec<Row> {
    let shown = |check: &super::filled::Check| {
        let tag = (!check.instance.is_empty()).then(|| format!("tag {}", check.instance));
        row([format!("check {}", check.id)].into_iter().chain(tag), vec![needs_of_check(check)])
    };
    CHECKS.iter().filter(|check| fits(check)).map(shown).collect()
}

fn rack(rack: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("rack".to_owned(), rack.to_owned())])
}

fn catalog() -> Vec<Read> {
    let nodes = |fits: fn(&str) -> bool| NODES.into_iter().filter(|own| fits(own)).map(node_row).collect();
    let tags = |fits: fn(&Instance) -> bool| {
        let rows = INSTANCES.iter().filter(|one| fits(one));
        let shows = |one: &Instance| {
            if one.id == "consul" {
                vec!["instance consul".to_owned()]
            } else {
                vec![format!("tag {}", one.id)]
            }
        };
        rows.map(|one| row(shows(one), vec![needs(one)])).collect::<Vec<_>>()
    };
    let mut all = vec![
        Read::list(ListDatacenters {}, Vec::new()),
        Read::list(ListNodes::default(), nodes(|_| true)),
        Read {
            judged: Some(nodes(|_| true)),
            ..Read::list(ListNodes { node_meta: rack("a") }, nodes(|own| own == "n2"))
        },
        Read::list(ListServices::default(), tags(|_| true)),
        Read {
            judged: Some(tags(|_| true)),
            ..Read::list(ListServices { node_meta: rack("b") }, tags(|one| one.node == "m1"))
        },
        Read::list(ListInstances::default(), placed(|_| true, None)),
        Read {
            judged: Some(placed(|_| true, None)),
            ..Read::list(ListInstances { node_meta: rack("a") }, placed(|one| one.node == "n2", None))
        },
    ];
    for of in ["web", "db", "web-proxy", "consul", "nobody"] {
        let fits = |one: &Instance| one.service == of;
        let select = InstanceSelection::of(target(of));
        all.push(Read::list(ServiceInstances { select: select.clone() }, placed(fits, None)));
        let tagged = InstanceSelection { tags: vec!["[tag db-m]".to_owned()], ..select };
        let rows = placed(|one| fits(one) && one.id == "db-m", None);
        all.push(Read {
            judged: Some(placed(fits, None)),
            ..Read::list(ServiceInstances { select: tagged }, rows)
        });
    }
    for of in ["web", "db", "web-admin"] {
        let rows = placed(|one| one.target == of, Some(("service", of, "read")));
        let select = InstanceSelection::connect(target(of));
        let merged = InstanceSelection { merged: true, ..select.clone() };
        all.push(Read::list(ServiceInstances { select }, rows.clone()));
        all.push(Read::list(ServiceInstances { select: merged }, rows));
    }
    for on in ["n1", "n2", "m1", "nobody"] {
        let mut rows: Vec<Row> = NODES.into_iter().filter(|own| *own == on).map(node_row).collect();
        rows.extend(
            INSTANCES.iter().filter(|one| one.node == on).map(|one| row(record(one), vec![needs(one)])),
        );
        rows.extend(checks(|check| check.node == on));
        all.push(Read::list(NodeDump::of(name(on)), rows.clone()));
        all.push(Read::list(NodeDump { merged: true, ..NodeDump::of(name(on)) }, rows));
    }
    all
}

fn health() -> Vec<Read> {
    let mut all = Vec::new();
    for on in ["n1", "n2", "m1", "nobody"] {
        all.push(Read::list(NodeChecks { node: name(on) }, checks(|check| check.node == on)));
    }
    for of in ["web", "db", "web-proxy", "consul", "nobody"] {
        let (all_of, on) = (|check: &super::filled::Check| check.service == of, rack("a"));
        let query = |node_meta| ServiceChecks { service: target(of), node_meta };
        all.push(Read::list(query(BTreeMap::new()), checks(all_of)));
        let rows = checks(|check| all_of(check) && check.node == "n2");
        all.push(Read { judged: Some(checks(all_of)), ..Read::list(query(on), rows) });
        let (select, fits) = (InstanceSelection::of(target(of)), |one: &Instance| one.service == of);
        all.push(Read::list(ServiceHealth { select: select.clone(), worst: None }, healths(fits, None)));
        all.push(Read::list(
            ServiceHealth { select, worst: Some(CheckStatus::Passing) },
            healths(fits, None),
        ));
    }
    for of in ["web", "db", "web-admin"] {
        let rows = healths(|one| one.target == of, Some(("service", of, "read")));
        let select = InstanceSelection::connect(target(of));
        all.push(Read::list(ServiceHealth { select, worst: None }, rows));
    }
    // Nothing serves these from outside.
    let ingress = ServiceHealth { select: InstanceSelection::ingress(target("web")), worst: None };
    all.push(Read::list(ingress, Vec::new()));
    let passing = CheckState::Is(CheckStatus::Passing);
    for (state, there) in [
        (CheckState::Any, true),
        (passing, true),
        (CheckState::Is(CheckStatus::Critical), false),
        (CheckState::Never, false),
    ] {
        let query = ChecksInState { state, node_meta: BTreeMap::new() };
        all.push(Read::list(query, checks(|_| there)));
    }
    let query = ChecksInState { state: passing, node_meta: rack("b") };
    let rows = checks(|check| check.node == "m1");
    all.push(Read { judged: Some(checks(|_| true)), ..Read::list(query, rows) });
    all
}

// === Intentions and entries ===

/// Intentions with what their entries say; the one with an id has an entry that says nothing.
fn told(fits: impl Fn(&str, &str) -> bool) -> Vec<Row> {
    let shows = |source: &str, destination: &str| {
        let entry = (destination != BY_ID.1).then(|| entry_mark(EntryKind::ServiceIntentions, destination));
        [format!("intention {source}>{destination}")].into_iter().chain(entry).collect::<Vec<_>>()
    };
    let all = INTENTIONS.iter().filter(|(source, destination)| fits(source, destination));
    all.map(|(from, to)| row(shows(from, to), needs_of_intention(from, to))).collect()
}

fn intentions(filled: &Filled) -> Vec<Read> {
    let read = |name| only(("intention", name, "read"));
    let mut all = vec![
        Read::list(ListIntentions {}, told(|_, _| true)),
        Read::whole(
            ReadIntention { id: filled.id },
            needs_of_intention(BY_ID.0, BY_ID.1),
            told(|a, b| (a, b) == BY_ID),
        ),
        Read::whole(MatchIntentions::of(MatchBy::AnySource), read("*"), told(|source, _| source == "*")),
        Read::whole(MatchIntentions::of(MatchBy::AnyDestination), read("*"), told(|_, to| to == "*")),
    ];
    for of in ["web", "db", "api", "web-admin"] {
        let covers = |own: &str| own == of || own == "*";
        let by = MatchBy::Destination(target(of));
        all.push(Read::whole(MatchIntentions::of(by), read(of), told(|_, to| covers(to))));
        let by = MatchBy::Source(target(of));
        all.push(Read::whole(MatchIntentions::of(by), read(of), told(|from, _| covers(from))));
        let check = CheckIntention { source: Some(target("web")), destination: target(of) };
        all.push(Read::whole(check, only(("service", of, "read")), []));
    }
    // Who may not read one of several is refused all of them.
    let several = MatchIntentions {
        by: MatchBy::Destination(target("web")),
        also: vec![MatchBy::AnyDestination, MatchBy::Destination(target("db"))],
    };
    let each = vec![["web", "*", "db"].map(|name| ("intention", name, "read")).to_vec()];
    all.push(Read::whole(several, each, told(|_, to| ["web", "*", "db"].contains(&to))));
    for (source, destination) in INTENTIONS.into_iter().filter(|(source, _)| !source.starts_with("peer:")) {
        let pair = ReadPair { destination: to(destination), source: from(source) };
        let rows = told(|a, b| (a, b) == (source, destination));
        all.push(Read::whole(pair, needs_of_intention(source, destination), rows));
    }
    // Pairs with services are listed beside, of those that the caller may see.
    let explain = ExplainIntention { source: target("web"), destination: target("db") };
    let both = vec![vec![("intention", "web", "read"), ("intention", "db", "read")]];
    let rows = told(|a, b| a == "web" && ["db", "*"].contains(&b));
    all.push(Read { judged: Some(placed(|_| true, None)), ..Read::whole(explain, both.clone(), rows) });
    let asked = AskedRequest { method: "GET".to_owned(), target: "/".to_owned(), ..AskedRequest::default() };
    let explain = ExplainRequest { source: target("web"), destination: target("db"), asked };
    let rows = told(|a, b| a == "web" && ["db", "*"].contains(&b));
    let whole = vec![[both[0].clone(), vec![("service", "db", "read")]].concat()];
    all.push(Read { judged: Some(placed(|_| true, None)), ..Read::whole(explain, whole, rows) });
    all
}

fn needs_of_entry(kind: EntryKind, name: &'static str) -> Needs {
    match kind {
        EntryKind::ServiceIntentions => only(("intention", name, "read")),
        EntryKind::ServiceDefaults
        | EntryKind::ServiceResolver
        | EntryKind::ServiceRouter
        | EntryKind::ServiceSplitter
        | EntryKind::IngressGateway
        | EntryKind::TerminatingGateway
        | EntryKind::ApiGateway
        | EntryKind::BoundApiGateway => only(("service", name, "read")),
        EntryKind::ExportedServices
        | EntryKind::InlineCertificate
        | EntryKind::FileSystemCertificate
        | EntryKind::HttpRoute
        | EntryKind::TcpRoute => only(("mesh", "", "read")),
        EntryKind::ProxyDefaults | EntryKind::Mesh => open(),
        EntryKind::JwtProvider => vec![vec![("mesh", "", "read")], vec![("service", ANY, "write")]],
    }
}

/// All entries, with the intentions that are in them.
fn entry_rows() -> Vec<(EntryKind, &'static str, Row)> {
    let mut all = Vec::new();
    for (kind, name) in ENTRIES {
        all.push((kind, name, row([entry_mark(kind, name)], needs_of_entry(kind, name))));
    }
    // The leader writes one beside each gateway, and nothing of its own in it.
    let bound = EntryKind::BoundApiGateway;
    all.push((bound, "web-proxy", row([], needs_of_entry(bound, "web-proxy"))));
    for name in ["db", "web", "*", "api", BY_ID.1] {
        let kind = EntryKind::ServiceIntentions;
        let shows = told(|_, to| to == name).into_iter().flat_map(|row| row.shows);
        all.push((kind, name, row(shows, needs_of_entry(kind, name))));
    }
    all
}

fn entries() -> Vec<Read> {
    let mut all = Vec::new();
    for (kind, name, row) in entry_rows() {
        let request = ReadEntry { name: EntryName::parse(kind, name).unwrap() };
        let accepted = ReadAcceptance { name: request.name.clone() };
        all.push(Read::whole(accepted, row.needs.clone(), []));
        all.push(Read::whole(request, row.needs.clone(), [row]));
    }
    // Whoever may read a service may know how its proxies are configured.
    for of in ["web", "api", "nobody"] {
        let upstreams = [target("db")].into();
        let question = Question { service: target(of), upstreams, transparent: true };
        all.push(Read::whole(ReadDefaults { question }, only(("service", of, "read")), []));
    }
    // A chain is for whoever may read its service, wherever it leads.
    for of in ["web", "db", "nobody"] {
        let chain = ReadChain { service: target(of), datacenter: None, overrides: Overrides::default() };
        let meta = (of != "nobody").then(|| entry_mark(EntryKind::ServiceDefaults, of));
        let needs = only(("service", of, "read"));
        all.push(Read::whole(chain, needs.clone(), meta.map(|mark| row([mark], needs))));
    }
    all.extend(plans());
    all.push(status());
    for kind in EntryKind::ALL {
        let rows = entry_rows().into_iter().filter(|(own, ..)| own == kind).map(|(.., row)| row);
        all.push(Read::list(ListEntries { kind: *kind }, rows.collect()));
    }
    all
}

// === Gateways and neighbours ===

/// The gateway `db` serves `*`: the services with instances that do not speak the mesh's TLS themselves.
fn gateways() -> Vec<Read> {
    let (whole, gateway) = (only(("service", "db", "read")), target("db"));
    let served = ["db", "web"];
    let names = served.map(|of| row([], only(("service", of, "read")))).to_vec();
    let list = |request: AnyRequest, rows: Vec<Row>| {
        let judged = Some(names.iter().cloned().chain(rows.clone()).collect());
        Read { request, whole: whole.clone(), rows, judged, says: &[] }
    };
    let of_served = served.into_iter().chain(["*"]);
    let intentions = of_served.flat_map(|of| {
        let rows = told(move |_, to| to == of).into_iter();
        let also = (of != "*").then_some(("service", of, "read"));
        rows.map(move |own| Row { needs: with(own.needs, also), ..own })
    });
    let exports = Read {
        says: &["db", "web", "web-admin"],
        ..Read::whole(ListExports {}, only(("mesh", "", "read")), [])
    };
    vec![
        list(ListGatewayServices { gateway: gateway.clone() }.into_any(), Vec::new()),
        list(
            GatewayServiceHealth { gateway: gateway.clone() }.into_any(),
            healths(|one| served.contains(&one.service), None),
        ),
        list(GatewayIntentions { gateway }.into_any(), intentions.collect()),
        exports,
        neighbours(),
    ]
}

/// Each alternative with one more right.
fn with(needs: Needs, also: Option<Right>) -> Needs {
    needs.into_iter().map(|all| all.into_iter().chain(also).collect()).collect()
}

/// A service that speaks the mesh's TLS itself calls what the intentions allow: one service by name, one by `*`.
fn neighbours() -> Read {
    let rows = healths(|one| one.service == "db", None).into_iter();
    let rows = rows
        .chain(healths(|one| one.service == "web" || one.target == "web", Some(("service", "web", "read"))));
    let request = ReadTopology { service: target("web-admin"), kind: TopologyKind::Typical };
    Read { whole: only(("service", "web-admin", "read")), ..Read::list(request, rows.collect()) }
}

/// A status tells of services that its caller may see.
fn status() -> Read {
    let name = EntryName::parse(EntryKind::ServiceDefaults, "db").unwrap();
    let seen = placed(|_| true, None).into_iter().chain(hidden_intentions());
    let shows = [row([entry_mark(EntryKind::ServiceDefaults, "db")], open())];
    let status = Read::whole(ReadEntryStatus { name }, only(("service", "db", "read")), shows);
    Read { judged: Some(seen.collect()), ..status }
}

/// A plan tells of services that its caller may see, and of the present entry to who may read it.
fn plans() -> Vec<Read> {
    let delete = |kind, name| PlannedChange::Delete(EntryName::parse(kind, name).unwrap());
    let mut all = Vec::new();
    for name in ["db", "web"] {
        let changes = vec![delete(EntryKind::ServiceIntentions, name)];
        let shows = told(|_, to| to == name).into_iter().flat_map(|row| row.shows);
        let needs = only(("intention", name, "write"));
        let mut read = Read::whole(PlanEntries { changes }, needs, [row(shows, open())]);
        if name == "web" {
            read.rows.push(own_service_to_web());
        }
        // Pairs are told of who may see both services and read the intentions of the called one.
        let seen = placed(|_| true, None).into_iter().chain(hidden_intentions());
        all.push(Read { judged: Some(seen.collect()), ..read });
    }
    all
}

/// The servers' own service may call the web no more, which is told to who may see both.
fn own_service_to_web() -> Row {
    let both = |node| {
        let own = [("node", "n1", "read"), ("service", "consul", "read")];
        own.into_iter().chain([("node", node, "read"), ("service", "web", "read")]).collect()
    };
    row(["instance consul".to_owned()], vec![both("n1"), both("n2")])
}

/// What a caller is not told of because of intentions that it may not read.
fn hidden_intentions() -> Vec<Row> {
    let of = |one: &Instance| {
        let seen = [("node", one.node, "read"), ("service", one.service, "read")];
        row([], vec![seen.to_vec()])
    };
    INSTANCES.iter().map(of).collect()
}

// === Tokens, and what is for everybody ===

/// A token as its readers see it: who may not write tokens is shown no secret.
fn token_rows(name: &str) -> Vec<Row> {
    let secret = row([format!("secret {name}")], only(("acl", "", "write")));
    if name == "root" { vec![secret] } else { vec![row([format!("token {name}")], open()), secret] }
}

fn tokens(filled: &Filled) -> Vec<Read> {
    let read = || only(("acl", "", "read"));
    // Hidden secrets are told by what stands in their place.
    let list = |request: AnyRequest, rows| Read {
        request,
        whole: read(),
        rows,
        judged: Some(Vec::new()),
        says: &["n1"],
    };
    let own = filled.callers.iter().filter(|caller| caller.accessor.is_some());
    let names: Vec<_> = own.map(|caller| caller.name.as_str()).chain(["root"]).collect();
    let policy_row = |name: &str| row([format!("policy {name}")], open());
    let policies = names.iter().filter(|name| **name != "root").map(|name| policy_row(name)).collect();
    let one = filled.caller("t7");
    let (accessor, policy) = (one.accessor.unwrap(), one.policy.unwrap());
    let mut expanded = token_rows("t7");
    expanded.push(policy_row("t7"));
    let by = |which| ReadPolicy { which }.into_any();
    vec![
        list(ListTokens::default().into_any(), names.iter().flat_map(|name| token_rows(name)).collect()),
        list(ListTokens { policy: Some(policy), service: None }.into_any(), token_rows("t7")),
        list(ReadToken { accessor }.into_any(), token_rows("t7")),
        list(ExpandToken { accessor }.into_any(), expanded),
        list(ListPolicies {}.into_any(), policies),
        list(by(PolicyChoice::Id(policy)), vec![policy_row("t7")]),
        list(by(PolicyChoice::Name("t7".to_owned())), vec![policy_row("t7")]),
        Read::list(ResolveToken {}, Vec::new()),
        Read::list(ReadOwnToken {}, Vec::new()),
    ]
}

fn others() -> Vec<Read> {
    let operator = only(("operator", "", "write"));
    let proxy = INSTANCES.iter().find(|one| one.id == "web-2-proxy").unwrap();
    let ask = ReadProxy { node: NodeChoice::Name(name(proxy.node)), proxy: proxy.id.parse().unwrap() };
    let follow = FollowProxy { node: name(proxy.node), proxy: proxy.id.parse().unwrap() };
    let shows = record(proxy).into_iter().chain([format!("node {}", proxy.node)]);
    vec![
        Read::list(ListServers {}, vec![row(["node n1".to_owned()], open())]),
        Read::whole(ask, only(("service", proxy.service, "read")), [row(shows, open())]),
        Read::whole(follow, only(("service", proxy.target, "write")), [row(record(proxy), open())]),
        Read::list(ReadCaRoots {}, Vec::new()),
        Read {
            says: &["consul"],
            ..Read::whole(ReadCaConfig {}, operator, [row(["instance consul".to_owned()], open())])
        },
        Read::list(AwaitAclChange {}, Vec::new()),
        Read::list(ReadStatus {}, Vec::new()),
    ]
}
