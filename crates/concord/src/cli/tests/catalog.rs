//! `catalog …`, `maint`.

use concord_client::testing::{Scripted, Seen};

use super::{Bench, check, refuse};

const NODES: &str = r#"[{"ID":"11111111-0000-4000-8000-000000000001","Node":"n1","Address":"10.0.0.1","Datacenter":"dc1",
    "TaggedAddresses":{"lan":"10.0.0.1"},"Meta":{"rack":"a"}},{"ID":"","Node":"longer","Address":"10.0.0.2","Datacenter":"dc1"}]"#;

#[test]
fn nodes_are_listed_with_what_is_asked_for() {
    let ran = Bench::answering(NODES).run(&["catalog", "nodes"]);
    let plain =
        "Node    ID        Address   DC\nn1      11111111  10.0.0.1  dc1\nlonger            10.0.0.2  dc1\n";
    check(&ran, &["GET /v1/catalog/nodes"], plain);
    let ran = Bench::answering(NODES).run(&[
        "catalog",
        "nodes",
        "-detailed",
        "-near=_agent",
        "-node-meta",
        "rack=a",
    ]);
    assert_eq!(ran.asked, ["GET /v1/catalog/nodes?near=_agent&node-meta=rack%3Aa"]);
    assert!(
        ran.out.contains("11111111-0000-4000-8000-000000000001  10.0.0.1  dc1  lan=10.0.0.1     rack=a"),
        "{}",
        ran.out
    );
    let instance = r#"[{"ID":"","Node":"n1","Address":"10.0.0.1","Datacenter":"dc1","ServiceID":"web"}]"#;
    let ran = Bench::answering(instance).run(&["catalog", "nodes", "-service=web", "-filter=Node==n1"]);
    check(
        &ran,
        &["GET /v1/catalog/service/web?filter=Node%3D%3Dn1"],
        "Node  ID  Address   DC\nn1        10.0.0.1  dc1\n",
    );
    let ran = Bench::answering("[]").run(&["catalog", "nodes"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    assert_eq!(ran.err, "No nodes match the given query - try expanding your search.\n");
    refuse(&["catalog", "nodes", "now"], 1, "expected no arguments, found 1");
}

#[test]
fn services_and_datacenters_are_listed() {
    let services = r#"{"web":["b","a"],"consul":[]}"#;
    let ran = Bench::answering(services).run(&["catalog", "services"]);
    check(&ran, &["GET /v1/catalog/services"], "consul\nweb\n");
    let ran = Bench::answering(services).run(&["catalog", "services", "-tags"]);
    check(&ran, &["GET /v1/catalog/services"], "consul\nweb         a,b\n");
    let node = r#"{"Node":{"Node":"n1"},"Services":{"web-1":{"ID":"web-1","Service":"web","Tags":["x"]}}}"#;
    let ran = Bench::answering(node).run(&["catalog", "services", "-node=n1", "-tags"]);
    check(&ran, &["GET /v1/catalog/node/n1"], "web      x\n");
    let ran = Bench::answering("null").run(&["catalog", "services", "-node=nope"]);
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (0, "No services match the given query - try expanding your search.\n")
    );
    let ran = Bench::answering(r#"["dc1"]"#).run(&["catalog", "datacenters"]);
    check(&ran, &["GET /v1/catalog/datacenters"], "dc1\n");
}

#[test]
fn maintenance_is_turned_on_and_off_and_told() {
    let done =
        |words: &[&str], asked: &str, out: &str| check(&Bench::answering("").run(words), &[asked], out);
    done(&["maint", "-enable"], "PUT /v1/agent/maintenance?enable=true", "Node maintenance is now enabled\n");
    done(
        &["maint", "-disable"],
        "PUT /v1/agent/maintenance?enable=false",
        "Node maintenance is now disabled\n",
    );
    done(
        &["maint", "-enable", "-service=web", "-reason=new disk"],
        "PUT /v1/agent/service/maintenance/web?enable=true&reason=new%20disk",
        "Service maintenance is now enabled for \"web\"\n",
    );
    let checks = r#"{"_node_maintenance":{"Node":"n1","CheckID":"_node_maintenance","Notes":"moving"},
        "_service_maintenance:web":{"Node":"n1","CheckID":"_service_maintenance:web","Notes":"new disk","ServiceID":"web"},
        "other":{"Node":"n1","CheckID":"other"}}"#;
    let told = "Node:\n  Name:   n1\n  Reason: moving\n\nService:\n  ID:     web\n  Reason: new disk\n\n";
    check(&Bench::answering(checks).run(&["maint"]), &["GET /v1/agent/checks"], told);
    refuse(&["maint", "-enable", "-disable"], 1, "Only one of -enable or -disable may be provided");
    refuse(&["maint", "-disable", "-reason=x"], 1, "Reason may only be provided with -enable");
    refuse(&["maint", "-service=web"], 1, "Service requires either -enable or -disable");
    let script = |_: &Seen| Scripted::status(404, "Unknown service ID \"nope\"");
    let ran = Bench::scripted(script).run(&["maint", "-enable", "-service=nope"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("cannot change the maintenance of the service nope: "), "{}", ran.err);
}
