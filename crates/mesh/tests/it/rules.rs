//! Tests of the rules that follow from discovery chains: for exports, for gateways and for intentions.

use concord_mesh::entry::{Change, check_graph};
use concord_model::entry::Entry;
use concord_model::intention::{Action, Decision};
use serde_json::json;

use crate::chain::language::entry as line;
use crate::defaults::{Kept, by_request, intentions};
use crate::kinds::entry;

/// The stored entries, each a line.
fn kept(text: &str) -> Kept {
    text.lines().fold(Kept::default(), |kept, own| kept.with(line(own.trim())))
}

fn exports(name: &str) -> Entry {
    let services = json!([{ "name": name, "consumers": [{ "peer": "east" }] }]);
    entry("exported-services", "default", json!({ "services": services }))
}

fn listener(protocol: &str, service: &str) -> Entry {
    let listeners = json!([{ "port": 8080, "protocol": protocol, "services": [{ "name": service }] }]);
    entry("ingress-gateway", "edge", json!({ "listeners": listeners }))
}

fn permissions(of: &str) -> Entry {
    Entry::ServiceIntentions(intentions(of, by_request()))
}

#[track_caller]
fn removes(kept: &Kept, own: &str) -> Result<(), String> {
    let change = Change { name: &line(own).name(), to: None };
    check_graph(kept, change).map_err(|fault| fault.to_string())
}

/// What leads from an exported service to another cluster, with its name.
const FAR: [(&str, &str); 4] = [
    ("V web to=@dc2", "cross-datacenter resolver redirect"),
    ("V web to=api%west", "cross-peer resolver redirect"),
    ("V web dcs=*:dc2", "cross-datacenter failover"),
    ("V web targets=*:api+@dc2", "cross-datacenter failover"),
];

#[test]
fn n_240_requests_for_an_exported_service_stay_in_this_cluster() {
    for (far, what) in FAR {
        let text = format!("peer exported service \"web\" contains {what}");
        // When exports are written, by name and by wildcard,
        for name in ["web", "*"] {
            kept(far).refuses(&exports(name), &text);
            assert_eq!(kept(&far.replace("web", "other")).asked(&exports("web")), Ok(()), "{far}");
            // and when the resolver is, whatever it said before.
            let own = kept("P http").takes(exports(name));
            own.refuses(&line(far), &text);
            own.with(line("V web sub=v1")).refuses(&line(far), &text);
        }
        // Whatever leads there may be the resolver of another service.
        let behind = far.replace("web", "db");
        let own = kept("P http").with(exports("web")).takes(line(&behind));
        own.refuses(&line("V web to=db"), &text);
        own.refuses(&line("S web 50:web 50:db"), &text);
        own.refuses(&line("R web a>db"), &text);
        assert_eq!(own.asked(&line("R other a>db")), Ok(()));
    }
    // Failover to a peer stays with the gateways of this cluster; nobody else's resolver counts.
    let own = kept("P http").takes(exports("web"));
    for near in ["V web targets=*:%west", "V web to=api", "V other to=@dc2", "V web fail=*:api"] {
        assert_eq!(own.asked(&line(near)), Ok(()), "{near}");
    }
    // What was broken before stops nobody.
    let own = kept("P http\nV web to=@dc2").with(exports("web"));
    assert_eq!(own.asked(&line("V web to=@dc3")), Ok(()));
    assert_eq!(check_graph(&own, Change { name: &exports("web").name(), to: None }), Ok(()));
}

#[test]
fn n_241_peers_know_the_services_behind_an_exported_one_without_requests() {
    let text = r#"peer exported service "web" uses protocol="tcp" and cannot introduce new discovery chain targets like "api.default.default.dc1""#;
    for name in ["web", "*"] {
        let own = Kept::default().takes(exports(name));
        own.refuses(&line("V web to=api"), text);
        // Another subset, other settings and failover keep who must prove what they are.
        for same in [
            "V web t=9",
            "V web sub=v1 default=v1",
            "V web fail=*:api",
            "V web targets=*:%west",
            "D web gw=local",
        ] {
            assert_eq!(own.asked(&line(same)), Ok(()), "{same}");
        }
    }
    // A service with requests is reached through gateways that see them.
    assert_eq!(kept("D web http\nD api http").with(exports("web")).asked(&line("V web to=api")), Ok(()));
    // Known are those of the chain as it is; and nobody else's chain counts.
    let own = kept("V web to=api").takes(exports("web"));
    assert_eq!(own.asked(&line("V web to=api t=9")), Ok(()));
    assert!(own.asked(&line("V web to=db")).is_err());
    assert_eq!(own.asked(&line("V other to=db")), Ok(()));
    assert!(removes(&own, "V web").unwrap_err().contains("targets like \"web.default.default.dc1\""));
}

#[test]
fn n_242_a_listener_for_bytes_leads_to_no_router_and_no_splitter() {
    let text = r#"service "web" has protocol "http", which does not match defined listener protocol "tcp""#;
    let own =
        Kept::default().takes(listener("tcp", "web")).takes(line("D web http")).takes(line("D api http"));
    own.refuses(&line("R web a>api"), text);
    own.refuses(&line("S web 50:web 50:api"), text);
    // Before it could look at requests, it was another listener's.
    for other in ["R api a>web", "S api 50:web 50:api", "V web sub=v1", "V web to=api"] {
        assert_eq!(own.asked(&line(other)), Ok(()), "{other}");
    }
    let own = own.takes(listener("http", "web"));
    assert_eq!(own.asked(&line("R web a>api")), Ok(()));
    // A service whose requests all go to others has their protocol.
    let own = kept("D api http").takes(line("S web 100:api"));
    own.refuses(&listener("tcp", "web"), text);
    own.takes(listener("http", "web")).refuses(
        &line("D api grpc"),
        &text.replace(r#""http""#, r#""grpc""#).replace(r#""tcp""#, r#""http""#),
    );
}

#[test]
fn n_243_permissions_need_a_chain_with_requests() {
    let text = r#"service "web" has protocol "tcp", which is incompatible with L7 intentions permissions"#;
    // An entry of the service decides, even if it names no protocol.
    let own = kept("P http");
    let own = own.takes(permissions("web"));
    own.refuses(&line("D web gw=local"), text);
    kept("P http\nD web gw=local").refuses(&permissions("web"), text);
    // A service whose requests all go to others has their protocol, and loses it with theirs.
    kept("D api http").refuses(&permissions("web"), text);
    let own = kept("D api http\nS web 100:api").takes(permissions("web"));
    assert!(removes(&own, "S web").unwrap_err().starts_with(text));
    assert_eq!(own.asked(&line("D api grpc")), Ok(()));
    // Where there is no chain, nobody knows.
    kept("S web 100:api").refuses(&permissions("web"), r#"discovery chain "web" uses a protocol "tcp""#);
    // An intention about connections asks for nothing.
    let plain = intentions("web", Decision::Connection(Action::Allow));
    assert_eq!(kept("S web 100:api").asked(&Entry::ServiceIntentions(plain)), Ok(()));
}
