//! Tests of intentions by id: the older API's intentions are stored in the same entries as all others.

use std::collections::BTreeMap;
use std::time::Duration;

use concord_model::Uuid;
use concord_model::intention::{Action, Decision, LegacyFields, ServiceIntentions};
use concord_rpc::request::{
    CreateIntention, DeleteIntention, DeleteIntentionById, ListIntentions, PlainIntention, ReadEntry,
    ReadIntention, UpdateIntention,
};
use concord_rpc::{RpcError, ServerApiExt};

use crate::intention::{from, to, upsert};
use crate::world::{Host, ROOT, Setup, named, with};

const NOBODYS: Uuid = Uuid([0x7a; 16]);

fn plain(source: &str, destination: &str, action: Action) -> PlainIntention {
    PlainIntention {
        destination: to(destination),
        source: from(source),
        action,
        description: "d".to_owned(),
        meta: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
    }
}

async fn create(host: &Host, source: &str, destination: &str) -> Uuid {
    let intention = plain(source, destination, Action::Allow);
    host.ask_as(ROOT, CreateIntention { intention }).await.unwrap()
}

async fn read(host: &Host, id: Uuid) -> Option<ServiceIntentions> {
    host.ask_as(ROOT, ReadIntention { id }).await.unwrap()
}

fn fields(entry: &ServiceIntentions) -> &LegacyFields {
    entry.sources[0].legacy.as_ref().unwrap()
}

#[track_caller]
fn rejected<T: std::fmt::Debug>(answer: Result<T, RpcError>, words: &str) {
    assert_eq!(answer.unwrap_err(), RpcError::Rejected(words.to_owned()));
}

#[track_caller]
fn denied<T: std::fmt::Debug>(answer: Result<T, RpcError>) {
    assert!(matches!(answer, Err(RpcError::Denied(_))), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn an_intention_lives_by_its_id() {
    let host = Setup::guarded().start().await;
    let web = create(&host, "web", "db").await;
    let other = create(&host, "other", "db").await;
    assert_ne!(web, other);
    let made = read(&host, web).await.unwrap();
    assert_eq!((made.sources.len(), made.sources[0].source.name.as_str()), (1, "web"));
    assert_eq!(fields(&made).create_time, fields(&made).update_time);
    assert_eq!(fields(&made).meta["a"], "b");

    tokio::time::advance(Duration::from_secs(1)).await;
    let renamed = UpdateIntention { id: web, intention: plain("front", "db", Action::Deny) };
    host.ask_as(ROOT, renamed).await.unwrap();
    let changed = read(&host, web).await.unwrap();
    assert_eq!(changed.sources[0].source.name.as_str(), "front");
    assert_eq!(changed.sources[0].decision, Decision::Connection(Action::Deny));
    assert_eq!(fields(&changed).create_time, fields(&made).create_time);
    assert!(fields(&changed).update_time >= fields(&made).update_time);

    host.ask_as(ROOT, DeleteIntentionById { id: web }).await.unwrap();
    assert!(read(&host, web).await.is_none());
    assert!(read(&host, other).await.is_some());
    host.ask_as(ROOT, DeleteIntentionById { id: other }).await.unwrap();
    let entry = ReadEntry { name: named("db") };
    assert!(host.ask_as(ROOT, entry).await.unwrap().is_none(), "the last source takes the entry with it");
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_what_stands_is_refused_in_known_words() {
    let host = Setup::guarded().start().await;
    let web = create(&host, "web", "db").await;
    create(&host, "other", "db").await;
    let again = CreateIntention { intention: plain("web", "db", Action::Deny) };
    rejected(host.ask_as(ROOT, again).await, "Sources[2] defines \"web\" more than once");
    let update = |id, intention| host.ask_as(ROOT, UpdateIntention { id, intention });
    rejected(
        update(web, plain("other", "db", Action::Deny)).await,
        "Sources[1] defines \"other\" more than once",
    );
    rejected(
        update(web, plain("web", "api", Action::Deny)).await,
        "Cannot modify Destination partition/namespace/name for an intention once it exists.",
    );
    rejected(
        update(NOBODYS, plain("web", "db", Action::Deny)).await,
        &format!("Cannot modify non-existent intention: '{NOBODYS}'"),
    );
    rejected(
        host.ask_as(ROOT, DeleteIntentionById { id: NOBODYS }).await,
        &format!("Cannot delete non-existent intention: '{NOBODYS}'"),
    );
    let mut long = plain("third", "db", Action::Allow);
    long.description = "x".repeat(513);
    let long = host.ask_as(ROOT, CreateIntention { intention: long }).await;
    assert!(matches!(long, Err(RpcError::Invalid(_))), "{long:?}");
    assert_eq!(host.ask_as(ROOT, ListIntentions {}).await.unwrap()[0].sources.len(), 2);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_was_written_otherwise_is_beyond_the_older_api() {
    let host = Setup::guarded().start().await;
    let said = "cannot use legacy intention API to edit intentions with a destination of \"db\" after editing \
                them via a service-intentions config entry";
    let web = create(&host, "web", "db").await;
    host.ask_as(ROOT, upsert("other", "db", Action::Deny)).await.unwrap();
    rejected(
        host.ask_as(ROOT, CreateIntention { intention: plain("third", "db", Action::Allow) }).await,
        said,
    );
    let change = UpdateIntention { id: web, intention: plain("web", "db", Action::Deny) };
    rejected(host.ask_as(ROOT, change).await, said);
    rejected(host.ask_as(ROOT, DeleteIntentionById { id: web }).await, said);
    assert!(read(&host, web).await.is_some(), "what others wrote leaves it as it is");

    host.ask_as(ROOT, upsert("web", "db", Action::Deny)).await.unwrap();
    assert!(read(&host, web).await.is_none(), "written as a pair it has no id");
    host.ask_as(ROOT, upsert("web", "api", Action::Deny)).await.unwrap();
    host.ask_as(ROOT, DeleteIntention { destination: to("api"), source: from("web") }).await.unwrap();
    create(&host, "web", "api").await;
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_id_gives_no_rights() {
    let host = Setup::guarded().start().await;
    let web = create(&host, "web", "db").await;
    create(&host, "other", "db").await;
    let change = || UpdateIntention { id: web, intention: plain("web", "db", Action::Deny) };
    let add = || CreateIntention { intention: plain("third", "db", Action::Allow) };
    let remove = || DeleteIntentionById { id: web };

    let nothing = host.token("nothing", "").await.secret;
    denied(host.ask_as(&nothing, ReadIntention { id: web }).await);
    // A caller can neither read nor change an intention of another destination by naming its own destination.
    let own = host.token("own", r#"service "api" { policy = "write" intentions = "write" }"#).await.secret;
    denied(host.ask_as(&own, ReadIntention { id: web }).await);
    let bent = UpdateIntention { id: web, intention: plain("web", "api", Action::Deny) };
    denied(host.ask_as(&own, bent).await);
    for token in [&nothing, &own] {
        denied(host.ask_as(token, change()).await);
        denied(host.ask_as(token, add()).await);
        denied(host.ask_as(token, remove()).await);
    }
    // Either side may read; only writers of the destination may write.
    for rules in [r#"service "web" { policy = "read" }"#, r#"service "db" { policy = "write" }"#] {
        let name = if rules.contains("web") { "from" } else { "to" };
        let reader = host.token(name, rules).await.secret;
        let seen = host.ask_as(&reader, ReadIntention { id: web }).await.unwrap().unwrap();
        assert_eq!(seen.sources.len(), 1, "of the others nothing is told");
        denied(host.ask_as(&reader, change()).await);
        denied(host.ask_as(&reader, add()).await);
        denied(host.ask_as(&reader, remove()).await);
    }
    assert_eq!(read(&host, web).await.unwrap().sources[0].decision, Decision::Connection(Action::Allow));
    let rules = r#"service "db" { policy = "read" intentions = "write" }"#;
    let writer = host.token("writer", rules).await.secret;
    host.ask_as(&writer, change()).await.unwrap();
    host.ask_as(&writer, add()).await.unwrap();
    host.ask_as(&writer, remove()).await.unwrap();
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_an_intention_ends_with_its_change() {
    let host = Setup::guarded().start().await;
    let web = create(&host, "web", "db").await;
    let seen = host.api.call(with(ROOT), ReadIntention { id: web }).await.unwrap().index;
    let mut head = with(ROOT);
    (head.min_index, head.wait) = (seen, Some(Duration::from_secs(300)));
    let api = host.api.clone();
    let query = tokio::spawn(async move { api.call(head, ReadIntention { id: web }).await });
    host.settle().await;
    assert!(!query.is_finished());
    host.ask_as(ROOT, DeleteIntentionById { id: web }).await.unwrap();
    assert!(query.await.unwrap().unwrap().value.is_none());
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn of_many_that_make_one_pair_one_succeeds_and_none_is_lost() {
    let host = Setup::guarded().start().await;
    let create = |source: String| {
        let (api, intention) = (host.api.clone(), plain(&source, "db", Action::Allow));
        tokio::spawn(async move { api.call(with(ROOT), CreateIntention { intention }).await })
    };
    let same: Vec<_> = (0..20).map(|_| create("web".to_owned())).collect();
    let others: Vec<_> = (0..20).map(|at| create(format!("s{at}"))).collect();
    // Removals take no turn; the condition of the write detects a removal in between.
    let removed = DeleteIntention { destination: to("db"), source: from("s0") };
    host.ask_as(ROOT, removed).await.unwrap();
    let mut won = 0;
    for made in same {
        won += usize::from(made.await.unwrap().is_ok());
    }
    assert_eq!(won, 1);
    for made in others {
        made.await.unwrap().unwrap();
    }
    let entry = &host.ask_as(ROOT, ListIntentions {}).await.unwrap()[0];
    let there = entry.sources.iter().filter(|own| own.source != from("s0")).count();
    assert_eq!(there, 20, "one web and nineteen others");
    host.stop().await;
}
