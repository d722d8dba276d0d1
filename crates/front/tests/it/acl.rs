//! Tests of enforced ACLs: who sees what, and the texts of refusals.

use serde_json::{Value, json};

use crate::world::{ROOT, Response, Setup, World};

/// A token with these rules.
pub(crate) async fn token(world: &World, rules: &str) -> (String, String) {
    let name = format!("p{}", rules.bytes().map(u64::from).sum::<u64>());
    let policy = json!({"Name": name, "Rules": rules}).to_string();
    world.put("/v1/acl/policy", policy).token(ROOT).ok().await;
    let body = json!({"Policies": [{"Name": name}]}).to_string();
    let made = world.put("/v1/acl/token", body).token(ROOT).json().await;
    (made["AccessorID"].as_str().unwrap().to_owned(), made["SecretID"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn tokens_are_taken_from_every_place_in_order() {
    let world = Setup::guarded().start().await;
    let path = "/v1/agent/self";
    world.get(path).refused(403, "anonymous token lacks permission 'agent:read' on \"n1\"").await;
    world.get(&format!("{path}?token={ROOT}")).ok().await;
    world.get(path).token(ROOT).ok().await;
    world.get(path).header("Authorization", &format!("Bearer {ROOT}")).ok().await;
    // The first token in the request counts.
    let unknown = "0badcafe-0000-4000-8000-000000000001";
    world.get(&format!("{path}?token={unknown}")).token(ROOT).refused(403, "ACL not found").await;
    world
        .get(path)
        .token(unknown)
        .header("Authorization", &format!("Bearer {ROOT}"))
        .refused(403, "ACL not found")
        .await;
    assert_eq!(
        world.get("/v1/status/leader").send().await.header("x-consul-default-acl-policy"),
        Some("deny")
    );
    world.stop().await;
}

#[tokio::test]
async fn without_a_token_the_agents_own_stands_in() {
    let world = Setup { default_token: Some(ROOT), ..Setup::guarded() }.start().await;
    world.get("/v1/agent/self").ok().await;
    let nodes = world.get("/v1/catalog/nodes").json().await;
    assert_eq!(nodes[0]["Node"], "n1");
    world.stop().await;
}

#[tokio::test]
async fn n_33_only_who_has_a_token_is_told_that_something_is_hidden() {
    let world = Setup::guarded().start().await;
    world.put("/v1/agent/service/register", r#"{"Name":"web"}"#).token(ROOT).ok().await;
    let (_, little) = token(&world, r#"service "other" { policy = "read" }"#).await;
    for path in [
        "/v1/catalog/nodes",
        "/v1/catalog/services",
        "/v1/agent/services",
        "/v1/agent/members",
        "/v1/health/service/consul",
        "/v1/health/state/any",
        "/v1/catalog/services?filter=ServiceName+%21%3D+x",
    ] {
        let hidden =
            |answer: &Response| answer.header("x-consul-results-filtered-by-acls").map(ToOwned::to_owned);
        let all = world.get(path).token(ROOT).send().await;
        assert_eq!(hidden(&all), None, "{path}");
        assert!(all.body.len() > 4, "{path}: {}", all.body);
        let some = world.get(path).token(&little).send().await;
        assert_eq!((some.status, hidden(&some).as_deref()), (200, Some("true")), "{path}");
        let none = world.get(path).send().await;
        assert_eq!((none.status, hidden(&none)), (200, None), "{path}");
        assert_eq!((none.body.len(), some.body.len()), (2, 2), "{path}");
    }
    world.stop().await;
}

#[tokio::test]
async fn writes_need_their_right() {
    let world = Setup::guarded().start().await;
    let (_, reader) =
        token(&world, r#"service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }"#).await;
    let web = "lacks permission 'service:write' on \"web\"";
    world.put("/v1/agent/service/register", r#"{"Name":"web"}"#).token(&reader).refused(403, web).await;
    let record = json!({"Node": "n2", "Address": "10.0.0.2"}).to_string();
    world.put("/v1/catalog/register", record).token(&reader).refused(403, "'node:write' on \"n2\"").await;
    let exact = "/v1/connect/intentions/exact?source=a&destination=web";
    world
        .put(exact, r#"{"Action":"allow"}"#)
        .token(&reader)
        .refused(403, "'intention:write' on \"web\"")
        .await;
    world.put("/v1/agent/leave", "").token(&reader).refused(403, "'agent:write'").await;
    world.put("/v1/agent/reload", "").refused(403, "anonymous token").await;
    world.get("/v1/acl/tokens").token(&reader).refused(403, "'acl:read'").await;
    world.get("/v1/agent/metrics").refused(403, "'agent:read'").await;
    world.stop().await;
}

const LEAF: &str = "/v1/agent/connect/ca/leaf/web";

async fn no_leaf(world: &World, path: &str, token: &str) {
    let answer = world.get(path).token(token).send().await;
    assert_eq!(answer.status, 403, "{path}: {}", answer.body);
    assert!(!answer.body.contains("BEGIN"), "{path}: {}", answer.body);
    assert_eq!(answer.header("x-cache"), None, "{path}");
}

#[tokio::test]
async fn n_26_a_warm_leaf_is_not_given_to_nobody() {
    let world = Setup::guarded().start().await;
    let warm = world.get(LEAF).token(ROOT).send().await;
    assert_eq!(warm.status, 200, "{}", warm.body);
    for query in ["", "?index=1", "?index=1&wait=10ms", "?wait=10ms", "?cached", "?stale", "?token="] {
        no_leaf(&world, &format!("{LEAF}{query}"), "").await;
    }
    let head = world.ask("HEAD", LEAF).send().await;
    assert_eq!((head.status, head.body.as_str()), (405, ""));
    world.stop().await;
}

#[tokio::test]
async fn n_27_nor_to_whom_it_is_not_for() {
    let world = Setup::guarded().start().await;
    world.get(LEAF).token(ROOT).ok().await;
    let (_, other) =
        token(&world, r#"service "webx" { policy = "write" } service "we" { policy = "write" }"#).await;
    let (_, reader) = token(&world, r#"service "web" { policy = "read" }"#).await;
    for secret in [&other, &reader] {
        for query in ["", "?index=1", "?cached"] {
            no_leaf(&world, &format!("{LEAF}{query}"), secret).await;
        }
    }
    let (_, writer) = token(&world, r#"service "web" { policy = "write" }"#).await;
    world.get(LEAF).token(&writer).ok().await;
    world.stop().await;
}

#[tokio::test]
async fn n_28_a_right_that_is_gone_is_gone_for_the_cache_too() {
    let world = Setup::guarded().start().await;
    let (accessor, secret) = token(&world, r#"service "web" { policy = "write" }"#).await;
    let warm = world.get(LEAF).token(&secret).send().await;
    assert_eq!(warm.status, 200, "{}", warm.body);
    // A waiting read ends with the refusal.
    let path = format!("{LEAF}?index={}&wait=10m", warm.index());
    let wait = async { world.get(&path).token(&secret).send().await };
    let remove = async {
        world.pause(200).await;
        world.delete(&format!("/v1/acl/token/{accessor}")).token(ROOT).ok().await;
    };
    let (waited, ()) = tokio::join!(world.guard(wait), remove);
    assert_eq!(waited.status, 403, "{}", waited.body);
    assert!(!waited.body.contains("BEGIN"));
    world.until(LEAF, &secret, |answer| answer.status == 403).await;

    let (_, narrowed) = token(&world, r#"service "web" { policy = "write" } # narrowed later"#).await;
    world.get(LEAF).token(&narrowed).ok().await;
    let policies: Value = world.get("/v1/acl/policies").token(ROOT).json().await;
    for policy in
        policies.as_array().unwrap().iter().filter(|policy| policy["Name"].as_str().unwrap().starts_with('p'))
    {
        let body =
            json!({"Name": policy["Name"], "Rules": r#"service "web" { policy = "read" }"#}).to_string();
        world.put(&format!("/v1/acl/policy/{}", policy["ID"].as_str().unwrap()), body).token(ROOT).ok().await;
    }
    world.until(LEAF, &narrowed, |answer| answer.status == 403).await;
    world.stop().await;
}

#[tokio::test]
async fn tokens_and_policies_live_and_die() {
    let world = Setup::guarded().start().await;
    let (accessor, secret) = token(&world, r#"acl = "read""#).await;
    let path = format!("/v1/acl/token/{accessor}");
    let own = world.get("/v1/acl/token/self").token(&secret).json().await;
    assert_eq!((&own["AccessorID"], &own["SecretID"]), (&json!(accessor), &json!(secret)));
    // A caller with only read rights does not see secrets.
    assert_eq!(world.get(&path).token(&secret).json().await["SecretID"], "<hidden>");
    assert_eq!(world.get(&path).token(ROOT).json().await["SecretID"], json!(secret));
    let listed = world.get("/v1/acl/tokens").token(&secret).send().await;
    assert!(!listed.body.contains(ROOT), "{}", listed.body);
    let cloned = world.put(&format!("{path}/clone"), r#"{"Description":"like it"}"#).token(ROOT).json().await;
    assert_eq!((&cloned["Description"], &cloned["Policies"]), (&json!("like it"), &own["Policies"]));
    assert_ne!(cloned["SecretID"], own["SecretID"]);
    let changed = json!({"Description": "other", "Policies": []}).to_string();
    assert_eq!(world.put(&path, changed).token(ROOT).json().await["Description"], "other");
    assert_eq!(world.delete(&path).token(ROOT).json().await, json!(true));
    world.get(&path).token(ROOT).refused(403, "token does not exist: ACL not found").await;
    world.get(&format!("{path}?expanded")).token(ROOT).refused(403, "token does not exist").await;
    world.delete(&path).token(ROOT).refused(404, "Cannot find token to delete").await;
    world.put(&path, "{}").token(ROOT).refused(500, &format!("Cannot find token \"{accessor}\"")).await;
    world.put(&format!("{path}/clone"), "").token(ROOT).refused(403, "token does not exist").await;

    let policy = world
        .put("/v1/acl/policy", r#"{"Name":"ops","Rules":"operator = \"read\""}"#)
        .token(ROOT)
        .json()
        .await;
    let path = format!("/v1/acl/policy/{}", policy["ID"].as_str().unwrap());
    assert_eq!(world.get("/v1/acl/policy/name/ops").token(ROOT).json().await["Rules"], policy["Rules"]);
    let stubs = world.get("/v1/acl/policies").token(ROOT).json().await;
    assert!(stubs.as_array().unwrap().iter().all(|stub| stub.get("Rules").is_none()));
    world.put(&path, r#"{"Name":"ops","Rules":"nonsense"}"#).token(ROOT).refused(400, "").await;
    world.delete(&path).token(ROOT).ok().await;
    world.get(&path).token(ROOT).refused(404, "Requested policy does not exist: ACL not found").await;
    world.get("/v1/acl/policy/name/ops").token(ROOT).refused(404, "Requested policy does not exist").await;
    world.delete(&path).token(ROOT).refused(404, "Cannot find policy to delete").await;
    world.stop().await;
}

#[tokio::test]
async fn a_token_that_was_read_can_be_written_back() {
    let world = Setup::guarded().start().await;
    let policy = async |name: &str| {
        let body = json!({"Name": name, "Rules": ""}).to_string();
        world.put("/v1/acl/policy", body).token(ROOT).json().await["ID"].as_str().unwrap().to_owned()
    };
    let (gone, renamed) = (policy("gone").await, policy("ren").await);
    let body = json!({"Policies": [{"ID": gone}, {"ID": renamed}]}).to_string();
    let made = world.put("/v1/acl/token", body).token(ROOT).json().await;
    let path = format!("/v1/acl/token/{}", made["AccessorID"].as_str().unwrap());
    world.delete(&format!("/v1/acl/policy/{gone}")).token(ROOT).ok().await;
    let body = json!({"Name": "ren2", "Rules": ""}).to_string();
    world.put(&format!("/v1/acl/policy/{renamed}"), body).token(ROOT).ok().await;
    let read = world.get(&path).token(ROOT).json().await;
    assert_eq!(read["Policies"], json!([{"ID": renamed, "Name": "ren2"}]));
    let back = world.put(&path, read.to_string()).token(ROOT).json().await;
    assert_eq!(back["Policies"], read["Policies"]);
    // A token that was read before its policy was deleted cannot be written back.
    world.put(&path, made.to_string()).token(ROOT).refused(500, "No such ACL policy").await;
    world.stop().await;
}

#[tokio::test]
async fn paths_without_their_name_are_refused_by_what_is_missing() {
    let world = Setup::guarded().start().await;
    for (path, status, said) in [
        ("/v1/acl/token/", 400, "Missing token AccessorID"),
        ("/v1/acl/policy/", 400, "Missing policy ID"),
        ("/v1/acl/policy/name/", 400, "Missing policy Name"),
        ("/v1/agent/connect/ca/leaf/", 400, "URI must be either service, agent, server, or kind"),
        ("/v1/connect/intentions/", 404, "Intention not found"),
    ] {
        world.get(path).token(ROOT).refused(status, said).await;
    }
    let said = "Must provide both a kind and name to delete";
    world.delete("/v1/config/service-intentions").token(ROOT).refused(404, said).await;
    world.get("/v1/config/service-intentions").token(ROOT).ok().await;
    world.stop().await;
}

#[tokio::test]
async fn no_token_is_no_valid_token() {
    let world = Setup::guarded().start().await;
    let own = |token: &'static str| world.get("/v1/acl/token/self").token(token);
    own(ROOT).ok().await;
    own("anonymous").ok().await;
    for none in ["", "0badcafe-0000-4000-8000-000000000001"] {
        own(none).refused(403, "token does not exist: ACL not found").await;
    }
    world.get("/v1/acl/token/self").refused(403, "token does not exist: ACL not found").await;
    world.stop().await;
}

#[tokio::test]
async fn who_may_not_ask_is_not_told_what_is_wrong_with_the_question() {
    let world = Setup::guarded().start().await;
    let (_, reader) = token(&world, r#"acl = "read""#).await;
    let (_, nobody) = token(&world, r#"node "x" { policy = "read" }"#).await;
    for path in ["/v1/acl/policy/nope", "/v1/acl/token/nope", "/v1/acl/tokens?policy=nope"] {
        world.get(path).token(&reader).refused(400, "").await;
        world.get(path).token(&nobody).refused(403, "lacks permission 'acl:read'").await;
        world.get(path).refused(403, "anonymous token").await;
    }
    for path in ["/v1/acl/policy/nope", "/v1/acl/token/nope"] {
        world.delete(path).token(ROOT).refused(400, "").await;
        world.delete(path).token(&reader).refused(403, "'acl:write'").await;
        world.put(path, "{}").token(ROOT).refused(400, "").await;
        world.put(path, "{}").token(&reader).refused(403, "'acl:write'").await;
    }
    for path in ["/v1/acl/policy", "/v1/acl/token"] {
        world.put(path, "[]").token(ROOT).refused(400, "").await;
        world.put(path, "[]").token(&reader).refused(403, "'acl:write'").await;
    }
    let config = "/v1/config/bogus";
    world.get(config).token(&nobody).refused(400, "invalid config entry kind").await;
    world.get(config).token("0badcafe-0000-4000-8000-000000000001").refused(403, "ACL not found").await;
    world.stop().await;
}

#[tokio::test]
async fn what_exists_already_is_said_in_consuls_words() {
    let world = Setup::guarded().start().await;
    let (accessor, secret) = token(&world, r#"acl = "read""#).await;
    let body = json!({"AccessorID": accessor}).to_string();
    let taken = "Invalid Token: AccessorID is already in use";
    world.put("/v1/acl/token", body).token(ROOT).refused(500, taken).await;
    let body = json!({"SecretID": secret}).to_string();
    let taken = "Invalid Token: SecretID is already in use";
    world.put("/v1/acl/token", body).token(ROOT).refused(500, taken).await;
    let body = json!({"Policies": [{"Name": "nobody"}]}).to_string();
    let unknown = "No such ACL policy with name \"nobody\"";
    world.put("/v1/acl/token", body).token(ROOT).refused(500, unknown).await;
    let one = r#"{"Name":"one"}"#;
    world.put("/v1/acl/policy", one).token(ROOT).ok().await;
    let taken = "Invalid Policy: A Policy with Name \"one\" already exists";
    world.put("/v1/acl/policy", one).token(ROOT).refused(500, taken).await;
    // A caller without write rights is not told what exists.
    world.put("/v1/acl/policy", one).token(&secret).refused(403, "'acl:write'").await;
    world.stop().await;
}

#[tokio::test]
async fn an_expanded_token_shows_its_policies() {
    let world = Setup::guarded().start().await;
    let rules = r#"service "web" { policy = "read" }"#;
    let (accessor, secret) = token(&world, rules).await;
    let path = format!("/v1/acl/token/{accessor}?expanded");
    let all = world.get(&path).token(ROOT).json().await;
    assert_eq!((&all["AccessorID"], &all["SecretID"]), (&json!(accessor), &json!(secret)));
    assert_eq!(all["ExpandedPolicies"][0]["Rules"], rules);
    assert_eq!((&all["ExpandedRoles"], &all["AgentACLDefaultPolicy"]), (&Value::Null, &json!("deny")));
    assert_eq!(all["ResolvedByAgent"], "n1");
    // With any value, as in Consul.
    let same = world.get(&format!("{path}=true")).token(ROOT).json().await;
    assert_eq!(same["ExpandedPolicies"], all["ExpandedPolicies"]);
    let plain = world.get(&format!("/v1/acl/token/{accessor}")).token(ROOT).json().await;
    assert!(plain.get("ExpandedPolicies").is_none());
    let (_, reader) = token(&world, r#"acl = "read""#).await;
    assert_eq!(world.get(&path).token(&reader).json().await["SecretID"], "<hidden>");
    world.get(&path).token(&secret).refused(403, "'acl:read'").await;
    world.get(&path).refused(403, "anonymous token").await;
    world.stop().await;
}

#[tokio::test]
async fn the_agents_own_tokens_change_while_it_runs() {
    let world = Setup::guarded().start().await;
    let (_, operator) = token(&world, r#"agent "n1" { policy = "write" }"#).await;
    let (_, reader) = token(&world, r#"agent "n1" { policy = "read" } node "n1" { policy = "read" }"#).await;
    let body = json!({"Token": reader}).to_string();
    for kind in ["default", "acl_token"] {
        let path = format!("/v1/agent/token/{kind}");
        world
            .put(&path, &body)
            .refused(403, "anonymous token lacks permission 'agent:write' on \"n1\"")
            .await;
        world.put(&path, &body).token(&reader).refused(403, "'agent:write' on \"n1\"").await;
        assert_eq!(world.get("/v1/catalog/nodes").json().await, json!([]));
        let answer = world.put(&path, &body).token(&operator).send().await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""));
        assert_eq!(world.get("/v1/catalog/nodes").json().await[0]["Node"], "n1");
        world.put(&path, r#"{"Token":""}"#).token(&operator).ok().await;
    }
    assert_eq!(world.get("/v1/catalog/nodes").json().await, json!([]));
    for kind in ["agent", "acl_agent_token", "config_file_service_registration", "dns", "dns_token"] {
        let root = json!({"Token": ROOT}).to_string();
        world.put(&format!("/v1/agent/token/{kind}"), root).token(&operator).ok().await;
    }
    for kind in
        ["agent_recovery", "agent_master", "acl_agent_master_token", "replication", "acl_replication_token"]
    {
        let path = format!("/v1/agent/token/{kind}");
        world.put(&path, &body).token(&operator).refused(501, "not available yet: ").await;
        world.put(&path, &body).token(&reader).refused(403, "'agent:write'").await;
    }
    let unknown = "Token \"other\" is unknown";
    world.put("/v1/agent/token/other", &body).token(&operator).refused(404, unknown).await;
    world.put("/v1/agent/token/default", "{").token(&operator).refused(400, "Request decode failed").await;
    world.stop().await;
}

#[tokio::test]
async fn the_first_management_token_is_made_once() {
    let world = Setup { no_management: true, ..Setup::guarded() }.start().await;
    world.put("/v1/acl/bootstrap", r#"{"BootstrapSecret":"x"}"#).refused(400, "not a valid UUID").await;
    // A misspelt key does not use up the only bootstrap.
    world.put("/v1/acl/bootstrap", r#"{"BootstrapSecrt":"x"}"#).refused(400, "BootstrapSecrt").await;
    let early = "ACL system must be bootstrapped before making any requests that require authorization: ACL not found";
    for (n, path) in ["/v1/catalog/nodes", "/v1/agent/self", "/v1/acl/tokens"].into_iter().enumerate() {
        // The second answer comes from the cache.
        for _ in 0..2 {
            let token = format!("0badcafe-0000-4000-8000-00000000000{n}");
            let refused = world.get(path).token(&token).send().await;
            assert_eq!((refused.status, refused.body.as_str()), (403, early), "{path}");
        }
    }
    let made = world.put("/v1/acl/bootstrap", "").json().await;
    assert_eq!(made["ID"], made["SecretID"]);
    world.get("/v1/acl/tokens").token(made["SecretID"].as_str().unwrap()).ok().await;
    world
        .put("/v1/acl/bootstrap", "")
        .refused(403, "Permission denied: ACL bootstrap no longer allowed (reset index: ")
        .await;
    world.stop().await;
}

#[tokio::test]
async fn a_caller_learns_what_it_may_do() {
    let world = Setup::guarded().start().await;
    let (_, secret) = token(&world, r#"service "web" { policy = "write" } operator = "read""#).await;
    let questions = json!([
        {"Resource": "service", "Access": "write", "Segment": "web"},
        {"Resource": "service", "Access": "read", "Segment": "db"},
        {"Resource": "operator", "Access": "write"},
        {"Resource": "operator", "Access": "read"},
        {"Resource": "service", "Access": "write"},
    ]);
    let path = "/v1/internal/acl/authorize";
    let answers = world.post(path, questions.to_string()).token(&secret).json().await;
    let allowed: Vec<&Value> = answers.as_array().unwrap().iter().map(|one| &one["Allow"]).collect();
    let (yes, no) = (&json!(true), &json!(false));
    assert_eq!(allowed, [yes, no, no, yes, no], "a right to `web` is none to no name");
    let bogus = json!([{"Resource": "bogus", "Access": "read"}]).to_string();
    let said = "Invalid ACL resource requested: \"bogus\"";
    world.post(path, bogus).token(&secret).refused(400, said).await;
    let many: Vec<Value> = (0..65).map(|_| json!({"Resource": "acl", "Access": "read"})).collect();
    world.post(path, json!(many).to_string()).token(&secret).refused(400, "more than 64").await;
    world.stop().await;
}

#[tokio::test]
async fn without_acls_there_is_nothing_to_manage() {
    let world = Setup::default().start().await;
    world.get("/v1/acl/tokens").refused(401, "ACL support disabled").await;
    world.put("/v1/acl/bootstrap", "").refused(401, "ACL support disabled").await;
    world.get("/v1/acl/token/self").token(ROOT).refused(401, "ACL support disabled").await;
    for path in ["/v1/acl/token/nope", "/v1/acl/policy/nope"] {
        world.get(path).refused(401, "ACL support disabled").await;
        world.delete(path).refused(401, "ACL support disabled").await;
        world.put(path, "[]").refused(401, "ACL support disabled").await;
    }
    for path in ["/v1/acl/token", "/v1/acl/policy", "/v1/acl/bootstrap", "/v1/acl/token/nope/clone"] {
        world.put(path, "[]").refused(401, "ACL support disabled").await;
    }
    world.get("/v1/acl/tokens?role=x").refused(401, "ACL support disabled").await;
    world.post("/v1/internal/acl/authorize", "[]").refused(401, "ACL support disabled").await;
    world.put("/v1/agent/token/default", r#"{"Token":"x"}"#).refused(401, "ACL support disabled").await;
    world.stop().await;
}

#[tokio::test]
async fn n_28_the_request_after_a_revocation_is_refused_already() {
    // The token would be cached for an hour.
    let world =
        Setup { token_ttl: Some(std::time::Duration::from_secs(3600)), ..Setup::guarded() }.start().await;
    world.put("/v1/agent/service/register", r#"{"Name":"web"}"#).token(ROOT).ok().await;
    let rules = r#"service "web" { policy = "write" } agent_prefix "" { policy = "read" }"#;
    let (_, stays) = token(&world, rules).await;
    for way in ["delete", "narrow", "unlink"] {
        let named = json!({"Name": format!("of-{way}"), "Rules": rules}).to_string();
        let policy = world.put("/v1/acl/policy", named).token(ROOT).json().await;
        let policy = policy["ID"].as_str().unwrap();
        let body = json!({"Policies": [{"ID": policy}]}).to_string();
        let made = world.put("/v1/acl/token", body).token(ROOT).json().await;
        let (accessor, secret) = (made["AccessorID"].as_str().unwrap(), made["SecretID"].as_str().unwrap());
        for round in 0..2 {
            let allowed = |status| if round == 0 { status == 200 } else { status == 403 };
            for path in [LEAF, "/v1/agent/self", "/v1/agent/service/web"] {
                let answer = world.get(path).token(secret).send().await;
                assert!(allowed(answer.status), "{way} {path}: {} {}", answer.status, answer.body);
                assert!(round == 0 || !answer.body.contains("BEGIN"), "{way} {path}");
            }
            let body = r#"{"Name":"web","Port":80}"#;
            let answer = world.put("/v1/agent/service/register", body).token(secret).send().await;
            assert!(allowed(answer.status), "{way}: {} {}", answer.status, answer.body);
            let listed = world.get("/v1/agent/services").token(secret).send().await;
            assert_eq!(listed.body.contains("\"web\""), round == 0, "{way}: {}", listed.body);
            // Callers that keep their rights are served as before.
            world.get(LEAF).token(&stays).ok().await;
            if round > 0 {
                break;
            }
            let token = format!("/v1/acl/token/{accessor}");
            match way {
                "delete" => world.delete(&token).token(ROOT).ok().await,
                "narrow" => {
                    let empty = json!({"Name": "of-narrow", "Rules": ""}).to_string();
                    world.put(&format!("/v1/acl/policy/{policy}"), empty).token(ROOT).ok().await;
                }
                _ => {
                    let without = json!({"Description": "nothing", "Policies": []}).to_string();
                    world.put(&token, without).token(ROOT).ok().await;
                }
            }
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn whether_a_server_is_there_is_told_to_anybody() {
    let world = Setup::guarded().start().await;
    let unknown = "0badcafe-0000-4000-8000-000000000001";
    assert_eq!(world.get("/v1/catalog/datacenters").token(unknown).json().await, json!(["dc1"]));
    world.get("/v1/catalog/nodes").token(unknown).refused(403, "ACL not found").await;
    world.stop().await;
}

#[tokio::test]
async fn policies_are_listed_by_name_and_tokens_by_accessor() {
    let world = Setup::guarded().start().await;
    for name in ["b", "team/a", "A", "a-z", "C"] {
        let policy = json!({"Name": name, "Rules": ""}).to_string();
        world.put("/v1/acl/policy", policy).token(ROOT).ok().await;
        world.put("/v1/acl/token", json!({"Policies": [{"Name": name}]}).to_string()).token(ROOT).ok().await;
    }
    let listed = async |path: &str, field: &str| -> Vec<String> {
        let all = world.get(path).token(ROOT).json().await;
        all.as_array().unwrap().iter().map(|one| one[field].as_str().unwrap().to_owned()).collect()
    };
    let names = listed("/v1/acl/policies", "Name").await;
    assert_eq!(names, ["A", "a-z", "b", "builtin/global-read-only", "C", "global-management", "team/a"]);
    let accessors = listed("/v1/acl/tokens", "AccessorID").await;
    assert!(accessors.len() >= 6 && accessors.is_sorted(), "{accessors:?}");
    assert_eq!(world.get("/v1/acl/policy/name/team%2Fa").token(ROOT).json().await["Name"], "team/a");
    world.put("/v1/acl/policy", r#"{"Name":"a/b/c"}"#).token(ROOT).refused(400, "a single '/'").await;
    world.stop().await;
}

#[tokio::test]
async fn names_that_differ_in_their_case_are_two_names() {
    let world = Setup::guarded().start().await;
    let rules = r#"service "web" { policy = "write" } node_prefix "" { policy = "read" }"#;
    let (_, web) = token(&world, rules).await;
    let register = |name: &str| world.put("/v1/agent/service/register", json!({"Name": name}).to_string());
    register("Web").token(&web).refused(403, "'service:write' on \"Web\"").await;
    register("web").token(&web).ok().await;
    register("Web").token(ROOT).ok().await;
    let found = async |name: &str, token: &str| {
        let list = world.get(&format!("/v1/catalog/service/{name}")).token(token).json().await;
        let ids = list.as_array().unwrap().iter().map(|one| one["ServiceID"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    for name in ["web", "Web"] {
        world.until(&format!("/v1/catalog/service/{name}"), ROOT, |answer| answer.body != "[]").await;
        assert_eq!(found(name, ROOT).await, [name]);
    }
    assert_eq!((found("web", &web).await, found("Web", &web).await), (vec!["web".to_owned()], vec![]));
    let exact = "/v1/connect/intentions/exact?source=Web&destination=web";
    world.put(exact, r#"{"Action":"allow"}"#).token(ROOT).ok().await;
    for (source, allowed) in [("Web", true), ("web", false), ("WEB", false)] {
        let path = format!("/v1/connect/intentions/check?source={source}&destination=web");
        assert_eq!(world.get(&path).token(ROOT).json().await, json!({"Allowed": allowed}), "{source}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_token_is_made_read_cloned_and_found_by_its_identities() {
    let world = Setup::guarded().start().await;
    let body = json!({
        "ServiceIdentities": [{ "ServiceName": "web" }],
        "NodeIdentities": [{ "NodeName": "n1", "Datacenter": "dc1" }],
    });
    let made = world.put("/v1/acl/token", body.to_string()).token(ROOT).json().await;
    assert_eq!(
        (&made["ServiceIdentities"], &made["NodeIdentities"]),
        (&body["ServiceIdentities"], &body["NodeIdentities"])
    );
    let path = format!("/v1/acl/token/{}", made["AccessorID"].as_str().unwrap());
    let secret = made["SecretID"].as_str().unwrap();
    let expanded = world.get(&format!("{path}?expanded")).token(ROOT).json().await;
    assert_eq!(expanded["ExpandedPolicies"].as_array().unwrap().len(), 2);
    let cloned = world.put(&format!("{path}/clone"), "{}").token(ROOT).json().await;
    assert_eq!(cloned["ServiceIdentities"], body["ServiceIdentities"]);
    let of = |service: &str| world.get(&format!("/v1/acl/tokens?servicename={service}")).token(ROOT).json();
    assert_eq!(of("web").await.as_array().unwrap().len(), 2);
    // Without intentions the list is empty.
    assert_eq!(of("db").await, json!([]));
    // The agent uses the identity, too: it may register the service and its sidecar, but no other service.
    let register = |body: &Value| world.put("/v1/agent/service/register", body.to_string()).token(secret);
    register(&json!({ "Name": "web", "Port": 80, "Connect": { "SidecarService": {} } })).ok().await;
    register(&json!({ "Name": "db" })).refused(403, "'service:write' on \"db\"").await;
    world.get("/v1/agent/connect/ca/leaf/web").token(secret).ok().await;
    world.get("/v1/agent/connect/ca/leaf/db").token(secret).refused(403, "'service:write'").await;
    let none = json!({ "Description": "none" }).to_string();
    assert_eq!(world.put(&path, none).token(ROOT).json().await.get("ServiceIdentities"), None);
    world.get("/v1/agent/connect/ca/leaf/web").token(secret).refused(403, "'service:write'").await;
    world.stop().await;
}

#[tokio::test]
async fn whom_nobody_knows_is_told_so_before_anything_about_the_questions() {
    let world = Setup::guarded().start().await;
    let path = "/v1/internal/acl/authorize";
    let wrong = r#"[{"Resource":"nope","Access":"read"}]"#;
    world.post(path, wrong).token("0f0f0f0f-0000-4000-8000-0000000000ff").refused(403, "ACL not found").await;
    world.post(path, wrong).token(ROOT).refused(400, "Invalid ACL resource requested").await;
    world.stop().await;
}

#[tokio::test]
async fn all_keys_below_a_prefix_are_asked_about_at_once() {
    let world = Setup::guarded().start().await;
    let rules = r#"key_prefix "a/" { policy = "write" } key "b/c" { policy = "read" } key_prefix "b/" { policy = "write" }"#;
    let (_, token) = token(&world, rules).await;
    let path = "/v1/internal/acl/authorize";
    let ask = |resource: &str, access: &str, segment: &str| {
        json!([{ "Resource": resource, "Access": access, "Segment": segment }]).to_string()
    };
    for (segment, allow) in [("a/", true), ("a/x", true), ("b/", false), ("c/", false), ("", false)] {
        let answer = world.post(path, ask("key", "write-prefix", segment)).token(&token).json().await;
        assert_eq!(answer[0]["Allow"], json!(allow), "{segment}");
    }
    let refused = "Invalid access level for service resource: write-prefix";
    world.post(path, ask("service", "write-prefix", "a")).token(&token).refused(400, refused).await;
    world.stop().await;
}
