//! Tests of a watch alone, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use concord_rpc::request::ReadCaRoots;
use concord_rpc::{Head, RpcError, ServerApi};
use concord_runtime::World;
use concord_runtime::limits::BACKOFF_MAX;
use futures::FutureExt;

use super::Watch;
use crate::limits::REFRESH_WAIT;
use crate::testing::{Bench, Servers, open, settle};

/// Servers to which no agent writes, and a watch on their state.
fn watched() -> (Arc<Servers>, World, Watch<ReadCaRoots>) {
    let world = Bench::new(open()).world;
    let servers = Servers::new(open(), Arc::clone(&world.clock));
    let api: Arc<dyn ServerApi> = Arc::clone(&servers) as _;
    let watch = Watch::new(&api, &world, Head::default().after(1 << 40, None), ReadCaRoots {});
    (servers, world, watch)
}

fn asked(servers: &Servers) -> usize {
    servers.asked("ReadCaRoots")
}

#[tokio::test(start_paused = true)]
async fn it_tells_what_there_is_and_then_what_changes() {
    let (servers, world, mut watch) = watched();
    let first = watch.next().now_or_never().expect("what there is does not wait").unwrap();
    assert!(first.is_news);
    let began = world.clock.now();
    let same = watch.next().await.unwrap();
    assert_eq!((same.is_news, same.answer.index), (false, first.answer.index));
    assert!(world.clock.now() - began >= REFRESH_WAIT, "it waited for something to change");
    servers.change(|_| ());
    let changed = watch.next().await.unwrap();
    assert!(changed.is_news && changed.answer.index > first.answer.index);
    watch.restart();
    let again = watch.next().now_or_never().expect("what there is does not wait").unwrap();
    assert_eq!(again.answer.index, changed.answer.index);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_while_the_watcher_works() {
    let (servers, _, mut watch) = watched();
    let mut index = watch.next().await.unwrap().answer.index;
    for _ in 0..3 {
        let before = asked(&servers);
        for _ in 0..100 {
            servers.change(|_| ());
        }
        settle().await;
        assert_eq!(asked(&servers), before, "changes alone cost no question");
        let told = watch.next().await.unwrap();
        assert!(told.is_news && told.answer.index == index + 100, "one answer for all of them");
        assert_eq!(asked(&servers), before + 1);
        index = told.answer.index;
    }
}

#[tokio::test(start_paused = true)]
async fn who_stops_waiting_misses_nothing() {
    let (servers, _, mut watch) = watched();
    let first = watch.next().await.unwrap().answer.index;
    assert!(watch.next().now_or_never().is_none());
    servers.change(|_| ());
    assert_eq!(watch.next().await.unwrap().answer.index, first + 1);
}

#[tokio::test(start_paused = true)]
async fn after_errors_it_asks_again_after_pauses_that_grow_until_there_is_an_answer() {
    let (servers, world, mut watch) = watched();
    servers.change(|catalog| catalog.fault = Some(RpcError::NoLeader));
    let mut pauses = Vec::new();
    for failure in 1..=10 {
        let began = world.clock.now();
        assert_eq!(watch.next().await.unwrap_err(), RpcError::NoLeader);
        pauses.push(world.clock.now() - began);
        assert_eq!(watch.failures(), failure);
    }
    assert_eq!(pauses[0], Duration::ZERO);
    assert!(pauses[1] > Duration::ZERO && pauses[9] > pauses[1] && pauses[9] <= BACKOFF_MAX, "{pauses:?}");
    // Dropping the future during the pause does not end the pause.
    assert!(watch.next().now_or_never().is_none());
    let began = world.clock.now();
    servers.change(|catalog| catalog.fault = None);
    assert!(watch.next().await.unwrap().is_news);
    assert!(world.clock.now() > began);
    assert_eq!(watch.failures(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_watcher_may_set_the_pause_itself() {
    let (servers, world, mut watch) = watched();
    servers.change(|catalog| catalog.fault = Some(RpcError::NoLeader));
    for pause in [Duration::ZERO, Duration::from_secs(40)] {
        watch.next().await.unwrap_err();
        watch.pause(pause);
        let began = world.clock.now();
        watch.ready().await;
        assert_eq!(world.clock.now() - began, pause);
    }
}
