//! Tests of foreign web pages in a browser on the agent's machine: what they can send and read.

use concord_front::http::{Names, Settings};
use concord_model::intention::Action;

use crate::world::{ROOT, Setup, World};

fn named(tokens_count: bool) -> Settings {
    let names = Names { node: "n1".to_owned(), domains: vec!["consul.".to_owned()], tokens_count };
    Settings { names, ..Settings::default() }
}

/// The status of the answer if a page reads a leaf with its key.
async fn reads_a_leaf(world: &World, headers: &str) -> String {
    let request = format!("GET /v1/agent/connect/ca/leaf/web HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
    world.raw(request.as_bytes()).await
}

#[tokio::test]
async fn n_40_a_page_that_makes_its_name_ours_hears_no_leaf() {
    let world = Setup { settings: named(false), ..Setup::default() }.start().await;
    for ours in ["localhost:8500", "127.0.0.1:8500", "[::1]:8500", "n1", "n1.node.consul:8500"] {
        let answer = reads_a_leaf(&world, &format!("Host: {ours}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{ours}: {answer}");
    }
    for token in ["", "X-Consul-Token: any\r\n"] {
        let answer = reads_a_leaf(&world, &format!("Host: evil.example:8500\r\n{token}")).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert!(answer.contains("http_config.allowed_hosts") && !answer.contains("PRIVATE KEY"), "{answer}");
    }
    world.stop().await;
}

#[tokio::test]
async fn who_has_a_token_may_call_us_what_they_like() {
    let settings = Settings { default_policy: Action::Deny, ..named(true) };
    let world = Setup { settings, ..Setup::guarded() }.start().await;
    let call = |token: &str| format!("Host: alias.example\r\nX-Consul-Token: {token}\r\n");
    assert!(reads_a_leaf(&world, &call(ROOT)).await.starts_with("HTTP/1.1 200 "));
    // An unknown token does not help.
    let answer = reads_a_leaf(&world, &call("11111111-2222-4333-8444-555555555555")).await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("ACL not found"), "{answer}");
    world.stop().await;
}

#[tokio::test]
async fn n_40_the_name_of_the_anonymous_token_makes_nobody_known() {
    let settings = Settings { default_policy: Action::Deny, ..named(true) };
    let world = Setup { settings, ..Setup::guarded() }.start().await;
    let open = r#"{"Name": "open", "Rules": "service_prefix \"\" { policy = \"write\" }"}"#;
    world.put("/v1/acl/policy", open).token(ROOT).ok().await;
    let anonymous = "/v1/acl/token/00000000-0000-0000-0000-000000000002";
    world.put(anonymous, r#"{"Policies": [{"Name": "open"}]}"#).token(ROOT).ok().await;
    let leaf = "/v1/agent/connect/ca/leaf/web";
    for (target, header) in [
        (leaf.to_owned() + "?token=anonymous", ""),
        (leaf.to_owned(), "X-Consul-Token: anonymous\r\n"),
        (leaf.to_owned(), "Authorization: Bearer anonymous\r\n"),
    ] {
        let ask = async |host: &str| {
            let head = format!("GET {target} HTTP/1.1\r\nConnection: close\r\nHost: {host}\r\n{header}\r\n");
            world.raw(head.as_bytes()).await
        };
        let answer = ask("localhost:8500").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "everybody may: {answer}");
        let answer = ask("evil.example:8500").await;
        assert!(answer.starts_with("HTTP/1.1 403 ") && !answer.contains("PRIVATE KEY"), "{answer}");
    }
    world.stop().await;
}

#[tokio::test]
async fn n_40_a_page_with_two_origins_writes_nothing() {
    let mut settings = named(false);
    settings.section.allow_origins = vec!["https://ops.example".to_owned()];
    let world = Setup { settings, ..Setup::default() }.start().await;
    let register = || world.put("/v1/agent/service/register", "{\"Name\":\"web\"}");
    register().header("Origin", "https://ops.example").ok().await;
    let own = "http://localhost";
    register().header("Origin", own).ok().await;
    register().header("Origin", own).header("Origin", own).refused(403, "http_config.allow_origins").await;
    register().header("Origin", "http://localhost\u{e9}").refused(403, "http_config.allow_origins").await;
    world.stop().await;
}
