//! Tests of leaves, authorize and roots: who gets them, and when no longer.

use std::time::Duration;

use concord_api::connect::Authorize;
use concord_config::section::AclSection;
use concord_model::intention::Action;
use concord_model::{Secret, ServiceRef};
use concord_rpc::{Head, RpcError};
use futures::future::join_all;

use crate::cache::IntentionsTo;
use crate::testing::{Bench, DAY, intention, name, open, settle, strict};

fn blocking(index: u64) -> Head {
    Head::default().after(index, Some(Duration::from_secs(120)))
}

fn question(source: &str, target: &str) -> Authorize {
    Authorize { target: ServiceRef::local(name(target)), source: ServiceRef::local(name(source)) }
}

/// A cached leaf of `web`, requested in every form by another caller.
async fn refused_a_warm_leaf(rules: Option<&str>) {
    let bench = Bench::new(strict());
    let web = bench.servers.token("web", r#"service "web" { policy = "write" }"#);
    let warm =
        bench.agent.connect.leaf(&bench.caller(&web).await, &name("web"), &Head::default()).await.unwrap();
    assert!(!warm.hit && warm.value.key.expose().contains("EC PRIVATE KEY"));
    let again =
        bench.agent.connect.leaf(&bench.caller(&web).await, &name("web"), &Head::default()).await.unwrap();
    assert!(again.hit && again.value == warm.value);

    let token = rules.map(|rules| bench.servers.token("other", rules));
    let caller = bench.agent.callers.resolve(token.as_ref()).await.unwrap();
    for head in [Head::default(), blocking(1), blocking(u64::MAX)] {
        let refused = bench.agent.connect.leaf(&caller, &name("web"), &head).await.unwrap_err();
        assert!(matches!(refused, RpcError::Denied(_)), "{refused}");
    }
    assert_eq!(bench.servers.look(|catalog| catalog.signed), 1);
}

#[tokio::test(start_paused = true)]
async fn n_26_a_warm_leaf_is_for_nobody_without_a_token() {
    refused_a_warm_leaf(None).await;
}

#[tokio::test(start_paused = true)]
async fn n_27_a_warm_leaf_is_for_nobody_with_other_rights() {
    refused_a_warm_leaf(Some(r#"service "api" { policy = "write" }"#)).await;
    refused_a_warm_leaf(Some(r#"service "web" { policy = "read" }"#)).await;
}

#[tokio::test(start_paused = true)]
async fn n_28_a_token_revoked_or_narrowed_loses_the_leaf_and_its_open_read() {
    let bench = Bench::new(AclSection { token_ttl: Duration::from_secs(30), ..strict() });
    for narrowed in [false, true] {
        let web = bench.servers.token("web", r#"service "web" { policy = "write" }"#);
        bench.world.clock.sleep(Duration::from_secs(31)).await;
        let caller = bench.caller(&web).await;
        let warm = bench.agent.connect.leaf(&caller, &name("web"), &Head::default()).await.unwrap();
        let agent = bench.agent.clone();
        let open = bench.agent.scope.spawn("open", async move {
            agent.connect.leaf(&caller, &name("web"), &blocking(warm.index)).await
        });
        settle().await;
        if narrowed {
            bench.servers.token("web", r#"service "web" { policy = "read" }"#);
        } else {
            bench.servers.revoke(&web);
        }
        let refused = open.join().await.unwrap().unwrap_err();
        assert!(refused.is_denial(), "{refused}");
        // The open read has learned this for all callers.
        let after = match bench.agent.callers.resolve(Some(&web)).await {
            Ok(caller) => bench.agent.connect.leaf(&caller, &name("web"), &Head::default()).await.map(|_| ()),
            Err(error) => Err(error),
        };
        assert!(after.unwrap_err().is_denial());
    }
}

#[tokio::test(start_paused = true)]
async fn n_28_without_an_open_read_a_revoked_token_ends_within_its_ttl() {
    let bench = Bench::new(AclSection { token_ttl: Duration::from_secs(30), ..strict() });
    let web = bench.servers.token("web", r#"service "web" { policy = "write" }"#);
    settle().await;
    bench.servers.change(|catalog| catalog.mute = true);
    assert!(bench.agent.callers.resolve(Some(&web)).await.is_ok());
    bench.servers.revoke(&web);
    settle().await;
    assert!(
        bench.agent.callers.resolve(Some(&web)).await.is_ok(),
        "nobody told, and it is believed for its time"
    );
    bench.world.clock.sleep(Duration::from_secs(31)).await;
    assert_eq!(bench.agent.callers.resolve(Some(&web)).await.unwrap_err(), RpcError::TokenNotFound);
}

#[tokio::test(start_paused = true)]
async fn while_no_server_answers_known_tokens_go_on_and_unknown_ones_do_not() {
    let bench = Bench::new(strict());
    let web = bench.servers.token("web", r#"service "web" { policy = "write" }"#);
    assert!(bench.agent.callers.resolve(Some(&web)).await.is_ok());
    bench.servers.change(|catalog| catalog.fault = Some(RpcError::NoLeader));
    bench.world.clock.sleep(Duration::from_secs(300)).await;
    assert!(bench.agent.callers.resolve(Some(&web)).await.is_ok());
    let unknown = Secret::new("unknown".to_owned());
    assert_eq!(bench.agent.callers.resolve(Some(&unknown)).await.unwrap_err(), RpcError::NoLeader);
}

#[tokio::test(start_paused = true)]
async fn a_leaf_is_renewed_by_the_clock_and_tells_blocking_readers() {
    let bench = Bench::new(open());
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    let first = bench.agent.connect.leaf(&caller, &name("web"), &Head::default()).await.unwrap();
    bench.world.clock.sleep(2 * DAY + 20 * DAY / 24).await;
    let later = bench.agent.connect.leaf(&caller, &name("web"), &Head::default()).await.unwrap();
    assert!(later.index > first.index && later.value.key.expose() != first.value.key.expose());
    assert!(later.hit, "it was renewed though nobody asked");
}

#[tokio::test(start_paused = true)]
async fn a_refused_signature_is_told_and_leaves_no_entry() {
    let bench = Bench::new(open());
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    bench.servers.change(|catalog| catalog.sign_fault = Some(RpcError::RateLimited));
    let refused = bench.agent.connect.leaf(&caller, &name("web"), &Head::default()).await.unwrap_err();
    assert_eq!(refused, RpcError::RateLimited);
    bench.servers.change(|catalog| catalog.sign_fault = None);
    assert!(bench.agent.connect.leaf(&caller, &name("web"), &Head::default()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn many_readers_share_one_signature() {
    let bench = Bench::new(open());
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    let web = name("web");
    let head = Head::default();
    let all = join_all((0..50).map(|_| bench.agent.connect.leaf(&caller, &web, &head))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(bench.servers.look(|catalog| catalog.signed), 1);
}

#[tokio::test(start_paused = true)]
async fn authorize_answers_as_consul_does() {
    let bench = Bench::new(strict());
    let api = bench.servers.token("api", r#"service "api" { policy = "write" }"#);
    let caller = bench.caller(&api).await;
    let ask =
        async |source: &str| bench.agent.connect.authorize(&caller, &question(source, "api")).await.unwrap();
    let unknown = ask("web").await;
    assert!(!unknown.authorized && !unknown.hit);
    assert_eq!(unknown.reason, "Default behavior configured by ACLs");
    bench.servers.change(|catalog| catalog.intentions.push(intention("web", "api", Action::Allow)));
    settle().await;
    let allowed = ask("web").await;
    assert!(allowed.authorized && allowed.hit && allowed.age.is_zero());
    assert_eq!(
        allowed.reason,
        "Matched L4 intention: default/web => default/api (Precedence: 9, Action: ALLOW)"
    );
    assert!(!ask("db").await.authorized);
}

#[tokio::test(start_paused = true)]
async fn authorize_needs_the_right_to_the_target_and_to_its_intentions() {
    let bench = Bench::new(strict());
    let web = bench.servers.token("web", r#"service "web" { policy = "write" }"#);
    let blind = bench.servers.token("blind", r#"service "api" { policy = "write" intentions = "deny" }"#);
    let api = bench.servers.token("api", r#"service "api" { policy = "write" }"#);
    bench.agent.connect.authorize(&bench.caller(&api).await, &question("web", "api")).await.unwrap();
    for token in [&web, &blind] {
        let refused = bench
            .agent
            .connect
            .authorize(&bench.caller(token).await, &question("web", "api"))
            .await
            .unwrap_err();
        assert!(matches!(refused, RpcError::Denied(_)), "{refused}");
    }
}

#[tokio::test(start_paused = true)]
async fn n_30_warm_intentions_are_shown_to_nobody_without_the_right_to_them() {
    let bench = Bench::new(strict());
    let reads = bench.servers.token("reads", r#"service "api" { policy = "read" }"#);
    let other = bench.servers.token("other", r#"service "web" { policy = "write" }"#);
    let api = || IntentionsTo(ServiceRef::local(name("api")));
    bench.agent.answers.read(&bench.caller(&reads).await, &api(), &Head::default()).await.unwrap();
    for head in [Head::default(), blocking(1)] {
        let refused = bench.agent.answers.read(&bench.caller(&other).await, &api(), &head).await.unwrap_err();
        assert!(matches!(refused, RpcError::Denied(_)), "{refused}");
    }
}

#[tokio::test(start_paused = true)]
async fn roots_and_leaves_are_those_of_the_datacenter_asked() {
    let bench = Bench::new(strict());
    let web = bench.servers.token("web", r#"service "web" { policy = "write" }"#);
    let other = bench.servers.token("other", "");
    let (caller, other) = (bench.caller(&web).await, bench.caller(&other).await);
    let at = |datacenter: &str, head: Head| {
        let datacenter = Some(concord_model::Datacenter::parse(datacenter).unwrap());
        Head { datacenter, ..head }
    };
    for head in [Head::default(), blocking(1)] {
        assert!(bench.agent.connect.roots(&at("dc1", head.clone())).await.is_ok());
        assert!(bench.agent.connect.leaf(&caller, &name("web"), &at("dc1", head.clone())).await.is_ok());
        let elsewhere = at("dc2", head);
        assert_eq!(bench.agent.connect.roots(&elsewhere).await.unwrap_err(), RpcError::UnknownDatacenter);
        let refused = bench.agent.connect.leaf(&caller, &name("web"), &elsewhere).await.unwrap_err();
        assert_eq!(refused, RpcError::UnknownDatacenter);
        // A caller that may not have the leaf does not learn which datacenters exist.
        assert!(bench.agent.connect.leaf(&other, &name("web"), &elsewhere).await.unwrap_err().is_denial());
    }
}

#[tokio::test(start_paused = true)]
async fn default_intention_policy_wins_over_the_acls() {
    let bench = Bench::with(open(), |config| config.acl.default_intention_policy = Some(Action::Deny));
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    let answer = bench.agent.connect.authorize(&caller, &question("web", "api")).await.unwrap();
    assert_eq!((answer.authorized, answer.reason.as_str()), (false, "Default intention policy"));
}

#[tokio::test(start_paused = true)]
async fn n_29_unknown_tokens_create_no_entries() {
    let bench = Bench::new(strict());
    let roots = bench.agent.connect.roots(&Head::default()).await.unwrap();
    assert!(!roots.hit);
    let before = bench.agent.answers.cache.load();
    for n in 0..2_000 {
        let token = Secret::new(format!("guess-{n}"));
        assert_eq!(bench.agent.callers.resolve(Some(&token)).await.unwrap_err(), RpcError::TokenNotFound);
        assert!(bench.agent.connect.roots(&Head::with_token(Some(token))).await.unwrap().hit);
    }
    assert_eq!(bench.agent.answers.cache.load(), before);
    let (known, unknown, followed) = bench.agent.answers.tokens.counts();
    assert!(known <= 1 && followed == 0 && unknown <= crate::limits::UNKNOWN_TOKENS_MAX);
}

#[tokio::test(start_paused = true)]
async fn n_31_forbidden_and_absent_look_the_same() {
    let bench = Bench::new(strict());
    let web = bench.servers.token("web", r#"service "web" { policy = "write" }"#);
    let other = bench.servers.token("other", "");
    bench.agent.connect.leaf(&bench.caller(&web).await, &name("web"), &Head::default()).await.unwrap();
    bench.agent.connect.authorize(&bench.caller(&web).await, &question("api", "web")).await.unwrap();
    let caller = bench.caller(&other).await;
    let mut texts = Vec::new();
    for target in ["web", "bew"] {
        let leaf = bench.agent.connect.leaf(&caller, &name(target), &Head::default()).await.unwrap_err();
        let authorize = bench.agent.connect.authorize(&caller, &question("api", target)).await.unwrap_err();
        texts.push(format!("{leaf} {authorize}").replace(target, "it"));
    }
    assert_eq!(texts[0], texts[1]);
    assert_eq!(bench.servers.look(|catalog| catalog.signed), 1, "nothing was asked for the forbidden");
}

#[tokio::test(start_paused = true)]
async fn leaving_needs_agent_write_and_reaches_the_program() {
    let bench = Bench::new(strict());
    let none = bench.servers.token("none", "");
    let root = bench.servers.token("root", r#"agent_prefix "" { policy = "write" }"#);
    let mut requests = bench.agent.program.requests().expect("not taken yet");
    assert!(bench.agent.program.leave(&bench.caller(&none).await).await.unwrap_err().is_denial());
    let (agent, caller) = (bench.agent.clone(), bench.caller(&root).await);
    let leaving = bench.agent.scope.spawn("leave", async move { agent.program.leave(&caller).await });
    let Some(crate::AgentRequest::Leave { done }) = requests.recv().await else { panic!("a wish to leave") };
    done.send(Ok(())).unwrap();
    assert_eq!(leaving.join().await.unwrap(), Ok(()));
}
