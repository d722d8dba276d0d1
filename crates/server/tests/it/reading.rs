//! Tests of blocking queries: what wakes them, what they answer, and that nothing remains of them.

use std::sync::Arc;
use std::time::Duration;

use concord_model::catalog::{CheckStatus, Registered};
use concord_model::{Datacenter, NodeName};
use concord_raft::Storage;
use concord_rpc::request::{
    InstanceSelection, ListNodes, ListServices, NodeDump, ReadCaRoots, ReadStatus, ServiceHealth,
    ServiceInstances,
};
use concord_rpc::{Consistency, Head, RpcError, ServerApiExt};
use concord_runtime::{Clock, HostDisk, MemoryDisk, TokioClock};

use crate::world::{Host, SECOND, Setup, check, deregister, name, register, target};

fn instances(of: &str) -> ServiceInstances {
    ServiceInstances { select: InstanceSelection::of(target(of)) }
}

fn after(index: u64, wait: Duration) -> Head {
    Head { min_index: index, wait: Some(wait), ..Head::default() }
}

/// A waiting query in its own task.
fn waiting(
    host: &Host,
    of: &str,
    index: u64,
    wait: Duration,
) -> tokio::task::JoinHandle<Result<(usize, u64), RpcError>> {
    let (api, of) = (host.api.clone(), of.to_owned());
    tokio::spawn(async move {
        let answer = api.call(after(index, wait), instances(&of)).await?;
        Ok((answer.value.len(), answer.index))
    })
}

#[tokio::test(start_paused = true)]
async fn a_new_server_serves_its_own_node() {
    let host = Setup::open().start().await;
    let nodes = host.ask(ListNodes::default()).await.unwrap();
    assert_eq!(nodes.value.iter().map(|node| node.name.as_str()).collect::<Vec<_>>(), ["n1"]);
    assert!(nodes.index >= 1 && nodes.known_leader && nodes.last_contact.is_zero());
    let dump = host.ask(NodeDump::of(name("n1"))).await.unwrap().value.unwrap();
    assert_eq!(dump.services[0].service.as_str(), "consul");
    assert_eq!(dump.checks[0].id.as_str(), "serfHealth");
    let status = host.ask(ReadStatus {}).await.unwrap().value;
    assert!(status.is_leader);
    assert_eq!((status.leader.as_str(), status.peers.len()), ("127.0.0.1:8300", 1));
    host.stop().await;
}

#[tokio::test]
async fn a_server_on_a_real_disk_keeps_what_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let setup = || Setup {
        storage: Storage::Disk,
        disk: Arc::new(HostDisk::new(dir.path()).unwrap()),
        clock: Arc::new(TokioClock::new()),
        inline_writes: false,
        ..Setup::open()
    };
    let host = setup().start().await;
    host.ask(register("a", "web")).await.unwrap();
    let before = host.ask(instances("web")).await.unwrap();
    host.stop().await;
    let host = setup().start().await;
    let again = host.ask(instances("web")).await.unwrap();
    assert_eq!((again.value, again.index), (before.value, before.index));
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn n_151_without_space_writes_are_told_why_and_reads_and_waits_go_on() {
    let disk = MemoryDisk::new();
    let setup = Setup { storage: Storage::Disk, disk: Arc::new(disk.clone()), ..Setup::open() };
    let host = setup.start().await;
    let index = host.ask(instances("web")).await.unwrap().index;
    disk.set_full(true);
    let mut taken = 0;
    let refused = loop {
        match host.ask(register(&format!("n{taken}"), "web")).await {
            Ok(_) => taken += 1,
            Err(refused) => break refused,
        }
        assert!(taken < 10_000, "full at last");
    };
    let RpcError::ReadOnly(reason) = &refused else { panic!("{refused}") };
    assert!(reason.contains("no space is left") && refused.is_retryable(), "{reason}");
    let status = host.ask(ReadStatus {}).await.unwrap().value;
    assert_eq!(status.read_only.as_ref(), Some(reason));
    assert_eq!(host.ask(instances("web")).await.unwrap().value.len(), taken);
    let seen = host.ask(instances("web")).await.unwrap().index;
    assert!(seen >= index);
    let waiter = waiting(&host, "web", seen, SECOND * 600);
    tokio::time::sleep(SECOND * 60).await;
    disk.set_full(false);
    tokio::time::sleep(SECOND * 3).await;
    host.ask(register("last", "web")).await.unwrap();
    assert_eq!(waiter.await.unwrap().unwrap().0, taken + 1, "the waiter hears of the first write afterwards");
    assert_eq!(host.ask(ReadStatus {}).await.unwrap().value.read_only, None);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_index_is_at_least_one_and_never_goes_back() {
    let host = Setup::open().start().await;
    let none = host.ask(instances("nobody")).await.unwrap();
    assert!(none.value.is_empty() && none.index >= 1);
    let mut last = 0;
    for round in 0..20 {
        let at = format!("n{}", round % 3);
        if round % 4 == 3 {
            host.ask(deregister(&at, Registered::Node)).await.unwrap();
        } else {
            host.ask(register(&at, "web")).await.unwrap();
        }
        let index = host.ask(instances("web")).await.unwrap().index;
        assert!(index >= last, "{index} after {last}");
        last = index;
    }
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_blocking_query_wakes_on_what_it_read_and_on_nothing_else() {
    let host = Setup::open().start().await;
    host.ask(register("a", "web")).await.unwrap();
    let seen = host.ask(instances("web")).await.unwrap().index;
    let query = waiting(&host, "web", seen, SECOND * 60);
    host.settle().await;
    assert_eq!(host.server.waiting(), 1);
    for round in 0..10 {
        host.ask(register(&format!("x{round}"), "api")).await.unwrap();
        host.settle().await;
        assert!(!query.is_finished(), "a change of another service woke it");
    }
    let written = host.ask(register("b", "web")).await.unwrap().index;
    assert_eq!(query.await.unwrap(), Ok((2, written)));
    assert_eq!(host.server.waiting(), 0);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_query_for_an_index_that_is_not_ours_answers_at_once() {
    let host = Setup::open().start().await;
    let now = host.world.clock.now();
    for index in [1_000_000, u64::MAX] {
        let answer = host.api.call(after(index, SECOND * 300), instances("web")).await.unwrap();
        assert!(answer.index < index);
    }
    assert!(host.world.clock.now() - now < SECOND);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_in_time_and_is_bounded() {
    let host = Setup::open().start().await;
    let seen = host.ask(instances("web")).await.unwrap().index;
    for (asked, least, most) in [(5, 5, 6), (100_000, 600, 638)] {
        let begun = host.world.clock.now();
        let wait = Some(SECOND * asked);
        let head = Head { min_index: seen, wait, ..Head::default() };
        assert_eq!(host.api.call(head, instances("web")).await.unwrap().index, seen);
        let took = host.world.clock.now() - begun;
        assert!(took >= SECOND * least && took <= SECOND * most, "{took:?}");
    }
    let begun = host.world.clock.now();
    let head = Head { min_index: seen, wait: None, ..Head::default() };
    host.api.call(head, instances("web")).await.unwrap();
    assert!(host.world.clock.now() - begun >= SECOND * 300);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_leaves_nothing_behind() {
    let host = Setup::open().start().await;
    let seen = host.ask(instances("web")).await.unwrap().index;
    let queries: Vec<_> = (0..100).map(|_| waiting(&host, "web", seen, SECOND * 300)).collect();
    host.settle().await;
    assert_eq!(host.server.waiting(), 100);
    queries.iter().for_each(tokio::task::JoinHandle::abort);
    host.settle().await;
    assert_eq!(host.server.waiting(), 0);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_every_wait() {
    let host = Setup::open().start().await;
    let seen = host.ask(instances("web")).await.unwrap().index;
    let queries: Vec<_> = (0..10).map(|_| waiting(&host, "web", seen, SECOND * 300)).collect();
    host.settle().await;
    let api = host.api.clone();
    host.stop().await;
    for query in queries {
        assert_eq!(query.await.unwrap(), Err(RpcError::ShuttingDown));
    }
    let late = api.call(Head::default(), register("a", "web")).await;
    assert_eq!(late.map(|answer| answer.value), Err(RpcError::ShuttingDown));
    let late = api.call(Head::default(), ListNodes::default()).await;
    assert!(matches!(late, Err(RpcError::ShuttingDown)));
}

#[tokio::test(start_paused = true)]
async fn every_consistency_answers_and_says_which_it_was() {
    let host = Setup::open().start().await;
    host.ask(register("a", "web")).await.unwrap();
    for consistency in [Consistency::Default, Consistency::Consistent, Consistency::Stale] {
        let head = Head { consistency, ..Head::default() };
        let answer = host.api.call(head, instances("web")).await.unwrap();
        assert_eq!((answer.consistency, answer.value.len(), answer.known_leader), (consistency, 1, true));
    }
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn another_datacenter_is_unknown() {
    let host = Setup::open().start().await;
    let elsewhere = Head { datacenter: Some(Datacenter::parse("dc2").unwrap()), ..Head::default() };
    let answer = host.api.call(elsewhere, ReadCaRoots {}).await;
    assert_eq!(answer.map(|answer| answer.index), Err(RpcError::UnknownDatacenter));
    let here = Head { datacenter: Some(Datacenter::parse("dc1").unwrap()), ..Head::default() };
    assert!(host.api.call(here, ListServices::default()).await.is_ok());
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn no_wake_up_is_lost_between_reading_and_sleeping() {
    let host = Setup::open().start().await;
    host.ask(register("a", "web")).await.unwrap();
    let api = host.api.clone();
    let watcher = tokio::spawn(async move {
        let (mut index, mut status) = (1, CheckStatus::Passing);
        while status != CheckStatus::Critical {
            let select = InstanceSelection::of(target("web"));
            let answer = api.call(after(index, SECOND * 600), ServiceHealth { select, worst: None }).await;
            let answer = answer.unwrap();
            assert!(answer.index >= index);
            index = answer.index;
            status = answer.value[0].status();
        }
        index
    });
    let mut last = 0;
    let begun = host.world.clock.now();
    for round in 0..500 {
        let status = match round {
            499 => CheckStatus::Critical,
            _ if round % 2 == 0 => CheckStatus::Warning,
            _ => CheckStatus::Passing,
        };
        let mut request = register("a", "web");
        request.0.checks = vec![check("c", Some("web"), status)];
        last = host.ask(request).await.unwrap().index;
        for _ in 0..round % 7 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(watcher.await.unwrap(), last);
    assert!(host.world.clock.now() - begun < SECOND * 60, "the last change was found by the wait's end only");
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_query_about_what_is_not_there_sleeps_until_it_is() {
    let host = Setup::open().start().await;
    let gone = NodeDump::of(NodeName::parse("later").unwrap());
    let seen = host.ask(gone.clone()).await.unwrap();
    assert!(seen.value.is_none());
    let api = host.api.clone();
    let query = tokio::spawn(async move { api.call(after(seen.index, SECOND * 300), gone).await });
    host.settle().await;
    host.ask(register("other", "web")).await.unwrap();
    host.settle().await;
    assert!(!query.is_finished());
    host.ask(register("later", "web")).await.unwrap();
    assert!(query.await.unwrap().unwrap().value.is_some());
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_is_lost_between_threads() {
    const WATCHERS: usize = 8;
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
    let host = Setup { clock, ..Setup::open() }.start().await;
    let mut last = host.ask(register("a", "web")).await.unwrap().index;
    let (seen, mut news) = tokio::sync::mpsc::unbounded_channel();
    for watcher in 0..WATCHERS {
        let (api, seen) = (host.api.clone(), seen.clone());
        tokio::spawn(async move {
            let mut index = 1;
            while let Ok(answer) = api.call(after(index, SECOND * 600), instances("web")).await {
                assert!(answer.index >= index);
                index = answer.index;
                if seen.send((watcher, index)).is_err() {
                    return;
                }
            }
        });
    }
    let mut reached = [0; WATCHERS];
    for round in 0..2_000 {
        let mut request = register("a", "web");
        request.0.service.as_mut().unwrap().port = 1_000 + round;
        last = host.ask(request).await.unwrap().index;
        // From time to time all readers must catch up with the writer; in between each races with the next write.
        let all = round % 8 == 7;
        while reached.iter().filter(|index| **index == last).count() < if all { WATCHERS } else { 1 } {
            let told = concord_runtime::timeout(&TokioClock::new(), SECOND * 60, news.recv()).await;
            let (watcher, index) = told.expect("a watcher sleeps on a change that was made").unwrap();
            reached[watcher] = index;
        }
    }
    assert!(reached.iter().all(|index| *index <= last));
    host.stop().await;
}
