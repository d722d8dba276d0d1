//! Intentions, entries and the certificate authority over HTTP.

use serde_json::{Value, json};

use crate::world::Setup;

const EXACT: &str = "/v1/connect/intentions/exact?source=web&destination=db";

#[tokio::test]
async fn an_intention_is_written_read_and_removed() {
    let world = Setup::default().start().await;
    world.get(EXACT).refused(404, "Intention not found").await;
    assert_eq!(world.get("/v1/connect/intentions").send().await.body, "[]");
    let matched = world.get("/v1/connect/intentions/match?by=destination&name=db").json().await;
    assert_eq!(matched, json!({"db": null}));
    let body = r#"{"Action":"deny","Description":"not yet"}"#;
    assert_eq!(world.put(EXACT, body).json().await, json!(true));
    let read = world.get(EXACT).json().await;
    let field = |name: &str| read[name].clone();
    assert_eq!(
        (field("SourceName"), field("Action"), field("Precedence")),
        (json!("web"), json!("deny"), json!(9))
    );
    let all = "/v1/connect/intentions/exact?source=*&destination=db";
    world.put(all, r#"{"Action":"allow"}"#).ok().await;
    let list = world.get("/v1/connect/intentions").json().await;
    let sources: Vec<&Value> = list.as_array().unwrap().iter().map(|one| &one["SourceName"]).collect();
    assert_eq!(sources, ["web", "*"]);
    let some = world.get("/v1/connect/intentions?filter=Action+%3D%3D+allow").json().await;
    assert_eq!(some.as_array().unwrap().len(), 1);

    let by_source = world.get("/v1/connect/intentions/match?by=source&name=web").json().await;
    assert_eq!(by_source["web"].as_array().unwrap().len(), 2);
    assert!(read.get("CreatedAt").is_none() && read.get("UpdatedAt").is_none(), "{read}");
    for partial in ["source=w*&destination=db", "source=web&destination=d*"] {
        let path = format!("/v1/connect/intentions/exact?{partial}");
        let said = "wildcard character '*' cannot be used with partial values";
        world.put(&path, r#"{"Action":"deny"}"#).refused(400, said).await;
    }
    let cached = world.get("/v1/connect/intentions/match?by=destination&name=db&cached").send().await;
    assert!(cached.header("x-cache").is_some());
    assert_eq!(cached.json()["db"].as_array().unwrap().len(), 2);

    let check = async |source: &str| {
        let path = format!("/v1/connect/intentions/check?source={source}&destination=db");
        world.get(&path).json().await
    };
    assert_eq!(check("web").await, json!({"Allowed": false}));
    assert_eq!(check("other").await, json!({"Allowed": true}));
    // For any source: an intention for web alone does not count.
    assert_eq!(check("*").await, json!({"Allowed": true}));
    let of_all = world.get("/v1/connect/intentions/match?by=source&name=*&name=web").json().await;
    let pairs = |name: &str| of_all[name].as_array().map(Vec::len);
    assert_eq!((pairs("*"), pairs("web")), (Some(1), Some(2)));
    assert_eq!(of_all["*"][0]["SourceName"], "*");
    for cached in ["", "&cached"] {
        let path = format!("/v1/connect/intentions/match?by=destination&name=*{cached}");
        assert_eq!(world.get(&path).json().await, json!({"*": null}), "{path}");
    }

    assert_eq!(world.delete(EXACT).json().await, json!(true));
    assert_eq!(world.delete(EXACT).json().await, json!(true));
    assert_eq!(check("web").await, json!({"Allowed": true}));
    world.stop().await;
}

#[tokio::test]
async fn matches_by_either_side_are_cached_and_follow_what_changes() {
    let world = Setup::default().start().await;
    world.put(EXACT, r#"{"Action":"deny"}"#).ok().await;
    let path = "/v1/connect/intentions/match?by=source&name=web&cached";
    let (miss, hit) = (world.get(path).send().await, world.get(path).send().await);
    assert_eq!((miss.header("x-cache"), miss.header("age")), (Some("MISS"), None));
    assert_eq!((hit.header("x-cache"), hit.header("age")), (Some("HIT"), Some("0")));
    assert_eq!((hit.json(), hit.index()), (miss.json(), miss.index()));
    assert_eq!(hit.json()["web"][0]["DestinationName"], "db");
    // A query that the cache does not have yet is answered by the servers, and the header says so.
    let some = world.get(&format!("{path}&name=*")).send().await;
    assert_eq!((some.header("x-cache"), some.json()["*"].clone()), (Some("MISS"), json!(null)));
    let both = world.get(&format!("{path}&name=*")).send().await;
    assert_eq!((both.header("x-cache"), both.json()), (Some("HIT"), some.json()));
    let many = |count: usize| world.get(&format!("{path}{}", "&name=db".repeat(count - 1)));
    many(64).ok().await;
    for too_many in [many(65), many(65).header("Cache-Control", "must-revalidate")] {
        too_many.refused(400, "at most 64 names are allowed in one request").await;
    }
    let revalidated = world.get(path).header("Cache-Control", "must-revalidate").send().await;
    assert_eq!((revalidated.header("x-cache"), revalidated.json()), (None, hit.json()));

    world.put(EXACT, r#"{"Action":"allow"}"#).ok().await;
    let changed = world.get(&format!("{path}&index={}&wait=10m", hit.index())).send().await;
    assert_eq!(
        (changed.header("x-cache"), changed.json()["web"][0]["Action"].clone()),
        (Some("HIT"), json!("allow"))
    );
    assert!(changed.index() > hit.index());
    world.stop().await;
}

#[tokio::test]
async fn an_intention_is_kept_by_its_id() {
    let world = Setup::default().start().await;
    let all = "/v1/connect/intentions";
    let body = json!({"SourceName": "web", "DestinationName": "db", "Action": "deny", "Meta": {"a": "b"}});
    let made = world.post(all, body.to_string()).json().await;
    let path = format!("{all}/{}", made["ID"].as_str().unwrap());
    let read = world.get(&path).json().await;
    assert_eq!(
        (&read["ID"], &read["SourceName"], &read["Meta"]),
        (&made["ID"], &json!("web"), &json!({"a": "b"}))
    );
    assert!(read["Hash"].is_string() && read["CreatedAt"].is_string() && read["UpdatedAt"].is_string());
    assert_eq!(world.get(all).json().await, json!([read]));
    assert_eq!(world.get(EXACT).json().await, read);
    let entry = world.get("/v1/config/service-intentions/db").json().await;
    let source = &entry["Sources"][0];
    assert_eq!((&source["LegacyID"], &source["LegacyMeta"]), (&made["ID"], &json!({"a": "b"})));

    world.post(all, body.to_string()).refused(500, "Sources[1] defines \"web\" more than once").await;
    let mut back = read.clone();
    back["Action"] = json!("allow");
    assert_eq!(world.put(&path, back.to_string()).json().await, made, "what was read can be sent back");
    assert_eq!(world.get(&path).json().await["Action"], "allow");
    back["DestinationName"] = json!("api");
    world.put(&path, back.to_string()).refused(500, "Cannot modify Destination").await;

    assert_eq!(world.delete(&path).json().await, json!(true));
    world.get(&path).refused(404, "Intention not found").await;
    world.delete(&path).refused(500, "Cannot delete non-existent intention: '").await;
    world.put(&path, body.to_string()).refused(500, "Cannot modify non-existent intention: '").await;
    world.stop().await;
}

#[tokio::test]
async fn an_intention_by_id_that_makes_no_sense_is_refused() {
    let world = Setup::default().start().await;
    let all = "/v1/connect/intentions";
    let create = |body: &'static str| world.post(all, body);
    create("").refused(400, "Request decode failed").await;
    create(r#"{"Bogus":1}"#).refused(400, "Bogus").await;
    create("{}").refused(400, "SourceName must be set").await;
    create(r#"{"SourceName":"a","DestinationName":"b","Action":"allow","ID":"x"}"#)
        .refused(400, "ID must be empty when creating a new intention")
        .await;
    create(r#"{"SourceName":"a","DestinationName":"b","Permissions":[]}"#)
        .refused(400, "Action must be")
        .await;
    world.get(&format!("{all}/web")).refused(400, "UUID").await;
    world.put(&format!("{all}/web"), "{}").refused(400, "UUID").await;
    world.delete(&format!("{all}/web")).refused(400, "UUID").await;
    world.put(EXACT, r#"{"Action":"allow"}"#).ok().await;
    create(r#"{"SourceName":"a","DestinationName":"db","Action":"allow"}"#)
        .refused(500, "cannot use legacy intention API")
        .await;
    world.stop().await;
}

#[tokio::test]
async fn a_verdict_is_explained() {
    let world = Setup::default().start().await;
    world.put(EXACT, r#"{"Action":"deny"}"#).ok().await;
    let explained = world.get("/v1/connect/intentions/explain?source=web&destination=db").json().await;
    assert_eq!((&explained["Allowed"], &explained["DecidedBy"]), (&json!(false), &json!("intention")));
    assert_eq!(explained["Intention"]["DestinationName"], "db");
    let change = &explained["SmallestChange"];
    assert!(change["Summary"].as_str().unwrap().contains("intention web => db"), "{change}");
    world.get("/v1/connect/intentions/explain?source=web").refused(400, "'destination' not set").await;
    assert_eq!((&explained["Verdict"], &explained["At"]), (&json!("denied"), &json!(null)));

    // What counts is decided where connections go.
    let told = async |resolver: &str| {
        let entry = format!(r#"{{"Kind":"service-resolver","Name":"api",{resolver}}}"#);
        world.put("/v1/config", &entry).ok().await;
        world.get("/v1/connect/intentions/explain?source=web&destination=api").json().await
    };
    let led = told(r#""Redirect":{"Service":"db"}"#).await;
    let said = ["Destination", "Verdict", "JudgedAt", "DecidedBy"].map(|name| led[name].as_str().unwrap());
    assert_eq!(said, ["api", "denied", "db", "intention"]);
    assert_eq!(led["Route"]["Parts"][0]["Targets"][0]["Service"], "db");
    let both = told(r#""Failover":{"*":{"Service":"db"}}"#).await;
    let said = ["Verdict", "Reason", "DecidedBy"].map(|name| both[name].as_str().unwrap());
    assert_eq!((said, &both["Allowed"]), (["depends", "It depends on the target", "targets"], &json!(false)));
    let at = |index: usize| (both["At"][index]["Destination"].clone(), both["At"][index]["Verdict"].clone());
    assert_eq!([at(0), at(1)], [(json!("api"), json!("allowed")), (json!("db"), json!("denied"))]);
    let path = "/v1/connect/intentions/explain?source=web&destination=api&path=/";
    let request = world.get(path).json().await;
    assert_eq!((&request["Verdict"], request["At"].as_array().unwrap().len()), (&json!("depends"), 2));
    world.stop().await;
}

#[tokio::test]
async fn a_chain_from_the_cache_says_how_consistent_it_is() {
    let world = Setup::default().start().await;
    for (query, expected) in [("?cached", "leader"), ("?cached&stale", "stale"), ("", "leader")] {
        let path = format!("/v1/discovery-chain/web{query}");
        for chain in [world.get(&path).send().await, world.post(&path, "{}").send().await] {
            assert_eq!(chain.header("x-consul-effective-consistency"), Some(expected), "{path}");
        }
    }
    let gateway = r#"{"Name":"gw","Kind":"terminating-gateway","Port":8443}"#;
    world.put("/v1/agent/service/register", gateway).ok().await;
    let entry = r#"{"Kind":"terminating-gateway","Name":"gw","Services":[{"Name":"web"}]}"#;
    world.put("/v1/config", entry).ok().await;
    for path in ["/v1/health/connect/web", "/v1/catalog/connect/web"] {
        world.until(path, "", |told| told.body.contains("\"terminating-gateway\"")).await;
    }
    world.stop().await;
}

#[tokio::test]
async fn a_plan_has_no_condition_and_needs_no_name_that_is_the_only_one() {
    let world = Setup::default().start().await;
    let change = r#"[{"Kind":"mesh","Delete":true}]"#;
    let plan = world.post("/v1/config/plan", change).json().await;
    assert_eq!(
        (&plan["Entries"][0]["Name"], &plan["Entries"][0]["Outcome"]),
        (&json!("mesh"), &json!("absent"))
    );
    for path in ["/v1/config/plan?cas=0", "/v1/config/plan?cas"] {
        world.post(path, change).refused(400, "?cas: a plan is made of what is stored now").await;
    }
    world.stop().await;
}

#[tokio::test]
async fn a_verdict_about_a_request_is_explained() {
    let world = Setup::default().start().await;
    let defaults = r#"{"Kind":"service-defaults","Name":"db","Protocol":"http"}"#;
    world.put("/v1/config", defaults).ok().await;
    let permissions = r#"{"Permissions":[
        {"Action":"allow","HTTP":{"PathPrefix":"/admin","Header":[{"Name":"x-role","Exact":"boss"}]}},
        {"Action":"deny","HTTP":{"PathPrefix":"/admin"}}]}"#;
    world.put(EXACT, permissions).ok().await;
    let explain =
        |rest: &str| world.get(&format!("/v1/connect/intentions/explain?source=web&destination=db{rest}"));
    let denied = explain("&method=POST&path=//admin/../admin%3Fx&header=x-role%3Dguest").json().await;
    assert_eq!(denied["Allowed"], json!(false), "{denied}");
    let decided = explain("&path=/admin/x&header=x-role%3Dguest&header=x-role%3Dboss").json().await;
    assert_eq!(
        (&decided["Allowed"], &decided["DecidedBy"]),
        (&json!(false), &json!("permission")),
        "{decided}"
    );
    assert_eq!((&decided["Protocol"], &decided["Path"]), (&json!("http"), &json!("/admin/x")));
    assert_eq!(decided["Tried"][0]["Condition"], "HTTP.Header[0]");
    assert_eq!(
        (&decided["Tried"][0]["Fit"], &decided["Tried"][1]["Applies"]),
        (&json!("unclear"), &json!(true))
    );
    let change = decided["Changes"][0]["Summary"].as_str().unwrap();
    assert!(change.starts_with("insert at Permissions[1] of intention web => db: allow GET"), "{change}");
    let allowed = explain("&path=/admin/x&header=x-role%3Dboss").json().await;
    assert_eq!(
        (&allowed["Allowed"], &allowed["Tried"][0]["Applies"]),
        (&json!(true), &json!(true)),
        "{allowed}"
    );
    let refused = explain("&path=/a%2500").json().await;
    assert_eq!((&refused["DecidedBy"], &refused["Changes"]), (&json!("refused"), &json!([])), "{refused}");

    explain("&path=").refused(400, "Invalid value for ?path: it is empty").await;
    explain("&header=x").refused(400, "use header=<name>=<value>").await;
    explain("&claims=okta%3D5").refused(400, "must be a JSON object").await;
    world.stop().await;
}

#[tokio::test]
async fn intentions_that_make_no_sense_are_refused() {
    let world = Setup::default().start().await;
    let intentions = |rest: &str| world.get(&format!("/v1/connect/intentions/{rest}"));
    intentions("exact?destination=db").refused(400, "required query parameter 'source' not set").await;
    intentions("match?name=db").refused(400, "required query parameter 'by' not set").await;
    intentions("match?by=both&name=db")
        .refused(400, "'by' parameter must be one of 'source' or 'destination'")
        .await;
    intentions("check?source=team/web&destination=db").refused(400, "Enterprise").await;
    intentions("check?source=w*&destination=db").refused(400, "partial values").await;
    intentions("match?by=source&name=w*").refused(400, "partial values").await;
    intentions("check?source=web&destination=*").refused(400, "one service").await;
    intentions("explain?source=*&destination=db").refused(400, "one service").await;
    world.put(EXACT, r#"{"Action":"perhaps"}"#).refused(400, "").await;
    world
        .put(EXACT, r#"{"Action":"allow","Meta":{"a":"b"}}"#)
        .refused(400, "Meta must not be specified")
        .await;
    world.stop().await;
}

#[tokio::test]
async fn entries_are_written_on_condition() {
    let world = Setup::default().start().await;
    let entry = |action: &str| {
        json!({"Kind": "service-intentions", "Name": "db", "Sources": [{"Name": "web", "Action": action}]})
            .to_string()
    };
    let path = "/v1/config/service-intentions/db";
    world.get(path).refused(404, "Config entry not found for \"service-intentions\" / \"db\"").await;
    assert_eq!(world.put("/v1/config", entry("deny")).json().await, json!(true));
    let read = world.get(path).json().await;
    assert_eq!(read["Sources"][0]["Action"], "deny");
    let index = read["ModifyIndex"].as_u64().unwrap();
    assert_eq!(world.put("/v1/config?cas=1", entry("allow")).json().await, json!(false));
    assert_eq!(world.put(&format!("/v1/config?cas={index}"), entry("allow")).json().await, json!(true));
    assert_eq!(world.get("/v1/config/service-intentions").json().await.as_array().unwrap().len(), 1);
    assert_eq!(world.delete(&format!("{path}?cas={index}")).json().await, json!(false));
    assert_eq!(world.put("/v1/config?cas=1", entry("allow")).json().await, json!(true), "it stands already");
    assert_eq!(world.delete(path).send().await.body, "{}");
    assert_eq!(world.delete(&format!("{path}?cas={index}")).json().await, json!(true));
    world.put("/v1/config?cas=x", entry("allow")).refused(400, "cas").await;
    world.get("/v1/config/nonsense").refused(400, "invalid config entry kind").await;
    world.get("/v1/config/mesh/other").refused(404, "Config entry not found for \"mesh\" / \"other\"").await;
    world.delete("/v1/config/mesh/other").refused(400, "only \"mesh\" is supported").await;
    world.get("/v1/config/sameness-group").refused(501, "not available yet").await;
    world.put("/v1/config", r#"{"Kind":"service-intentions","Name":"db","Odd":1}"#).refused(400, "Odd").await;
    world.stop().await;
}

#[tokio::test]
async fn roots_are_published() {
    let world = Setup::default().start().await;
    let roots = world.get("/v1/connect/ca/roots").send().await;
    assert!(roots.index() >= 1);
    assert_eq!(roots.json()["Roots"].as_array().unwrap().len(), 1);
    let pem = world.get("/v1/connect/ca/roots?pem=true").send().await;
    assert_eq!(pem.header("content-type"), Some("application/pem-certificate-chain"));
    assert!(pem.body.starts_with("-----BEGIN CERTIFICATE-----"));
    world.stop().await;
}

#[tokio::test]
async fn a_fresh_configuration_tells_life_times_and_can_be_written_back() {
    let world = Setup::default().start().await;
    let path = "/v1/connect/ca/configuration";
    let config = world.get(path).json().await;
    let lives = json!({"IntermediateCertTTL": "8760h", "LeafCertTTL": "72h", "RootCertTTL": "87600h"});
    assert_eq!(config["Config"], lives);
    let roots = async || world.get("/v1/connect/ca/roots").json().await;
    let before = roots().await;
    world.put(path, config.to_string()).ok().await;
    assert_eq!(roots().await, before);
    assert_eq!(world.get(path).json().await["Config"], lives);
    world.stop().await;
}

#[tokio::test]
async fn a_changed_configuration_rotates_the_root() {
    let world = Setup::default().start().await;
    let active = async || world.get("/v1/connect/ca/roots").json().await["ActiveRootID"].clone();
    let before = active().await;
    let body =
        json!({"Provider": "consul", "Config": {"PrivateKeyType": "ec", "PrivateKeyBits": 384}}).to_string();
    let set = world.put("/v1/connect/ca/configuration", body).send().await;
    assert_eq!((set.status, set.body.as_str()), (200, ""));
    assert_ne!(active().await, before);
    let config = world.get("/v1/connect/ca/configuration").json().await;
    assert_eq!((&config["Provider"], &config["Config"]["PrivateKeyBits"]), (&json!("consul"), &json!(384)));
    world.stop().await;
}

#[tokio::test]
async fn n_71_the_authoritys_configuration_shows_no_key() {
    let world = Setup::guarded().start().await;
    let path = "/v1/connect/ca/configuration";
    let canary = "-----BEGIN EC PRIVATE KEY-----\\ncanary\\n-----END EC PRIVATE KEY-----";
    let body = format!(r#"{{"Provider":"consul","Config":{{"private_key":"{canary}","RootCert":""}}}}"#);
    let refused = world.put(path, body).token(crate::world::ROOT).send().await;
    let shown = world.get(path).token(crate::world::ROOT).send().await;
    assert_eq!(shown.status, 200);
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert!(!refused.body.contains("canary"), "{}", refused.body);
    for secret in ["canary", "PRIVATE KEY", "PrivateKey\"", "private_key\""] {
        assert!(!shown.body.contains(secret), "{}", shown.body);
    }
    world.get(path).refused(403, "lacks permission 'operator:write'").await;
    world.stop().await;
}

#[tokio::test]
async fn trust_of_another_datacenter_is_not_this_ones() {
    let world = Setup::default().start().await;
    for path in ["/v1/agent/connect/ca/roots", "/v1/agent/connect/ca/leaf/web"] {
        world.get(&format!("{path}?dc=dc1")).ok().await;
        world.get(&format!("{path}?dc=dc2")).refused(500, "No path to datacenter").await;
    }
    world.stop().await;
}
