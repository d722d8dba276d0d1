//! Both ends of a line, with everything on it encoded.
#![allow(clippy::disallowed_methods, reason = "the test ends each side of a line by itself")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use concord_model::Secret;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::*;
use crate::head::Consistency;
use crate::request::{ListDatacenters, ReadCaRoots, ReadStatus, Request, ServerStatus};
use crate::server_api::{ServerApi, ServerApiExt, Watching};

/// A server whose state is a number: what it is asked waits until that is another one.
struct Number {
    state: watch::Sender<u64>,
    asked: Mutex<Vec<Head>>,
    /// Questions that are waiting.
    waiting: Arc<()>,
}

impl Number {
    fn new() -> Arc<Self> {
        Arc::new(Self { state: watch::Sender::new(1), asked: Mutex::default(), waiting: Arc::default() })
    }

    fn set(&self, number: u64) {
        self.state.send_replace(number);
    }

    fn asked(&self) -> usize {
        self.asked.lock().len()
    }

    fn waiting(&self) -> usize {
        Arc::strong_count(&self.waiting) - 1
    }
}

impl ServerApi for Number {
    fn call_any(&self, head: Head, request: AnyRequest) -> BoxFuture<'_, Result<Answer<AnyReply>, RpcError>> {
        async move {
            self.asked.lock().push(head.clone());
            if request.name() == ListDatacenters::NAME {
                return Err(RpcError::Denied("no".to_owned()));
            }
            let _waits = Arc::clone(&self.waiting);
            let mut state = self.state.subscribe();
            let index = *state.wait_for(|index| *index != head.min_index).await.expect("the server is there");
            let status = ServerStatus { term: index, ..ServerStatus::default() };
            Ok(Answer {
                value: AnyReply::ReadStatus(status),
                index,
                known_leader: true,
                last_contact: Duration::from_millis(3),
                filtered: false,
                consistency: head.consistency,
            })
        }
        .boxed()
    }
}

/// A line between the two; the tasks end when it is closed.
fn connected(servers: &Arc<Number>) -> (Arc<Remote>, JoinHandle<Result<(), RpcError>>, JoinHandle<()>) {
    let (near, far) = Line::pair();
    let answering = tokio::spawn(answer(Arc::clone(servers) as _, far));
    let (remote, carry) = Remote::new(near);
    (Arc::new(remote), answering, tokio::spawn(carry))
}

/// Lets everything that can go on do so.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

fn watching(remote: &Arc<Remote>) -> Box<dyn Watching> {
    Arc::clone(remote).watch_any(Head::default(), ReadStatus {}.into_any())
}

fn term(answer: &Answer<AnyReply>) -> u64 {
    match &answer.value {
        AnyReply::ReadStatus(status) => status.term,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_question_and_its_answer_arrive_whole() {
    let servers = Number::new();
    let (remote, _, _) = connected(&servers);
    let head = Head {
        datacenter: Some("dc2".parse().unwrap()),
        token: Some(Secret::new("who asks".to_owned())),
        consistency: Consistency::Consistent,
        min_index: 7,
        wait: Some(Duration::from_millis(1500)),
    };
    let answer = remote.call(head.clone(), ReadStatus {}).await.unwrap();
    assert_eq!((answer.value.term, answer.index, answer.known_leader), (1, 1, true));
    assert_eq!(
        (answer.last_contact, answer.consistency),
        (Duration::from_millis(3), Consistency::Consistent)
    );
    let seen = servers.asked.lock().pop().unwrap();
    assert_eq!(seen.token.as_ref().map(Secret::expose), Some("who asks"));
    let rest = |head: Head| (head.datacenter, head.consistency, head.min_index, head.wait);
    assert_eq!(rest(seen), rest(head));
    let denied = remote.call(Head::default(), ListDatacenters {}).await.unwrap_err();
    assert_eq!(denied, RpcError::Denied("no".to_owned()));
}

#[tokio::test]
async fn questions_do_not_wait_for_each_other() {
    let servers = Number::new();
    let (remote, _, _) = connected(&servers);
    let slow = remote.call(Head::default().after(1, None), ReadStatus {});
    let mut slow = std::pin::pin!(slow);
    assert!(slow.as_mut().now_or_never().is_none());
    settle().await;
    assert_eq!(remote.call(Head::default(), ReadStatus {}).await.unwrap().index, 1);
    servers.set(5);
    assert_eq!(slow.await.unwrap().index, 5);
}

#[tokio::test]
async fn a_watch_is_asked_for_one_answer_at_a_time() {
    let servers = Number::new();
    let (remote, _, _) = connected(&servers);
    let mut watch = watching(&remote);
    settle().await;
    assert_eq!(servers.asked(), 0, "nothing is asked before somebody wants to know");
    assert_eq!(term(&watch.next().await.unwrap()), 1);
    for number in 2..50 {
        servers.set(number);
        settle().await;
    }
    assert_eq!(servers.asked(), 1, "no credit, no question");
    assert_eq!(term(&watch.next().await.unwrap()), 49, "one answer for all of it");
    let heads: Vec<_> = servers.asked.lock().iter().map(|head| head.min_index).collect();
    assert_eq!(heads, [0, 1], "the second asks for something newer than the first was told");
}

#[tokio::test]
async fn who_stops_waiting_loses_nothing_and_asks_nothing_twice() {
    let servers = Number::new();
    let (remote, _, _) = connected(&servers);
    let mut watch = watching(&remote);
    watch.next().await.unwrap();
    for _ in 0..3 {
        assert!(watch.next().now_or_never().is_none());
        settle().await;
    }
    servers.set(9);
    settle().await;
    assert_eq!(term(&watch.next().await.unwrap()), 9);
    assert_eq!(servers.asked(), 2);
}

#[tokio::test]
async fn what_nobody_wants_any_more_ends_at_the_server() {
    let servers = Number::new();
    let (remote, _, _) = connected(&servers);
    let mut watch = watching(&remote);
    watch.next().await.unwrap();
    assert!(watch.next().now_or_never().is_none());
    assert!(remote.call(Head::default().after(1, None), ReadStatus {}).now_or_never().is_none());
    let call = remote.call(Head::default().after(1, None), ReadStatus {});
    let mut call = Box::pin(call);
    assert!(call.as_mut().now_or_never().is_none());
    settle().await;
    assert_eq!(servers.waiting(), 2);
    drop(call);
    settle().await;
    assert_eq!(servers.waiting(), 1);
    drop(watch);
    settle().await;
    assert_eq!(servers.waiting(), 0);
}

#[tokio::test]
async fn after_a_refusal_it_can_be_asked_again() {
    let servers = Number::new();
    let (remote, _, _) = connected(&servers);
    let mut watch = Arc::clone(&remote).watch_any(Head::default(), ListDatacenters {}.into_any());
    for _ in 0..3 {
        assert!(watch.next().await.unwrap_err().is_denial());
    }
    settle().await;
    assert_eq!(servers.asked(), 3, "and not before");
}

#[tokio::test]
async fn a_closed_line_answers_everybody() {
    let servers = Number::new();
    let (remote, answering, carrying) = connected(&servers);
    let mut watch = watching(&remote);
    watch.next().await.unwrap();
    answering.abort();
    let unreachable = |error: RpcError| assert!(matches!(error, RpcError::Unreachable(_)), "{error}");
    unreachable(watch.next().await.unwrap_err());
    unreachable(remote.call(Head::default(), ReadStatus {}).await.unwrap_err());
    carrying.await.unwrap();
    unreachable(watch.next().await.unwrap_err());
}

#[tokio::test]
async fn the_end_of_the_agent_ends_all_its_watches() {
    let servers = Number::new();
    let (remote, answering, carrying) = connected(&servers);
    let mut watches: Vec<_> = (0..20).map(|_| watching(&remote)).collect();
    for watch in &mut watches {
        watch.next().await.unwrap();
        assert!(watch.next().now_or_never().is_none());
    }
    settle().await;
    assert_eq!(servers.waiting(), 20);
    carrying.abort();
    assert_eq!(answering.await.unwrap(), Ok(()));
    assert_eq!(servers.waiting(), 0);
}

/// The far end of a line by hand.
async fn by_hand(servers: &Arc<Number>) -> (Line, JoinHandle<Result<(), RpcError>>) {
    let (mut near, far) = Line::pair();
    let answering = tokio::spawn(answer(Arc::clone(servers) as _, far));
    near.greet().await.unwrap();
    (near, answering)
}

fn ask(watch: WatchId, credit: u32) -> Bytes {
    encode(&Asked::Ask { watch, head: Head::default(), request: ReadStatus {}.into_any(), credit }).unwrap()
}

#[tokio::test]
async fn an_answer_takes_a_credit_and_no_more_are_told_than_were_granted() {
    let servers = Number::new();
    let (mut line, _) = by_hand(&servers).await;
    line.to.send(ask(7, 2)).await.unwrap();
    let mut terms = BTreeSet::new();
    for number in 2..10 {
        settle().await;
        while let Ok(bytes) = line.from.try_recv() {
            let told: Told = decode(&bytes).unwrap();
            assert_eq!(told.watch, 7);
            terms.insert(term(&told.outcome.unwrap()));
        }
        servers.set(number);
    }
    assert_eq!(terms, BTreeSet::from([1, 2]));
    line.to.send(encode(&Asked::Credit { watch: 7, more: 1 }).unwrap()).await.unwrap();
    let told: Told = decode(&line.from.recv().await.unwrap()).unwrap();
    assert_eq!(term(&told.outcome.unwrap()), 9);
}

#[tokio::test]
async fn who_does_not_read_is_asked_no_more() {
    let servers = Number::new();
    let (line, _) = by_hand(&servers).await;
    for watch in 0..200 {
        settle().await;
        if line.to.try_send(ask(watch, CREDIT_MAX)).is_err() {
            assert!(servers.asked() <= 2 * MESSAGES_WAITING + 2, "{} questions", servers.asked());
            return;
        }
    }
    panic!("two hundred answers were made that nobody takes");
}

#[tokio::test]
async fn a_line_that_talks_nonsense_is_closed() {
    let unknown = rmp_serde::to_vec_named(&std::collections::BTreeMap::from([("shout", 1)])).unwrap();
    for bytes in [Bytes::from_static(b"\xc1"), Bytes::from(unknown)] {
        let servers = Number::new();
        let (line, answering) = by_hand(&servers).await;
        line.to.send(bytes).await.unwrap();
        let error = answering.await.unwrap().unwrap_err();
        assert!(matches!(error, RpcError::NotAvailable(_)), "{error}");
    }
    let servers = Number::new();
    let (line, answering) = by_hand(&servers).await;
    line.to.send(ask(1, 1)).await.unwrap();
    line.to.send(ask(1, 1)).await.unwrap();
    assert!(matches!(answering.await.unwrap(), Err(RpcError::Invalid(_))), "a name is used once");
}

#[tokio::test]
async fn one_who_talks_otherwise_is_not_talked_to() {
    let (near, far) = Line::pair();
    let answering = tokio::spawn(answer(Number::new() as _, far));
    near.to.send(Bytes::from_static(b"concord rpc 2")).await.unwrap();
    assert!(matches!(answering.await.unwrap(), Err(RpcError::Unreachable(_))));
    let (near, mut far) = Line::pair();
    let (remote, carry) = Remote::new(near);
    let carrying = tokio::spawn(carry);
    far.to.send(Bytes::from_static(b"GET / HTTP/1.1")).await.unwrap();
    carrying.await.unwrap();
    assert_eq!(far.from.recv().await.unwrap(), HELLO);
    let refused = remote.call(Head::default(), ReadCaRoots {}).await.unwrap_err();
    assert!(matches!(refused, RpcError::Unreachable(_)));
}

#[tokio::test]
async fn a_server_that_tells_more_than_it_was_asked_for_is_left() {
    let (near, mut far) = Line::pair();
    let (remote, carry) = Remote::new(near);
    let carrying = tokio::spawn(carry);
    far.greet().await.unwrap();
    let mut watch = watching(&Arc::new(remote));
    assert!(watch.next().now_or_never().is_none());
    let asked: Asked = decode(&far.from.recv().await.unwrap()).unwrap();
    let Asked::Ask { watch: id, credit: 1, .. } = asked else { panic!("{asked:?}") };
    let told = encode(&Told { watch: id, outcome: Err(RpcError::NoLeader) }).unwrap();
    far.to.send(encode(&Told { watch: id + 1, outcome: Err(RpcError::NoLeader) }).unwrap()).await.unwrap();
    far.to.send(told.clone()).await.unwrap();
    far.to.send(told).await.unwrap();
    carrying.await.unwrap();
    assert_eq!(watch.next().await.unwrap_err(), RpcError::NoLeader, "what it was asked for counts");
    let _: mpsc::Receiver<Bytes> = far.from;
}
