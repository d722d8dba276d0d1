//! Tests of changed tokens and policies: cached rights end at once, and the servers are asked only once more.

use std::time::Duration;

use concord_config::section::{AclSection, DownPolicy};
use concord_model::Secret;
use concord_rpc::request::DeleteToken;
use concord_rpc::{Head, RpcError, ServerApiExt};
use futures::FutureExt;

use crate::testing::{Bench, name, settle, strict};

const WRITE: &str = r#"service "web" { policy = "write" }"#;
const READ: &str = r#"service "web" { policy = "read" }"#;

/// Tokens are cached for long, so it is never the TTL that ends them here.
fn patient() -> AclSection {
    let hour = Duration::from_secs(3600);
    AclSection { token_ttl: hour, policy_ttl: hour, role_ttl: hour, ..strict() }
}

async fn leaf(bench: &Bench, token: &Secret) -> Result<(), RpcError> {
    let caller = bench.agent.callers.resolve(Some(token)).await?;
    bench.agent.connect.leaf(&caller, &name("web"), &Head::default()).await.map(|_| ())
}

#[tokio::test(start_paused = true)]
async fn n_28_what_others_change_is_heard_at_once() {
    let bench = Bench::new(patient());
    settle().await;
    let guess = Secret::new("web".to_owned());
    assert_eq!(
        leaf(&bench, &guess).await,
        Err(RpcError::TokenNotFound),
        "and it is known at once when made:"
    );
    for narrowed in [false, true] {
        let web = bench.servers.token("web", WRITE);
        let stays = bench.servers.token("stays", WRITE);
        settle().await;
        assert_eq!((leaf(&bench, &web).await, leaf(&bench, &stays).await), (Ok(()), Ok(())));
        match narrowed {
            true => drop(bench.servers.token("web", READ)),
            false => bench.servers.revoke(&web),
        }
        settle().await;
        assert!(leaf(&bench, &web).await.unwrap_err().is_denial(), "narrowed: {narrowed}");
        assert_eq!(leaf(&bench, &stays).await, Ok(()), "the right of others stays");
    }
}

#[tokio::test(start_paused = true)]
async fn n_28_what_goes_through_the_agent_counts_before_its_answer() {
    // Nobody reports changes: only the agent's own writes remain.
    let bench = Bench::new(patient());
    bench.servers.change(|catalog| catalog.mute = true);
    let root = bench.servers.token("root", r#"acl = "write""#);
    let web = bench.servers.token("web", WRITE);
    let accessor = bench.caller(&web).await.accessor.unwrap();
    assert_eq!(leaf(&bench, &web).await, Ok(()));
    bench.agent.servers.call(Head::with_token(Some(root)), DeleteToken { accessor }).await.unwrap();
    assert_eq!(leaf(&bench, &web).await, Err(RpcError::TokenNotFound));
}

#[tokio::test(start_paused = true)]
async fn n_28_an_answer_that_was_under_way_is_not_believed_afterwards() {
    let bench = Bench::new(patient());
    bench.servers.change(|catalog| catalog.mute = true);
    let root = bench.servers.token("root", r#"acl = "write""#);
    let web = bench.servers.token("web", WRITE);
    let accessor = bench.servers.caller(Some(&web)).unwrap().accessor.unwrap();
    // The answer to the first question is made before the token is deleted, and arrives afterwards.
    bench.servers.change(|catalog| catalog.late = Duration::from_secs(5));
    let agent = bench.agent.clone();
    let token = web.clone();
    let early = bench.agent.scope.spawn("early", async move { agent.callers.resolve(Some(&token)).await });
    settle().await;
    bench.servers.change(|catalog| catalog.late = Duration::ZERO);
    bench.agent.servers.call(Head::with_token(Some(root)), DeleteToken { accessor }).await.unwrap();
    assert!(early.join().await.unwrap().is_ok(), "it was asked while the token was there");
    // Not through a leaf, because the servers would refuse to sign one.
    assert_eq!(bench.agent.callers.resolve(Some(&web)).await.unwrap_err(), RpcError::TokenNotFound);
}

#[tokio::test(start_paused = true)]
async fn a_change_costs_every_token_in_use_one_question() {
    let bench = Bench::new(patient());
    let tokens: Vec<_> = (0..5).map(|n| bench.servers.token(&format!("t{n}"), WRITE)).collect();
    settle().await;
    let ask = async || {
        let before = bench.servers.asked("ResolveToken");
        for _ in 0..3 {
            for token in &tokens {
                bench.caller(token).await;
            }
        }
        bench.servers.asked("ResolveToken") - before
    };
    assert_eq!((ask().await, ask().await), (5, 0));
    bench.servers.token("other", READ);
    settle().await;
    assert_eq!((ask().await, ask().await), (5, 0));
    // A change of something else than tokens and policies outdates nothing.
    bench.servers.change(|catalog| catalog.services.clear());
    settle().await;
    assert_eq!(ask().await, 0);
    // Neither does the attempt of a caller without rights.
    let caller = bench.caller(&tokens[0]).await;
    let delete = DeleteToken { accessor: caller.accessor.unwrap() };
    let refused = bench.agent.servers.call(Head::with_token(caller.token), delete).await.unwrap_err();
    assert!(refused.is_denial(), "{refused}");
    assert_eq!(ask().await, 0);
}

#[tokio::test(start_paused = true)]
async fn after_a_change_without_servers_known_tokens_go_on() {
    let bench = Bench::new(patient());
    let web = bench.servers.token("web", WRITE);
    settle().await;
    assert_eq!(leaf(&bench, &web).await, Ok(()));
    bench.servers.token("other", READ);
    settle().await;
    bench.servers.change(|catalog| catalog.fault = Some(RpcError::NoLeader));
    assert_eq!(leaf(&bench, &web).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn without_acls_nobody_listens() {
    let bench = Bench::new(crate::testing::open());
    bench.world.clock.sleep(Duration::from_secs(60)).await;
    assert_eq!(bench.servers.asked("AwaitAclChange"), 0);
}

/// An agent whose servers are gone, with a token that it caches for half a minute.
async fn cut_off(down_policy: DownPolicy) -> (Bench, Secret) {
    let bench = Bench::new(AclSection { token_ttl: Duration::from_secs(30), down_policy, ..strict() });
    let web = bench.servers.token("web", WRITE);
    settle().await;
    assert_eq!(leaf(&bench, &web).await, Ok(()));
    bench.servers.change(|catalog| catalog.fault = Some(RpcError::NoLeader));
    settle().await;
    assert_eq!(leaf(&bench, &web).await, Ok(()), "{down_policy:?}: its time is not over");
    bench.world.clock.sleep(Duration::from_secs(31)).await;
    (bench, web)
}

#[tokio::test(start_paused = true)]
async fn what_holds_while_no_server_answers_is_as_configured() {
    for down_policy in [DownPolicy::ExtendCache, DownPolicy::AsyncCache] {
        let (bench, web) = cut_off(down_policy).await;
        assert_eq!(leaf(&bench, &web).await, Ok(()), "{down_policy:?}");
        let unknown = Secret::new("unknown".to_owned());
        assert!(leaf(&bench, &unknown).await.is_err(), "{down_policy:?}");
    }
    let (bench, web) = cut_off(DownPolicy::Deny).await;
    assert_eq!(leaf(&bench, &web).await, Err(RpcError::NoLeader));
    bench.servers.change(|catalog| catalog.fault = None);
    assert_eq!(leaf(&bench, &web).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn denying_while_no_server_answers_ends_open_reads_too() {
    for (down_policy, ends) in [(DownPolicy::ExtendCache, false), (DownPolicy::Deny, true)] {
        let bench = Bench::new(AclSection { down_policy, ..patient() });
        let web = bench.servers.token("web", WRITE);
        let caller = bench.caller(&web).await;
        let index = bench.agent.connect.leaf(&caller, &name("web"), &Head::default()).await.unwrap().index;
        let (agent, head) =
            (bench.agent.clone(), Head::default().after(index, Some(Duration::from_secs(300))));
        let read = async move { agent.connect.leaf(&caller, &name("web"), &head).await.map(|_| ()) };
        let open = bench.agent.scope.spawn("open", read);
        settle().await;
        bench.servers.change(|catalog| catalog.fault = Some(RpcError::NoLeader));
        settle().await;
        let ended = open.join().now_or_never().map(|ended| ended.unwrap());
        assert_eq!(ended, ends.then_some(Err(RpcError::NoLeader)), "{down_policy:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn n_28_asking_aside_outlives_no_change() {
    let acl =
        AclSection { token_ttl: Duration::from_secs(30), down_policy: DownPolicy::AsyncCache, ..strict() };
    let bench = Bench::new(acl);
    let web = bench.servers.token("web", WRITE);
    settle().await;
    assert_eq!(leaf(&bench, &web).await, Ok(()));
    bench.world.clock.sleep(Duration::from_secs(31)).await;
    // Nobody waits for the answer, however late it is.
    bench.servers.change(|catalog| catalog.late = Duration::from_secs(2));
    let (before, asked) = (bench.world.clock.now(), bench.servers.asked("ResolveToken"));
    for _ in 0..5 {
        assert_eq!(leaf(&bench, &web).await, Ok(()));
    }
    assert_eq!(bench.world.clock.now(), before);
    bench.world.clock.sleep(Duration::from_secs(3)).await;
    assert_eq!(bench.servers.asked("ResolveToken"), asked + 1);
    // But after a change the answer is awaited.
    bench.servers.change(|catalog| catalog.late = Duration::ZERO);
    bench.world.clock.sleep(Duration::from_secs(31)).await;
    bench.servers.revoke(&web);
    settle().await;
    assert_eq!(leaf(&bench, &web).await, Err(RpcError::TokenNotFound));
}
