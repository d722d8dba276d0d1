//! Tests of how long reads wait: for a change as long as they ask, for a first answer as long as it takes.

use std::time::Duration;

use concord_rpc::{Head, RpcError};

use crate::limits::FIRST_ANSWER_WAIT;
use crate::testing::{Bench, name, open};

/// A blocking read that waits only a moment for a change.
fn short() -> Head {
    Head::default().after(5, Some(Duration::from_millis(10)))
}

#[tokio::test(start_paused = true)]
async fn a_short_wait_for_news_does_not_give_up_the_first_answer_of_the_servers() {
    let bench = Bench::new(open());
    bench.servers.change(|catalog| catalog.delay = Duration::from_secs(1));
    let answer = bench.agent.connect.roots(&short()).await.expect("it comes after a second");
    assert!(!answer.hit && !answer.value.roots.is_empty());

    let bench = Bench::new(open());
    bench.servers.change(|catalog| catalog.delay = FIRST_ANSWER_WAIT + Duration::from_secs(10));
    let before = bench.world.clock.now();
    let late = bench.agent.connect.roots(&short()).await.map(|_| ()).unwrap_err();
    assert!(matches!(&late, RpcError::Busy(text) if text.contains("first answer")), "{late}");
    assert_eq!(bench.world.clock.now() - before, FIRST_ANSWER_WAIT);
}

#[tokio::test(start_paused = true)]
async fn a_short_wait_for_news_does_not_give_up_the_first_leaf() {
    let bench = Bench::new(open());
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    bench.servers.change(|catalog| catalog.delay = Duration::from_secs(1));
    let answer =
        bench.agent.connect.leaf(&caller, &name("web"), &short()).await.expect("it comes after seconds");
    assert!(!answer.hit);

    let bench = Bench::new(open());
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    bench.servers.change(|catalog| catalog.delay = FIRST_ANSWER_WAIT + Duration::from_secs(10));
    let late = bench.agent.connect.leaf(&caller, &name("web"), &short()).await.map(|_| ()).unwrap_err();
    assert!(matches!(&late, RpcError::Busy(_)), "{late}");
}

#[tokio::test(start_paused = true)]
async fn a_short_wait_for_news_still_ends_where_there_is_an_answer() {
    let bench = Bench::new(open());
    let first = bench.agent.connect.roots(&Head::default()).await.unwrap();
    let before = bench.world.clock.now();
    let head = Head::default().after(first.index, Some(Duration::from_millis(10)));
    let same = bench.agent.connect.roots(&head).await.unwrap();
    assert_eq!(same.index, first.index);
    assert!(bench.world.clock.now() - before < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn an_index_beyond_that_of_the_answer_is_not_waited_for() {
    let bench = Bench::new(open());
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    let roots = bench.agent.connect.roots(&Head::default()).await.unwrap();
    let leaf = bench.agent.connect.leaf(&caller, &name("web"), &Head::default()).await.unwrap();
    let before = bench.world.clock.now();
    // The index of a client that knew another cluster.
    let beyond = |index: u64| Head::default().after(index + 1_000, Some(Duration::from_secs(300)));
    let again = bench.agent.connect.roots(&beyond(roots.index)).await.unwrap();
    assert_eq!(again.index, roots.index);
    let again = bench.agent.connect.leaf(&caller, &name("web"), &beyond(leaf.index)).await.unwrap();
    assert_eq!(again.index, leaf.index);
    assert!(bench.world.clock.now() - before < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_as_long_as_configured_where_nothing_is_asked_and_no_longer_where_too_much_is() {
    let (usual, most) = (Duration::from_secs(20), Duration::from_secs(60));
    let bench = Bench::with(open(), |config| {
        (config.queries.default_query_time, config.queries.max_query_time) = (usual, most);
    });
    let caller = bench.agent.callers.resolve(None).await.unwrap();
    let leaf = bench.agent.connect.leaf(&caller, &name("web"), &Head::default()).await.unwrap();
    for (asked, waits) in [(None, usual), (Some(Duration::from_secs(3600)), most)] {
        let before = bench.world.clock.now();
        let same =
            bench.agent.connect.leaf(&caller, &name("web"), &Head::default().after(leaf.index, asked)).await;
        assert_eq!(same.unwrap().index, leaf.index);
        let took = bench.world.clock.now() - before;
        assert!(took >= waits && took <= waits + waits / 16, "{asked:?}: {took:?}");
    }
}
