//! `services register`, `services deregister`, `members`, `reload`.

use concord_client::testing::{Scripted, Seen};

use super::{Bench, check, file, refuse};

#[test]
fn a_service_is_registered_by_flags() {
    let words =
        ["services", "register", "-name=web", "-id", "web-1", "-port=80", "-tag=a", "-tag=b", "-meta", "k=v"];
    check(
        &Bench::answering("").run(&words),
        &[
            r#"PUT /v1/agent/service/register {"ID":"web-1","Name":"web","Port":80,"Tags":["a","b"],"Meta":{"k":"v"}}"#,
        ],
        "Registered service: web\n",
    );
}

#[test]
fn further_addresses_are_registered_by_name() {
    let words = [
        "services",
        "register",
        "-name=web",
        "-tagged-address",
        "lan=10.0.0.1:80",
        "-tagged-address=wan=[::1]:81",
    ];
    check(
        &Bench::answering("").run(&words),
        &[
            r#"PUT /v1/agent/service/register {"Name":"web","TaggedAddresses":{"lan":{"Address":"10.0.0.1","Port":80},"wan":{"Address":"::1","Port":81}}}"#,
        ],
        "Registered service: web\n",
    );
    let body = |text: &str| {
        let ran = Bench::answering("").run(&[
            "services",
            "register",
            "-name=web",
            &format!("-tagged-address=lan={text}"),
        ]);
        ran.asked.concat().split_once("\"lan\":").map(|(_, rest)| rest.trim_end_matches('}').to_owned())
    };
    assert_eq!(body("fe80::1").as_deref(), Some(r#"{"Address":"fe80::1","Port":0"#));
    assert_eq!(body("web.example").as_deref(), Some(r#"{"Address":"web.example","Port":0"#));
    refuse(
        &["services", "register", "-name=web", "-tagged-address=lan=a:http"],
        1,
        "-tagged-address: \"a:http\" is not address[:port]",
    );
    refuse(
        &["services", "register", "-tagged-address=lan=a", "/x.hcl"],
        1,
        "-tagged-address describes one service",
    );
}

#[test]
fn what_is_no_service_is_registered_with_its_kind() {
    let words = ["services", "register", "-name=edge", "-kind=mesh-gateway", "-port=8443"];
    check(
        &Bench::answering("").run(&words),
        &[r#"PUT /v1/agent/service/register {"Name":"edge","Kind":"mesh-gateway","Port":8443}"#],
        "Registered service: edge\n",
    );
    // The agent decides which kinds exist.
    let script = |_: &Seen| Scripted::status(400, "Kind: unknown kind");
    let ran = Bench::scripted(script).run(&["services", "register", "-name=x", "-kind=bogus"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.contains("Kind: unknown kind"), "{}", ran.err);
    refuse(&["services", "register", "-kind=mesh-gateway", "/x.hcl"], 1, "-kind describes one service");
}

#[test]
fn services_are_registered_from_hcl_and_json() {
    let hcl = "service {\n  name = \"web\"\n  port = 80\n  connect { sidecar_service {} }\n}\nservice { name = \"db\" }";
    let (_a, hcl) = file("services.hcl", hcl);
    let json = r#" {"Service": {"Name": "api", "ID": "api-1"}}"#;
    for name in ["one.json", "one", "one.hcl"] {
        let (_b, json) = file(name, json);
        let ran = Bench::answering("").run(&["services", "register", &json]);
        assert_eq!(ran.asked, [r#"PUT /v1/agent/service/register {"Name":"api","ID":"api-1"}"#], "{name}");
    }
    let (_b, json) = file("one.json", json);
    let ran = Bench::answering("").run(&["services", "register", &hcl, &json]);
    check(
        &ran,
        &[
            r#"PUT /v1/agent/service/register {"Name":"web","Port":80,"Connect":{"SidecarService":{}}}"#,
            r#"PUT /v1/agent/service/register {"Name":"db"}"#,
            r#"PUT /v1/agent/service/register {"Name":"api","ID":"api-1"}"#,
        ],
        "Registered service: web\nRegistered service: db\nRegistered service: api\n",
    );
}

#[test]
fn services_are_registered_from_a_directory_as_an_agent_reads_one() {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in [
        (
            "b.json",
            r#"{"service": {"name": "db", "checks": [{"name": "c", "args": ["true"], "interval": "1s"}]}}"#,
        ),
        ("a.hcl", "service { name = \"web\" }\ncheck { name = \"alone\" ttl = \"1h\" }"),
        ("notes.txt", "service { name = \"no\" }"),
    ] {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let path = directory.path().to_str().unwrap();
    let ran = Bench::answering("").run(&["services", "register", path]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, "Registered service: web\nRegistered service: db\n"),
        "{ran:?}"
    );
    assert_eq!(ran.asked[0], r#"PUT /v1/agent/service/register {"Name":"web"}"#);
    let told: Vec<_> = ran.err.lines().collect();
    let [left_out, checks] = told.as_slice() else { panic!("{told:?}") };
    assert!(left_out.starts_with("warning: ") && left_out.contains("notes.txt: is left out"), "{left_out}");
    assert!(checks.starts_with("warning: checks beside services are not registered"), "{checks}");
    let ran = Bench::answering("").run(&["services", "deregister", path]);
    assert_eq!(ran.out, "Deregistered service: web\nDeregistered service: db\n");
}

#[test]
fn services_are_deregistered_by_id_or_file() {
    let ran = Bench::answering("").run(&["services", "deregister", "-id=web-1"]);
    check(&ran, &["PUT /v1/agent/service/deregister/web-1"], "Deregistered service: web-1\n");
    let text = r#"{"services": [{"name": "web"}, {"name": "db", "id": "db-7"}]}"#;
    let ran = Bench::answering("").input(text).run(&["services", "deregister", "-"]);
    check(
        &ran,
        &["PUT /v1/agent/service/deregister/web", "PUT /v1/agent/service/deregister/db-7"],
        "Deregistered service: web\nDeregistered service: db-7\n",
    );
}

#[test]
fn what_cannot_be_registered_is_refused_at_its_place() {
    let (_a, typo) = file("typo.hcl", "service {\n  name = \"web\"\n  portt = 80\n}");
    refuse(&["services", "register", &typo], 1, "typo.hcl:3:3: ");
    refuse(&["services", "register", &typo], 1, "did you mean \"port\"");
    let (_b, empty) = file("empty.hcl", "datacenter = \"dc1\"");
    refuse(&["services", "register", &empty], 1, "empty.hcl: no service block found");
    // An unknown word is never ignored, wherever it is.
    let (_d, beside) = file("beside.hcl", "service { name = \"web\" }\nservise { name = \"db\" }");
    refuse(
        &["services", "register", &beside],
        1,
        "beside.hcl:2:1: unknown key \"servise\", did you mean \"service",
    );
    refuse(&["services", "deregister", &beside], 1, "beside.hcl:2:1: unknown key");
    let (_c, broken) = file("broken.hcl", "service {");
    refuse(&["services", "register", &broken], 1, "broken.hcl:1:");
    refuse(&["services", "register"], 1, "-name is needed");
    refuse(&["services", "register", "-name=x", &typo], 1, "-name describes one service");
    refuse(&["services", "register", "-name=x", "-socket=/s", "-port=1"], 1, "-socket stands instead");
    refuse(&["services", "register", "/nonexistent.hcl"], 1, "cannot read /nonexistent.hcl");
    refuse(&["services", "deregister"], 1, "-id is needed");
}

const MEMBERS: &str = r#"[
    {"Name":"a1","Addr":"fe80::1","Port":8301,"Status":4,
     "Tags":{"role":"node","dc":"dc0","build":"1.21.0:abc","vsn":"2","segment":"x"}},
    {"Name":"s1","Addr":"10.0.0.1","Port":8301,"Status":1,
     "Tags":{"role":"consul","dc":"dc1","build":"1.21.0:abc","vsn":"2","ap":"default"}}
]"#;

#[test]
fn members_have_the_columns_that_scripts_read_and_servers_come_first() {
    let ran = Bench::answering(MEMBERS).run(&["members"]);
    let expected = "\
Node  Address         Status  Type    Build   Protocol  DC   Partition  Segment
s1    10.0.0.1:8301   alive   server  1.21.0  2         dc1  default    <all>
a1    [fe80::1]:8301  failed  client  1.21.0  2         dc0  default    x
";
    check(&ran, &["GET /v1/agent/members?segment=_all"], expected);
}

#[test]
fn members_are_filtered_by_state() {
    let ran = Bench::answering(MEMBERS).run(&["members", "-wan", "-status=liv", "-detailed"]);
    assert_eq!(ran.asked, ["GET /v1/agent/members?wan=1&segment=_all"]);
    assert!(ran.out.ends_with(
        "\ns1    10.0.0.1:8301  alive   ap=default,build=1.21.0:abc,dc=dc1,role=consul,segment=<all>,vsn=2\n"
    ));
    assert_eq!(ran.out.lines().count(), 2);
    let ran = Bench::answering(MEMBERS).run(&["members", "-status=left"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    let ran = Bench::answering("null").run(&["members", "-wan"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "none at all, as Go writes it: {ran:?}");
    let ran = Bench::answering(MEMBERS).run(&["members", "-status=^live$"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "what is anchored has to be all");
    refuse(&["members", "-status=("], 1, "-status: ");
}

#[test]
fn reload_and_leave_say_what_they_did() {
    let ran = Bench::answering("").run(&["reload"]);
    check(&ran, &["PUT /v1/agent/reload"], "Configuration reload triggered\n");
    let ran =
        Bench::answering(r#"{"Reloaded":["log_level"],"AfterRestart":["ports.http"]}"#).run(&["reload"]);
    let told = "Configuration reload triggered\n  reloaded: log_level\n  takes effect only after a restart: ports.http\n";
    check(&ran, &["PUT /v1/agent/reload"], told);
}
