//! Tests of what agents learn about changed tokens and policies: only that there was a change, at once.

use concord_rpc::request::{AwaitAclChange, DeletePolicy, DeleteToken, SetPolicy, SetToken};
use concord_rpc::{Head, RpcError, ServerApiExt};

use crate::world::{ROOT, SECOND, Setup, new_token, policy, register};

#[tokio::test(start_paused = true)]
async fn n_28_every_change_of_rights_wakes_who_waits_for_one_and_nothing_else_does() {
    let host = Setup::guarded().start().await;
    let token = host.token("web", "").await;
    let mut seen = host.ask(AwaitAclChange {}).await.unwrap().index;
    let link = token.policies[0].id;
    for change in 0..4 {
        let (api, head) = (host.api.clone(), Head::default().after(seen, Some(SECOND * 600)));
        let waits = tokio::spawn(async move { api.call(head, AwaitAclChange {}).await });
        host.settle().await;
        host.ask_as(ROOT, register(&format!("n{change}"), "api")).await.unwrap();
        host.settle().await;
        assert!(!waits.is_finished(), "a registration is no change of rights");
        match change {
            0 => drop(
                host.ask_as(ROOT, SetPolicy { id: Some(link), ..policy("web", "acl = \"read\"") })
                    .await
                    .unwrap(),
            ),
            1 => drop(
                host.ask_as(ROOT, SetToken { accessor: Some(token.accessor), ..new_token() }).await.unwrap(),
            ),
            2 => host.ask_as(ROOT, DeletePolicy { id: link }).await.unwrap(),
            _ => host.ask_as(ROOT, DeleteToken { accessor: token.accessor }).await.unwrap(),
        }
        host.settle().await;
        assert!(waits.is_finished(), "change {change}");
        let heard = waits.await.unwrap().unwrap().index;
        assert!(heard > seen, "change {change}");
        seen = heard;
    }
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_hears_of_changes_while_there_are_rights_at_all() {
    let host = Setup::guarded().start().await;
    let unknown = Head::with_token(Some(concord_model::Secret::new("gone".to_owned())));
    assert!(host.api.call(unknown, AwaitAclChange {}).await.is_ok());
    host.stop().await;
    let host = Setup::open().start().await;
    assert_eq!(host.ask(AwaitAclChange {}).await.map(|_| ()), Err(RpcError::AclDisabled));
    host.stop().await;
}
