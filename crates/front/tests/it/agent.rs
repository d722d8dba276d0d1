//! The agent's own endpoints.

use serde_json::{Value, json};

use crate::world::{ROOT, Setup};

#[tokio::test]
async fn a_service_comes_with_its_sidecar_and_goes_with_it() {
    let world = Setup::default().start().await;
    let body = json!({"Name": "web", "Port": 8080, "Connect": {"SidecarService": {}}, "Check": {"TTL": "10m", "Name": "alive"}});
    let registered = world.put("/v1/agent/service/register", body.to_string()).send().await;
    assert_eq!((registered.status, registered.body.as_str()), (200, ""));
    let services = world.get("/v1/agent/services").json().await;
    let ids: Vec<&String> = services.as_object().unwrap().keys().collect();
    assert_eq!(ids, ["web", "web-sidecar-proxy"]);
    assert_eq!(services["web-sidecar-proxy"]["Proxy"]["DestinationServiceName"], "web");
    let kinds = world.get("/v1/agent/services?filter=Kind+%3D%3D+%22connect-proxy%22").json().await;
    assert_eq!(kinds.as_object().unwrap().len(), 1);
    // The registration reaches the catalog.
    world.until("/v1/catalog/service/web", "", |answer| answer.body != "[]").await;
    world.put("/v1/agent/service/deregister/web", "").ok().await;
    assert_eq!(world.get("/v1/agent/services").send().await.body, "{}");
    world.put("/v1/agent/service/deregister/web", "").refused(404, "Unknown service ID").await;
    world.get("/v1/agent/service/web").refused(404, "unknown service ID: web").await;
    world.until("/v1/catalog/service/web", "", |answer| answer.body == "[]").await;
    world.stop().await;
}

#[tokio::test]
async fn a_service_speaks_for_itself() {
    let world = Setup::default().start().await;
    let body = json!({"Name": "web", "Check": {"TTL": "10m"}});
    world.put("/v1/agent/service/register", body.to_string()).ok().await;
    let health = "/v1/agent/health/service/id/web";
    let shown = world.get(health).send().await;
    assert_eq!((shown.status, shown.header("x-consul-reason")), (503, Some("critical")));
    for (verb, status, word) in
        [("pass", 200, "passing"), ("warn", 429, "warning"), ("fail", 503, "critical")]
    {
        world.put(&format!("/v1/agent/check/{verb}/service:web?note=so"), "").ok().await;
        let shown = world.get(health).send().await;
        assert_eq!((shown.status, &shown.json()["AggregatedStatus"]), (status, &json!(word)));
        let checks = world.get("/v1/agent/checks").json().await;
        assert_eq!(
            (&checks["service:web"]["Status"], &checks["service:web"]["Output"]),
            (&json!(word), &json!("so"))
        );
    }
    world.put("/v1/agent/check/update/service:web", r#"{"Status":"passing","Output":"fine"}"#).ok().await;
    let text = world.get("/v1/agent/health/service/name/web?format=text").send().await;
    assert_eq!((text.status, text.body.as_str()), (200, "passing"));
    world
        .put("/v1/agent/check/update/service:web", r#"{"Status":"odd"}"#)
        .refused(400, "Invalid check status")
        .await;
    world.put("/v1/agent/check/pass/nothing", "").refused(404, "Unknown check ID").await;
    world.stop().await;
}

#[tokio::test]
async fn a_check_has_a_name_and_a_verdict_there_is() {
    let world = Setup::default().start().await;
    for (body, text) in [
        (r#"{"ID":"c","TTL":"10s"}"#, "Missing check name"),
        (r#"{"CheckID":"c","Name":"","TTL":"10s","Status":"bad"}"#, "Missing check name"),
        (r#"{"Name":"c","TTL":"10s","Status":"bad"}"#, "Bad check status"),
    ] {
        let answer = world.put("/v1/agent/check/register", body).send().await;
        assert_eq!((answer.status, answer.body.as_str()), (400, text), "{body}");
    }
    assert_eq!(world.get("/v1/agent/checks").send().await.body, "{}");
    world.put("/v1/agent/check/register", r#"{"Name":"c","TTL":"10s","Status":"passing"}"#).ok().await;
    world.stop().await;
}

#[tokio::test]
async fn the_health_of_what_is_not_here_is_told_in_shape() {
    let world = Setup::default().start().await;
    for (path, reason, body) in [
        (
            "/v1/agent/health/service/id/no",
            "ServiceId no not found",
            r#"{"AggregatedStatus":"critical","Service":null,"Checks":null}"#,
        ),
        ("/v1/agent/health/service/name/no", "ServiceName no Not Found", "[]"),
    ] {
        let absent = world.get(path).send().await;
        assert_eq!((absent.status, absent.body.as_str()), (404, body), "{path}");
        assert_eq!(absent.header("x-consul-reason"), Some(reason), "{path}");
        assert_eq!(absent.header("content-type"), Some("application/json"), "{path}");
        let text = world.get(&format!("{path}?format=text")).send().await;
        assert_eq!((text.status, text.body.as_str()), (404, reason), "{path}");
        assert_eq!(text.header("content-type"), Some("text/plain; charset=utf-8"), "{path}");
    }
    world.stop().await;
}

#[tokio::test]
async fn the_health_of_a_service_is_for_who_may_read_it() {
    let world = Setup::guarded().start().await;
    let register = world.put("/v1/agent/service/register", r#"{"Name":"web"}"#);
    register.token(ROOT).ok().await;
    // Whether the name exists must not be revealed.
    for path in ["name/web", "name/no", "id/web"] {
        let path = format!("/v1/agent/health/service/{path}");
        world.get(&path).refused(403, "lacks permission 'service:read'").await;
    }
    world.get("/v1/agent/health/service/name/web").token(ROOT).ok().await;
    world.get("/v1/agent/health/service/id/web").token(ROOT).ok().await;
    let absent = world.get("/v1/agent/health/service/name/no").token(ROOT).send().await;
    assert_eq!((absent.status, absent.body.as_str()), (404, "[]"));
    world.stop().await;
}

#[tokio::test]
async fn checks_stand_on_their_own_too() {
    let world = Setup::default().start().await;
    let body = json!({"ID": "disk", "Name": "disk", "TTL": "10m", "Status": "passing"});
    world.put("/v1/agent/check/register", body.to_string()).ok().await;
    let checks = world.get("/v1/agent/checks?filter=CheckID+%3D%3D+disk").json().await;
    assert_eq!(checks["disk"]["Status"], "passing");
    let body = json!({"Name": "x", "TTL": "10m", "ServiceID": "nothing"});
    world.put("/v1/agent/check/register", body.to_string()).refused(404, "does not exist").await;
    world.put("/v1/agent/check/deregister/disk", "").ok().await;
    assert_eq!(world.get("/v1/agent/checks").send().await.body, "{}");
    world.stop().await;
}

#[tokio::test]
async fn the_agent_tells_about_itself() {
    let world = Setup::default().start().await;
    let about = world.get("/v1/agent/self").json().await;
    assert_eq!((&about["Config"]["NodeName"], &about["Config"]["Version"]), (&json!("n1"), &json!("1.21.0")));
    assert_eq!(world.get("/v1/agent/version").json().await["HumanVersion"], "1.21.0");
    let members = world.get("/v1/agent/members").json().await;
    assert_eq!((&members[0]["Name"], &members[0]["Status"]), (&json!("n1"), &json!(1)));
    world.get("/v1/agent/members?wan=1").refused(501, "not available yet").await;
    world.get("/v1/agent/metrics?format=prometheus").refused(415, "Prometheus is not enabled").await;
    world.stop().await;
}

#[tokio::test]
async fn connections_are_authorised_from_memory() {
    let world = Setup::default().start().await;
    let roots = world.get("/v1/agent/connect/ca/roots").json().await;
    let domain = roots["TrustDomain"].as_str().unwrap().to_owned();
    let ask = async |target: &str, uri: &str| {
        let body = json!({"Target": target, "ClientCertURI": uri, "ClientCertSerial": "00:11"}).to_string();
        world.post("/v1/agent/connect/authorize", body).send().await
    };
    let web = format!("spiffe://{domain}/ns/default/dc/dc1/svc/web");
    let answer = ask("db", &web).await;
    assert_eq!((answer.status, answer.header("x-cache")), (200, Some("MISS")));
    assert_eq!(answer.json(), json!({"Authorized": true, "Reason": "Default behavior configured by ACLs"}));
    assert_eq!(ask("db", &web).await.header("x-cache"), Some("HIT"));
    world.put("/v1/connect/intentions/exact?source=web&destination=db", r#"{"Action":"deny"}"#).ok().await;
    let denied = async {
        loop {
            let answer = ask("db", &web).await.json();
            if answer["Authorized"] == json!(false) {
                return answer;
            }
            world.pause(10).await;
        }
    };
    let reason = world.guard(denied).await["Reason"].as_str().unwrap().to_owned();
    assert!(reason.starts_with("Matched L4 intention: default/web => default/db"), "{reason}");
    // Unknown fields are refused, because they may change the meaning.
    for key in ["Namespace", "Partition", "Bogus"] {
        let body =
            json!({"Target": "other", "ClientCertURI": &web, "ClientCertSerial": "00:11", key: "team"});
        let refused = world.post("/v1/agent/connect/authorize", body.to_string()).send().await;
        assert_eq!(refused.status, 400, "{key}: {}", refused.body);
    }
    let bad = [("", web.as_str()), ("db", "https://a/b"), ("db", "spiffe://a/agent/client/dc/dc1/id/n1")];
    for (target, uri) in bad {
        assert_eq!(ask(target, uri).await.status, 400, "{target} {uri}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_leaf_comes_with_its_key_and_its_roots() {
    let world = Setup::default().start().await;
    let first = world.get("/v1/agent/connect/ca/leaf/web").send().await;
    assert_eq!((first.status, first.header("x-cache")), (200, Some("MISS")));
    let leaf = first.json();
    let text = |field: &str| leaf[field].as_str().unwrap().to_owned();
    assert!(text("CertPEM").starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(text("PrivateKeyPEM").contains("PRIVATE KEY-----"));
    assert!(text("ServiceURI").ends_with("/ns/default/dc/dc1/svc/web"));
    let again = world.get("/v1/agent/connect/ca/leaf/web").send().await;
    assert_eq!(
        (again.header("x-cache"), &again.json()["SerialNumber"]),
        (Some("HIT"), &leaf["SerialNumber"])
    );
    let waited =
        world.get(&format!("/v1/agent/connect/ca/leaf/web?index={}&wait=50ms", first.index())).send().await;
    assert_eq!((waited.status, waited.index()), (200, first.index()));
    world.get("/v1/agent/connect/ca/leaf/%2A").refused(400, "").await;
    let roots: Value = world.get("/v1/agent/connect/ca/roots").json().await;
    assert_eq!(roots["Roots"][0]["Active"], json!(true));
    world.stop().await;
}

#[tokio::test]
async fn a_service_and_its_sidecar_have_tagged_addresses() {
    let world = Setup::default().start().await;
    let body =
        r#"{"Name":"web","Address":"10.0.0.1","Port":7001,"Connect":{"SidecarService":{"Port":7777}}}"#;
    world.put("/v1/agent/service/register", body).ok().await;
    world.put("/v1/agent/service/register", r#"{"Name":"bare","Port":7002}"#).ok().await;
    let services = world.get("/v1/agent/services").json().await;
    for (id, port) in [("web", 7001), ("web-sidecar-proxy", 7777)] {
        let tagged = &services[id]["TaggedAddresses"];
        for tag in ["lan_ipv4", "wan_ipv4"] {
            assert_eq!(tagged[tag], serde_json::json!({"Address": "10.0.0.1", "Port": port}), "{id} {tag}");
        }
    }
    assert!(services["bare"]["TaggedAddresses"].get("lan_ipv4").is_none());
    world.stop().await;
}

#[tokio::test]
async fn ids_with_slashes_are_addressed_as_they_are() {
    let world = Setup::default().start().await;
    let body = json!({ "ID": "team/web", "Name": "web", "Check": { "TTL": "10m", "CheckID": "team/alive" } });
    world.put("/v1/agent/service/register", body.to_string()).ok().await;
    for path in ["team/web", "team%2Fweb"] {
        assert_eq!(world.get(&format!("/v1/agent/service/{path}")).json().await["ID"], "team/web");
        let health = world.get(&format!("/v1/agent/health/service/id/{path}")).send().await;
        assert_eq!(health.header("x-consul-reason"), Some("critical"));
        world.put(&format!("/v1/agent/service/maintenance/{path}?enable=false"), "").ok().await;
    }
    world.put("/v1/agent/check/pass/team/alive", "").ok().await;
    assert_eq!(world.get("/v1/agent/checks").json().await["team/alive"]["Status"], "passing");
    world
        .put("/v1/agent/check/pass/team/nothing", "")
        .refused(404, "Unknown check ID \"team/nothing\"")
        .await;
    world.put("/v1/agent/check/deregister/team/alive", "").ok().await;
    world.put("/v1/agent/service/deregister/team/web", "").ok().await;
    assert_eq!(world.get("/v1/agent/services").send().await.body, "{}");
    world.stop().await;
}
