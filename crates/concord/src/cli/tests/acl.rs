//! `acl …`.

use concord_client::testing::{Scripted, Seen};

use serde_json::json;

use super::{Bench, check, file, refuse};

const ACCESSOR: &str = "986193b5-e2b5-eb26-6264-b524ea60cc6d";
const POLICY: &str = "06acc965-df4b-5a99-58cb-3250930c6324";

fn token() -> String {
    format!(
        r#"{{"AccessorID":"{ACCESSOR}","SecretID":"s-e-c","Description":"d","Local":false,
        "Policies":[{{"ID":"{POLICY}","Name":"read-all"}}],"CreateTime":"2018-10-22T15:33:39.01789Z",
        "Hash":"h","CreateIndex":1,"ModifyIndex":2}}"#
    )
}

fn policy() -> String {
    format!(
        r#"{{"ID":"{POLICY}","Name":"read-all","Description":"d","Rules":"node \"a\" {{}}\n",
        "Datacenters":["dc1"],"Hash":"h","CreateIndex":1,"ModifyIndex":2}}"#
    )
}

/// A server with one token and one policy.
fn stocked(seen: &Seen) -> Scripted {
    let path = seen.target.split('?').next().unwrap_or_default();
    Scripted::ok(match path {
        "/v1/acl/tokens" => format!("[{}]", token()),
        "/v1/acl/policies" => format!("[{}]", policy()),
        _ if path.starts_with("/v1/acl/policy") => policy(),
        _ => token(),
    })
}

const PRINTED: &str = "\
AccessorID:       986193b5-e2b5-eb26-6264-b524ea60cc6d
SecretID:         s-e-c
Description:      d
Local:            false
Create Time:      2018-10-22 15:33:39.01789 +0000 UTC
Policies:
   06acc965-df4b-5a99-58cb-3250930c6324 - read-all
";

#[test]
fn bootstrap_prints_the_first_token() {
    check(&Bench::scripted(stocked).run(&["acl", "bootstrap"]), &["PUT /v1/acl/bootstrap"], PRINTED);
    let ran = Bench::scripted(stocked).input("my-secret\n").run(&["acl", "bootstrap", "-format=json", "-"]);
    assert_eq!(ran.asked, [r#"PUT /v1/acl/bootstrap {"BootstrapSecret":"my-secret"}"#]);
    assert!(ran.out.contains("\n    \"SecretID\": \"s-e-c\",\n"), "{}", ran.out);
    refuse(&["acl", "bootstrap", "-"], 1, "holds no secret");
}

#[test]
fn a_token_is_created_with_policies_by_id_beginning_and_name() {
    let words = [
        "acl",
        "token",
        "create",
        "-description=d",
        "-policy-id=06acc",
        "-policy-name",
        "other",
        "-local",
        "-expires-ttl=90m",
        "-accessor=a",
        "-secret=s",
    ];
    let body = format!(
        r#"{{"AccessorID":"a","SecretID":"s","Description":"d","Local":true,"Policies":[{{"Name":"other"}},{{"ID":"{POLICY}"}}],"ExpirationTTL":"1h30m0s"}}"#
    );
    let ran = Bench::scripted(stocked).run(&words);
    check(&ran, &["GET /v1/acl/policies", &format!("PUT /v1/acl/token {body}")], PRINTED);
}

#[test]
fn identities_are_sent() {
    let words = [
        "acl",
        "token",
        "create",
        "-service-identity=web:dc1,dc2",
        "-service-identity=db",
        "-node-identity=n:dc1",
    ];
    let ran = Bench::scripted(stocked).run(&words);
    let body = concat!(
        r#"{"Local":false,"Policies":[],"ServiceIdentities":"#,
        r#"[{"ServiceName":"web","Datacenters":["dc1","dc2"]},{"ServiceName":"db"}],"#,
        r#""NodeIdentities":[{"NodeName":"n","Datacenter":"dc1"}]}"#
    );
    assert_eq!(ran.asked, [format!("PUT /v1/acl/token {body}")]);
    refuse(
        &["acl", "token", "create", "-node-identity=n"],
        1,
        "-node-identity: \"n\" is not name:datacenter",
    );
    refuse(
        &["acl", "token", "create", "-service-identity=a:b:c"],
        1,
        "-service-identity: \"a:b:c\" is not name",
    );
}

/// A server whose tokens have one identity of each kind.
fn of_a_mesh(_: &Seen) -> Scripted {
    Scripted::ok(format!(
        r#"{{"AccessorID":"{ACCESSOR}","SecretID":"s","CreateTime":"2018-10-22T15:33:39Z","ServiceIdentities":
        [{{"ServiceName":"web"}},{{"ServiceName":"db","Datacenters":["dc1","dc2"]}}],
        "NodeIdentities":[{{"NodeName":"n","Datacenter":"dc1"}}]}}"#
    ))
}

#[test]
fn identities_are_printed() {
    let ran = Bench::scripted(of_a_mesh).run(&["acl", "token", "read", "-accessor-id", ACCESSOR]);
    let printed = "Service Identities:\n   web (Datacenters: all)\n   db (Datacenters: dc1, dc2)\n\
        Node Identities:\n   n (Datacenter: dc1)\n";
    assert!(ran.out.ends_with(printed), "{}", ran.out);
}

#[test]
fn identities_stay_are_replaced_or_added_to() {
    let sent = |more: &[&str]| {
        let words: Vec<_> =
            ["acl", "token", "update", "-accessor-id", ACCESSOR].iter().chain(more).copied().collect();
        let ran = Bench::scripted(of_a_mesh).run(&words);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let (_, body) = ran.asked.last().unwrap().split_once('{').unwrap();
        let body: serde_json::Value = serde_json::from_str(&format!("{{{body}")).unwrap();
        (body["ServiceIdentities"].clone(), body["NodeIdentities"].clone())
    };
    let (web, db) =
        (json!({ "ServiceName": "web" }), json!({ "ServiceName": "db", "Datacenters": ["dc1", "dc2"] }));
    let node = json!({ "NodeName": "n", "Datacenter": "dc1" });
    assert_eq!(sent(&["-description=x"]), (json!([web, db]), json!([node])));
    assert_eq!(sent(&["-service-identity=api"]), (json!([{ "ServiceName": "api" }]), json!([node])));
    let (services, nodes) = sent(&["-append-service-identity=web", "-append-service-identity=api"]);
    assert_eq!((services, nodes), (json!([web, db, { "ServiceName": "api" }]), json!([node])));
    let merged = sent(&["-service-identity=web", "-service-identity=api", "-merge-service-identities"]);
    assert_eq!(merged, (json!([web, db, { "ServiceName": "api" }]), json!([node])));
    // An added identity replaces an existing one with the same name.
    let (services, _) = sent(&["-append-service-identity=db:dc3"]);
    assert_eq!(services, json!([web, { "ServiceName": "db", "Datacenters": ["dc3"] }]));
    let merged = sent(&["-node-identity=m:dc2", "-merge-node-identities"]);
    assert_eq!(merged, (json!([web, db]), json!([node, { "NodeName": "m", "Datacenter": "dc2" }])));
    let (services, nodes) = sent(&["-append-node-identity=m:dc2"]);
    assert_eq!(
        (services, nodes),
        (json!([web, db]), json!([node, { "NodeName": "m", "Datacenter": "dc2" }]))
    );
    let both = [
        "acl",
        "token",
        "update",
        "-accessor-id",
        ACCESSOR,
        "-node-identity=a:b",
        "-append-node-identity=c:d",
    ];
    let ran = Bench::scripted(of_a_mesh).run(&both);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("-append-node-identity adds to the identities and -node-identity replaces them")
    );
}

#[test]
fn a_token_without_rights_is_not_made() {
    let flags = "-policy-name, -policy-id, -service-identity, -node-identity";
    refuse(&["acl", "token", "create"], 1, flags);
    refuse(&["acl", "token", "create", "-description=d", "-local"], 1, flags);
    let ran = Bench::scripted(stocked).run(&["acl", "token", "create", "-policy-name=p"]);
    assert_eq!(ran.asked, [r#"PUT /v1/acl/token {"Local":false,"Policies":[{"Name":"p"}]}"#]);
}

#[test]
fn an_agent_is_given_its_tokens() {
    let set = |words: &[&str], input: &str| {
        let words: Vec<_> = ["acl", "set-agent-token"].iter().chain(words).copied().collect();
        Bench::answering("").input(input).run(&words)
    };
    let said = |kind: &str| format!("ACL token \"{kind}\" set successfully\n");
    for kind in ["default", "agent", "config_file_service_registration", "replication", "dns"] {
        let line = format!(r#"PUT /v1/agent/token/{kind} {{"Token":"s-e-c"}}"#);
        check(&set(&[kind, "s-e-c"], ""), &[&line], &said(kind));
    }
    let line = r#"PUT /v1/agent/token/agent_recovery {"Token":"s-e-c"}"#;
    let (_a, path) = file("token", "s-e-c\n");
    check(&set(&["recovery", &format!("@{path}")], ""), &[line], &said("recovery"));
    check(&set(&["recovery", "-"], "s-e-c\n"), &[line], &said("recovery"));
    // An empty token removes the agent's token.
    check(&set(&["agent", ""], ""), &[r#"PUT /v1/agent/token/agent {"Token":""}"#], &said("agent"));

    refuse(&["acl", "set-agent-token"], 1, "expected 2 arguments, TYPE and TOKEN, found 0");
    refuse(&["acl", "set-agent-token", "agent"], 1, "expected 2 arguments, TYPE and TOKEN, found 1");
    refuse(&["acl", "set-agent-token", "agent", "a", "b"], 1, "found 3");
    refuse(
        &["acl", "set-agent-token", "bogus", "x"],
        1,
        "unknown token type \"bogus\"; expected one of default, ",
    );
    refuse(&["acl", "set-agent-token", "agent", "@/nonexistent"], 1, "cannot read /nonexistent");
    let off = |_: &Seen| Scripted::status(401, "ACL support disabled");
    let ran = Bench::scripted(off).run(&["acl", "set-agent-token", "agent", "x"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(
        ran.err.contains("cannot set the ACL token \"agent\"") && ran.err.contains("acl.enabled"),
        "{}",
        ran.err
    );
}

#[test]
fn a_token_is_read_by_its_beginning_or_as_ones_own() {
    let ran = Bench::scripted(stocked).run(&["acl", "token", "read", "-id", "9861"]);
    check(&ran, &["GET /v1/acl/tokens", &format!("GET /v1/acl/token/{ACCESSOR}")], PRINTED);
    let ran = Bench::scripted(stocked).run(&["acl", "token", "read", "-self", "-meta"]);
    assert_eq!(ran.asked, ["GET /v1/acl/token/self"]);
    assert!(
        ran.out.contains("\nHash:             h\nCreate Index:     1\nModify Index:     2\n"),
        "{}",
        ran.out
    );
    let ran = Bench::scripted(stocked).run(&["acl", "token", "read", "-accessor-id=anonymous"]);
    assert_eq!(ran.asked, ["GET /v1/acl/token/00000000-0000-0000-0000-000000000002"]);
    let ran = Bench::scripted(stocked).run(&["acl", "token", "read", "-id=77"]);
    assert!(ran.err.contains("no token has an id that begins with \"77\""), "{}", ran.err);
    refuse(&["acl", "token", "read"], 1, "-accessor-id is needed");
}

#[test]
fn tokens_are_listed_with_what_the_agent_shows_of_them() {
    let ran = Bench::scripted(stocked).run(&["acl", "token", "list"]);
    check(&ran, &["GET /v1/acl/tokens"], PRINTED);
}

#[test]
fn a_token_is_read_with_all_that_decides() {
    let identities = r#""ServiceIdentities":[{"ServiceName":"web"}],"NodeIdentities":[{"NodeName":"n","Datacenter":"dc1"}]"#;
    let (token, policy) = (token(), policy());
    let expanded = format!(
        r#"{},{identities},"ExpandedPolicies":[{policy}],"ExpandedRoles":null,"NamespaceDefaultPolicyIDs":null,
        "NamespaceDefaultRoleIDs":null,"AgentACLDefaultPolicy":"deny","AgentACLDownPolicy":"extend-cache",
        "ResolvedByAgent":"n1"}}"#,
        token.trim_end_matches('}')
    );
    let words = ["acl", "token", "read", "-expanded", "-accessor-id", ACCESSOR];
    let ran = Bench::answering(&expanded).run(&words);
    let (above, _) = PRINTED.split_once("Policies:").unwrap();
    let rules = |text: String| text.lines().map(|line| format!("\t\t\t{line}\n")).collect::<String>();
    let text = format!(
        "{above}Policies:\n\tPolicy Name: read-all\n\t\tID: {POLICY}\n\t\tDescription: d\n\t\tRules:\n\
         \t\t\tnode \"a\" {{}}\nService Identities:\n\tName: web (Datacenters: all)\n\t\tRules:\n{}\
         Node Identities:\n\tName: n (Datacenter: dc1)\n\t\tRules:\n{}\
         Beside them, at the agent that answered:\n\tResolved By Agent: n1\n\tDefault Policy: deny\n\
         \tDown Policy: extend-cache\n",
        rules(concord_acl::identity::service_rules("web")),
        rules(concord_acl::identity::node_rules("n")),
    );
    check(&ran, &[&format!("GET /v1/acl/token/{ACCESSOR}?expanded=true")], &text);
    let ran = Bench::answering(&expanded).run(&[&words[..], &["-format=json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&json["ExpandedPolicies"][0]["Name"], &json["SecretID"]),
        (&json!("read-all"), &json!("s-e-c"))
    );
    refuse(
        &["acl", "token", "read", "-expanded", "-self"],
        1,
        "-expanded goes with -accessor-id, not with -self",
    );
}

#[test]
fn what_is_not_built_is_said_by_its_flag_and_nothing_is_asked() {
    let (roles, templates) = (
        "ACL roles are not built; link policies to tokens",
        "ACL templated policies are not built; write policies",
    );
    for (command, flag, why) in [
        ("create", "role-id=r", roles),
        ("create", "role-name=r", roles),
        ("create", "templated-policy=builtin/service", templates),
        ("create", "templated-policy-file=f", templates),
        ("create", "var=name:web", templates),
        ("update", "role-id=r", roles),
        ("update", "role-name=r", roles),
        ("update", "append-role-id=r", roles),
        ("update", "append-role-name=r", roles),
        ("update", "merge-roles", roles),
        ("update", "append-templated-policy=builtin/service", templates),
        ("update", "append-templated-policy-file=f", templates),
        ("update", "replace-templated-policy=builtin/service", templates),
        ("update", "replace-templated-policy-file=f", templates),
        ("update", "var=name:web", templates),
    ] {
        let name = flag.split('=').next().unwrap();
        let told = format!("Error: not available yet: -{name}: {why}\n");
        refuse(&["acl", "token", command, &format!("-{flag}"), "-policy-name=p"], 1, &told);
        let help = Bench::answering("").run(&["acl", "token", command, "-help"]).out;
        let help = help.split_once(&format!("\n  -{name}")).expect("it is in the help").1;
        let own = help.split("\n  -").next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(own.ends_with("Not available yet.") || own.contains("Not available yet. May be"), "{own}");
    }
}

#[test]
fn policies_that_are_built_in_are_known_by_name() {
    for (name, id) in [("global-management", 1), ("builtin/global-read-only", 2)] {
        let ran = Bench::scripted(stocked).run(&["acl", "policy", "read", "-id", name]);
        assert_eq!(ran.asked, [format!("GET /v1/acl/policy/00000000-0000-0000-0000-00000000000{id}")]);
    }
}

#[test]
fn an_update_keeps_what_is_not_said() {
    let read = format!("GET /v1/acl/token/{ACCESSOR}");
    let update = |flags: &[&str]| {
        let words: Vec<_> =
            ["acl", "token", "update", "-id", ACCESSOR].iter().chain(flags).copied().collect();
        Bench::scripted(stocked).run(&words)
    };
    let sent = |description: &str, policies: &str| {
        format!(
            r#"PUT /v1/acl/token/{ACCESSOR} {{"AccessorID":"{ACCESSOR}","Description":"{description}","Local":false,"Policies":[{policies}]}}"#
        )
    };
    let kept = format!(r#"{{"ID":"{POLICY}"}}"#);
    let ran = update(&["-description=new"]);
    check(&ran, &[&read, &sent("new", &kept)], PRINTED);
    assert_eq!(update(&["-description="]).asked[1], sent("", &kept));
    assert_eq!(update(&["-policy-name=other"]).asked[1], sent("d", r#"{"Name":"other"}"#));
    let both = format!(r#"{kept},{{"Name":"other"}}"#);
    assert_eq!(update(&["-append-policy-name=other"]).asked[1], sent("d", &both));
    assert_eq!(update(&["-policy-name=other", "-merge-policies"]).asked[1], sent("d", &both));
    // The policy is already linked, under its name.
    assert_eq!(update(&["-append-policy-name=read-all"]).asked[1], sent("d", &kept));
    let ran = update(&["-append-policy-name=a", "-policy-name=b"]);
    assert_eq!((ran.code, ran.asked.len()), (1, 1), "nothing is written");
}

#[test]
fn tokens_are_deleted_and_cloned() {
    let ran = Bench::scripted(stocked).run(&["acl", "token", "delete", "-id", ACCESSOR]);
    let line = format!("DELETE /v1/acl/token/{ACCESSOR}");
    check(&ran, &[&line], &format!("Token \"{ACCESSOR}\" deleted successfully\n"));
    let ran =
        Bench::scripted(stocked).run(&["acl", "token", "clone", "-accessor-id", ACCESSOR, "-description=x"]);
    let line = format!(r#"PUT /v1/acl/token/{ACCESSOR}/clone {{"Description":"x"}}"#);
    check(&ran, &[&line], PRINTED);
}

const POLICY_PRINTED: &str = "\
ID:           06acc965-df4b-5a99-58cb-3250930c6324
Name:         read-all
Description:  d
Datacenters:  dc1
Rules:
node \"a\" {}
";

#[test]
fn a_policy_is_created_with_rules_from_flag_file_or_standard_input() {
    let (_a, path) = file("rules.hcl", "acl = \"read\"");
    let sent = r#"PUT /v1/acl/policy {"Name":"p","Description":"","Rules":"acl = \"read\""}"#;
    for (rules, input) in [("acl = \"read\"", ""), (&*format!("@{path}"), ""), ("-", "acl = \"read\"")] {
        let words = ["acl", "policy", "create", "-name=p", "-rules", rules];
        check(&Bench::scripted(stocked).input(input).run(&words), &[sent], POLICY_PRINTED);
    }
    let words = ["acl", "policy", "create", "-name=p", "-valid-datacenter=a", "-valid-datacenter=b"];
    let ran = Bench::scripted(stocked).run(&words);
    assert!(ran.asked[0].ends_with(r#""Rules":"","Datacenters":["a","b"]}"#), "{ran:?}");
    refuse(&["acl", "policy", "create"], 1, "-name is needed");
    refuse(&["acl", "policy", "create", "-name=p", "-rules=@/nonexistent"], 1, "cannot read /nonexistent");
}

#[test]
fn policies_are_read_listed_and_deleted() {
    let ran = Bench::scripted(stocked).run(&["acl", "policy", "read", "-id=06ac"]);
    check(&ran, &["GET /v1/acl/policies", &format!("GET /v1/acl/policy/{POLICY}")], POLICY_PRINTED);
    let ran = Bench::scripted(stocked).run(&["acl", "policy", "read", "-name=read-all"]);
    assert_eq!(
        ran.asked,
        ["GET /v1/acl/policy/name/read-all".to_owned(), format!("GET /v1/acl/policy/{POLICY}")]
    );
    let listed = format!("read-all:\n   ID:           {POLICY}\n   Description:  d\n   Datacenters:  dc1\n");
    check(&Bench::scripted(stocked).run(&["acl", "policy", "list"]), &["GET /v1/acl/policies"], &listed);
    let ran = Bench::scripted(stocked).run(&["acl", "policy", "delete", "-id", POLICY]);
    let line = format!("DELETE /v1/acl/policy/{POLICY}");
    check(&ran, &[&line], &format!("Policy \"{POLICY}\" deleted successfully\n"));
    refuse(&["acl", "policy", "delete"], 1, "-id or -name is needed");
}

#[test]
fn a_policy_keeps_what_is_not_said_unless_told_otherwise() {
    let update = |flags: &[&str]| {
        let words: Vec<_> = ["acl", "policy", "update", "-id", POLICY].iter().chain(flags).copied().collect();
        Bench::scripted(stocked).run(&words).asked.pop().unwrap_or_default()
    };
    let sent = |rest: &str| format!(r#"PUT /v1/acl/policy/{POLICY} {{"ID":"{POLICY}",{rest}}}"#);
    let merged = r#""Name":"new","Description":"d","Rules":"node \"a\" {}\n","Datacenters":["dc1"]"#;
    assert_eq!(update(&["-name=new"]), sent(merged));
    let replaced = r#""Name":"read-all","Description":"","Rules":"r","Datacenters":[]"#;
    assert_eq!(update(&["-no-merge", "-rules=r"]), sent(replaced));
}
