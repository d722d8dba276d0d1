//! Tests that every flag of every command has an effect: the table lists what appears with the flag and not without
//! it.

use std::collections::BTreeSet;
use std::path::Path;

use concord_client::testing::{Scripted, Seen};

use super::super::flag::Kind;
use super::super::table::COMMANDS;
use super::{Bench, not_found};

/// The command, its other words, the flag, and the text that appears in requests, output or errors only with the
/// flag. `{dir}` is a directory with [`FILES`].
const TABLE: &str = r#"
acl bootstrap | | -format=json | "AccessorID": "a
acl policy create | -name=p | -description=d1 | "Description":"d1"
acl policy create | -name=p | -format=json | "Name": "read-all"
acl policy create | -name=p | -meta | Create Index: 1
acl policy create | | -name=p | "Name":"p"
acl policy create | -name=p | -rules=r1 | "Rules":"r1"
acl policy create | -name=p | -valid-datacenter=dc9 | "Datacenters":["dc9"]
acl policy delete | | -id=00000000-0000-4000-8000-000000000001 | DELETE /v1/acl/policy/00000000-0000-4000-8000-000000000001
acl policy delete | | -name=q | GET /v1/acl/policy/name/q
acl policy list | | -format=json | "Name": "read-all"
acl policy list | | -meta | Create Index: 1
acl policy read | -name=q | -format=json | "Name": "read-all"
acl policy read | | -id=00000000-0000-4000-8000-000000000001 | GET /v1/acl/policy/00000000-0000-4000-8000-000000000001
acl policy read | -name=q | -meta | Create Index: 1
acl policy read | | -name=q | GET /v1/acl/policy/name/q
acl policy update | -name=q | -description=d1 | "Description":"d1"
acl policy update | -name=q | -format=json | "Name": "read-all"
acl policy update | | -id=00000000-0000-4000-8000-000000000001 | PUT /v1/acl/policy/00000000-0000-4000-8000-000000000001
acl policy update | -name=q | -meta | Create Index: 1
acl policy update | -id=00000000-0000-4000-8000-000000000001 | -name=q | "Name":"q"
acl policy update | -name=q | -no-merge | "Rules":""
acl policy update | -name=q | -rules=r1 | "Rules":"r1"
acl policy update | -name=q | -valid-datacenter=dc9 | "Datacenters":["dc9"]
acl token clone | | -accessor-id=00000000-0000-4000-8000-000000000001 | PUT /v1/acl/token/00000000-0000-4000-8000-000000000001/clone
acl token clone | -id=aa | -description=d1 | "Description":"d1"
acl token clone | -id=aa | -format=json | "AccessorID": "
acl token clone | | -id=00000000-0000-4000-8000-000000000001 | PUT /v1/acl/token/00000000-0000-4000-8000-000000000001/clone
acl token clone | -id=aa | -meta | Create Index:     1
acl token create | -policy-name=p | -accessor=a1 | "AccessorID":"a1"
acl token create | -policy-name=p | -description=d1 | "Description":"d1"
acl token create | -policy-name=p | -expires-ttl=90m | "ExpirationTTL":"1h30m0s"
acl token create | -policy-name=p | -format=json | "AccessorID": "
acl token create | -policy-name=p | -local | "Local":true
acl token create | -policy-name=p | -meta | Create Index:     1
acl token create | | -node-identity=n1:dc1 | "NodeIdentities":[{"NodeName":"n1","Datacenter":"dc1"}]
acl token create | | -policy-id=bb | "Policies":[{"ID":"bb
acl token create | | -policy-name=p | "Policies":[{"Name":"p"}]
acl token create | -policy-name=p | -secret=s1 | "SecretID":"s1"
acl token create | | -service-identity=web | "ServiceIdentities":[{"ServiceName":"web"}]
acl token delete | | -accessor-id=aa | DELETE /v1/acl/token/aa
acl token delete | | -id=aa | DELETE /v1/acl/token/aa
acl token list | | -format=json | "AccessorID": "
acl token list | | -meta | Create Index:     1
acl token read | | -accessor-id=aa | GET /v1/acl/token/aa
acl token read | -id=aa | -expanded | expanded=true
acl token read | -id=aa | -format=json | "AccessorID": "
acl token read | | -id=aa | GET /v1/acl/token/aa
acl token read | -id=aa | -meta | Create Index:     1
acl token read | | -self | GET /v1/acl/token/self
acl token update | | -accessor-id=aa | PUT /v1/acl/token/aa
acl token update | -id=aa | -append-node-identity=n9:dc1 | {"NodeName":"n","Datacenter":"dc1"},{"NodeName":"n9","Datacenter":"dc1"}
acl token update | -id=aa | -append-policy-id=00000000-0000-4000-8000-000000000001 | {"ID":"bb000000-0000-4000-8000-000000000000"},{"ID":"00000000-0000-4000-8000-000000000001"}
acl token update | -id=aa | -append-policy-name=q | {"ID":"bb000000-0000-4000-8000-000000000000"},{"Name":"q"}
acl token update | -id=aa | -append-service-identity=api | {"ServiceName":"web"},{"ServiceName":"api"}
acl token update | -id=aa | -description=d1 | "Description":"d1"
acl token update | -id=aa | -format=json | "AccessorID": "
acl token update | | -id=aa | PUT /v1/acl/token/aa
acl token update | -id=aa -node-identity=n9:dc1 | -merge-node-identities | {"NodeName":"n","Datacenter":"dc1"},{"NodeName":"n9","Datacenter":"dc1"}
acl token update | -id=aa -policy-name=q | -merge-policies | {"ID":"bb000000-0000-4000-8000-000000000000"},{"Name":"q"}
acl token update | -id=aa -service-identity=api | -merge-service-identities | {"ServiceName":"web"},{"ServiceName":"api"}
acl token update | -id=aa | -meta | Create Index:     1
acl token update | -id=aa | -node-identity=n9:dc1 | "NodeIdentities":[{"NodeName":"n9","Datacenter":"dc1"}]
acl token update | -id=aa | -policy-id=00000000-0000-4000-8000-000000000001 | "Policies":[{"ID":"00000000-0000-4000-8000-000000000001"}]
acl token update | -id=aa | -policy-name=q | "Policies":[{"Name":"q"}]
acl token update | -id=aa | -service-identity=api | "ServiceIdentities":[{"ServiceName":"api"}]
catalog nodes | | -detailed | TaggedAddresses
catalog nodes | | -filter=f1 | filter=f1
catalog nodes | | -near=n2 | near=n2
catalog nodes | | -node-meta=k=v | node-meta=k%3Av
catalog nodes | | -service=web | GET /v1/catalog/service/web
catalog services | | -node=n1 | GET /v1/catalog/node/n1
catalog services | | -node-meta=k=v | node-meta=k%3Av
catalog services | | -tags | web      t1
config delete | -kind=k -name=n -modify-index=7 | -cas | cas=7
config delete | | -filename={dir}/entry.hcl | DELETE /v1/config/service-intentions/db
config delete | -plan -kind=k -name=n | -format=json | "Entries": []
config delete | -name=n | -kind=k | DELETE /v1/config/k/n
config delete | -kind=k -name=n -cas | -modify-index=7 | cas=7
config delete | -kind=k | -name=n | DELETE /v1/config/k/n
config delete | -kind=k -name=n | -plan | "Delete":true
config list | -kind=k | -filter=f1 | filter=f1
config list | | -kind=k | GET /v1/config/k
config read | -name=n | -kind=k | GET /v1/config/k/n
config read | -kind=k | -name=n | GET /v1/config/k/n
config status | -kind=k -name=n | -format=json | "Accepted": false
config status | -name=n | -kind=k | GET /v1/config/status/k/n
config status | -kind=k | -name=n | GET /v1/config/status/k/n
config write | {dir}/entry.hcl | -cas | cas=0
config write | -plan {dir}/entry.hcl | -format=json | "Entries": []
config write | -cas {dir}/entry.hcl | -modify-index=7 | cas=7
config write | {dir}/entry.hcl | -plan | POST /v1/config/plan
connect ca set-config | | -config-file={dir}/ca.json | PUT /v1/connect/ca/configuration
connect ca set-config | -config-file={dir}/ca.json | -force-without-cross-signing | "ForceWithoutCrossSigning":true
connect ca set-config | -config-file={dir}/ca.json | -force-without-oldest-root | "ForceWithoutOldestRoot":true
explain | web db | -claims=okta={} | claims=okta%3D%7B%7D
explain | web db | -format=json | "Allowed": true
explain | web db | -header=x=y | header=x%3Dy
explain | web db | -method=PUT | method=PUT
explain | web db | -path=/admin | path=%2Fadmin
intention create | -file {dir}/intention.json | -allow | "Action":"allow"
intention create | new db | -deny | "Action":"deny"
intention create | {dir}/intention.json | -file | "SourceName":"new"
intention create | new db | -meta=k=v | "Meta":{"k":"v"}
intention create | web db | -replace | PUT /v1/connect/intentions/i1
intention get | web db | -format=json | "SourceName": "web"
connect expose | -ingress-gateway=g -service=s -port=80 | -host=h1 | "Hosts":["h1"]
connect expose | -service=s -port=80 | -ingress-gateway=g1 | "Name":"g1"
connect expose | -ingress-gateway=g -service=s | -port=81 | "Port":81
connect expose | -ingress-gateway=g -service=s -port=80 | -protocol=http | "Protocol":"http"
connect expose | -ingress-gateway=g -port=80 | -service=s1 | "Services":[{"Name":"s1"}]
intention list | | -filter=f1 | filter=f1
intention list | | -format=json | "SourceName": "web"
intention match | -source db | -destination | -source and -destination exclude each other
intention match | db | -format=json | "SourceName": "web"
intention match | db | -source | by=source
maint | | -enable | enable=true
maint | | -disable | enable=false
maint | -enable | -reason=r1 | reason=r1
maint | -enable | -service=s1 | PUT /v1/agent/service/maintenance/s1
members | | -detailed | Tags
members | | -format=json | "Name": "s1"
members | | -segment=x | segment=x
members | | -status=left | No member matches.
members | | -filter=f1 | filter=f1
members | | -wan | wan=1
monitor | | -log-level=debug | loglevel=debug
monitor | | -log-json | logjson=true
proxy status | | -entry=k/n | GET /v1/agent/proxies/entry/k/n
proxy status | | -format=json | "Proxy": "web-proxy"
proxy status | | -proxy-id=web-proxy | Last acknowledged
proxy status | | -watch | index=7
services deregister | | -id=s1 | PUT /v1/agent/service/deregister/s1
services register | -name=web | -address=1.2.3.4 | "Address":"1.2.3.4"
services register | -name=web | -id=s1 | "ID":"s1"
services register | -name=web | -kind=mesh-gateway | "Kind":"mesh-gateway"
services register | -name=web | -meta=k=v | "Meta":{"k":"v"}
services register | | -name=web | "Name":"web"
services register | -name=web | -port=81 | "Port":81
services register | -name=web | -socket=/s | "SocketPath":"/s"
services register | -name=web | -tag=t1 | "Tags":["t1"]
services register | -name=web | -tagged-address=lan=1.2.3.4:5 | "TaggedAddresses":{"lan":{"Address":"1.2.3.4","Port":5}}
validate | {dir}/agent | -config-format=hcl | Configuration is valid!
validate | {dir}/agent.hcl | -quiet | (nothing)
version | | -format=json | "Version": "
"#;

/// Commands that do more than send requests, and the tests that run them with their flags as processes.
const ELSEWHERE: &[(&str, &[&str])] = &[
    ("agent", &["crates/concord/src/cli/agent/configuration.rs"]),
    ("connect envoy", &["crates/concord/src/run/envoy/tests.rs", "crates/e2e/tests/it/envoy_bootstrap.rs"]),
    (
        "connect proxy",
        &[
            "crates/e2e/src/proxy.rs",
            "crates/e2e/tests/it/attach.rs",
            "crates/e2e/tests/it/tls.rs",
            "crates/e2e/tests/it/unregistered.rs",
            "crates/e2e/tests/it/proxy_flags.rs",
        ],
    ),
    ("demo", &["crates/concord/tests/it/demo.rs", "crates/concord/src/run/demo.rs"]),
    ("tls ca create", &["crates/e2e/tests/it/service.rs"]),
    ("tls cert create", &["crates/e2e/tests/it/service.rs"]),
];

const FILES: &[(&str, &str)] = &[
    (
        "entry.hcl",
        "Kind = \"service-intentions\"\nName = \"db\"\nSources = [{ Name = \"web\", Action = \"allow\" }]",
    ),
    ("ca.json", r#"{"Provider":"consul","Config":{}}"#),
    ("intention.json", r#"{"SourceName":"new","DestinationName":"db","Action":"deny"}"#),
    ("agent.hcl", AGENT),
    ("agent/agent.conf", AGENT),
];
const AGENT: &str = "server = true\nbootstrap_expect = 1\ndata_dir = \"/d\"\nbind_addr = \"127.0.0.1\"";

const TOKEN: &str = r#"{"AccessorID":"aa000000-0000-4000-8000-000000000000","SecretID":"s","Description":"d","Local":false,
    "Policies":[{"ID":"bb000000-0000-4000-8000-000000000000","Name":"read-all"}],"ServiceIdentities":[{"ServiceName":"web"}],
    "NodeIdentities":[{"NodeName":"n","Datacenter":"dc1"}],"CreateTime":"2018-10-22T15:33:39Z","Hash":"aGg=",
    "CreateIndex":1,"ModifyIndex":2,"ExpandedPolicies":[],"ExpandedRoles":null,"NamespaceDefaultPolicyIDs":null,
    "NamespaceDefaultRoleIDs":null,"AgentACLDefaultPolicy":"deny","AgentACLDownPolicy":"deny","ResolvedByAgent":"n1"}"#;
const POLICY: &str = r#"{"ID":"bb000000-0000-4000-8000-000000000000","Name":"read-all","Description":"d","Rules":"r",
    "Datacenters":["dc1"],"Hash":"aGg=","CreateIndex":1,"ModifyIndex":2}"#;
const NODE: &str = r#"{"ID":"1-2","Node":"n1","Address":"1.2.3.4","Datacenter":"dc1","TaggedAddresses":{"lan":"x"},"Meta":{}}"#;
const INTENTION: &str =
    r#"{"ID":"i1","SourceName":"web","DestinationName":"db","Action":"allow","Precedence":9}"#;
const PROXIES: &str =
    r#"{"Node":"n1","Proxies":[{"Proxy":"web-proxy","Service":"web","Types":[{"Type":"cluster"}]}]}"#;
const MEMBERS: &str = r#"[{"Name":"s1","Addr":"10.0.0.1","Port":8301,"Status":1,"Tags":{"role":"consul"}}]"#;

/// An agent with one record of each kind.
fn stocked(seen: &Seen) -> Scripted {
    let path = seen.target.split('?').next().unwrap_or_default();
    let get = seen.method == "GET";
    if get && seen.target.contains("source=new") {
        return not_found();
    }
    Scripted::ok(match path.strip_prefix("/v1/").expect("a path of the API") {
        "acl/tokens" => format!("[{TOKEN}]"),
        "acl/policies" => format!("[{POLICY}]"),
        path if path.starts_with("acl/policy") => POLICY.to_owned(),
        path if path.starts_with("acl/") => TOKEN.to_owned(),
        "catalog/services" => r#"{"web":["t1"]}"#.to_owned(),
        path if path.starts_with("catalog/node/") => "null".to_owned(),
        path if path.starts_with("catalog/") => format!("[{NODE}]"),
        "config/k" => "[]".to_owned(),
        "config/plan" => "{}".to_owned(),
        path if path.starts_with("config/") && get => r#"{"Kind":"k","Name":"n"}"#.to_owned(),
        "connect/intentions/explain" => {
            r#"{"Source":"web","Destination":"db","Allowed":true,"Reason":"r"}"#.to_owned()
        }
        "connect/intentions/match" => format!(r#"{{"db":[{INTENTION}]}}"#),
        "connect/intentions" if get => format!("[{INTENTION}]"),
        path if path.starts_with("connect/intentions") && get => INTENTION.to_owned(),
        "agent/members" => MEMBERS.to_owned(),
        "agent/checks" => "{}".to_owned(),
        "agent/proxies" if seen.target.contains("index=") => return Scripted::status(500, "no more"),
        "agent/proxies" => return Scripted::ok(PROXIES).header("X-Consul-Index", "7"),
        path if path.starts_with("agent/proxies/") => r#"{"Kind":"k","Name":"n"}"#.to_owned(),
        _ => "true".to_owned(),
    })
}

/// All requests and all output.
fn told(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let ran = Bench::scripted(stocked).run(&words);
    let asked = ran.asked.join("\n");
    let all = format!("{asked}{}{}", ran.out, ran.err);
    if all.is_empty() { "(nothing)".to_owned() } else { all }
}

struct Row {
    command: &'static str,
    flag: &'static str,
    name: &'static str,
    words: Vec<&'static str>,
    told: &'static str,
}

fn rows() -> Vec<Row> {
    let lines = TABLE.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let [command, words, flag, told] = cells.as_slice() else { panic!("four cells: {line}") };
            let name = flag.trim_start_matches('-').split('=').next().expect("a name");
            Row { command, flag, name, words: words.split_whitespace().collect(), told }
        })
        .collect()
}

#[test]
fn every_flag_does_what_the_table_says() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path().to_str().unwrap();
    std::fs::create_dir(directory.path().join("agent")).unwrap();
    for (name, text) in FILES {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let mut wrong = Vec::new();
    for Row { command, flag, words, told: expected, .. } in rows() {
        let line = |flag: &[&str]| -> Vec<String> {
            let all = command.split(' ').chain(flag.iter().copied()).chain(words.iter().copied());
            all.map(|word| word.replace("{dir}", dir)).collect()
        };
        let (with, without) = (told(&line(&[flag])), told(&line(&[])));
        if !with.contains(expected) || without.contains(expected) {
            wrong.push(format!(
                "{command} {words:?} {flag}: {expected}\nwith it:\n{with}\nwithout it:\n{without}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn what_is_not_built_says_so_whoever_gives_it() {
    for command in COMMANDS {
        for flag in command.flags.iter().filter(|flag| !flag.unbuilt.is_empty()) {
            let value = if flag.kind == Kind::Switch { "" } else { "=x" };
            let words = command.name.split(' ').map(str::to_owned);
            let told = told(&words.chain([format!("-{}{value}", flag.name)]).collect::<Vec<_>>());
            let expected = format!("Error: not available yet: -{}: {}\n", flag.name, flag.unbuilt);
            assert_eq!(told, expected, "{}", command.name);
        }
    }
}

#[test]
fn every_flag_stands_in_the_table_or_in_a_test_of_processes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let listed: BTreeSet<_> = rows().iter().map(|row| (row.command, row.name)).collect();
    assert_eq!(listed.len(), rows().len(), "each flag once");
    let mut declared = BTreeSet::new();
    for command in COMMANDS {
        let elsewhere = ELSEWHERE.iter().find(|(name, _)| *name == command.name);
        let texts: Vec<_> = elsewhere
            .iter()
            .flat_map(|(_, files)| *files)
            .map(|file| std::fs::read_to_string(root.join(file)).expect(file))
            .collect();
        for flag in command.flags.iter().filter(|flag| flag.unbuilt.is_empty()) {
            if elsewhere.is_none() {
                declared.insert((command.name, flag.name));
                continue;
            }
            // Either quoted with its dash, or as a name that the test turns into the flag.
            let forms =
                [format!("\"-{}\"", flag.name), format!("-{}=", flag.name), format!("\"{}\"", flag.name)];
            let named = texts.iter().any(|text| forms.iter().any(|form| text.contains(form)));
            assert!(command.name == "agent" || named, "no test gives {} -{}", command.name, flag.name);
        }
    }
    assert_eq!(listed, declared, "the table, and what is declared");
}
