//! Tests with questions that exist only in this file: the cache needs no knowledge of a question to keep it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use concord_model::catalog::Node;
use concord_rpc::request::{ListNodes, ReadCaRoots, ReadStatus, ServerStatus};
use concord_rpc::{Caller, Consistency, Need};
use concord_runtime::Instant;

use super::cached::{is_public, need};
use super::slot::Read;
use super::table::{CacheTable, Found, Key, View};
use super::{Cached, Shared, is_shared};
use crate::limits::{CACHE_ENTRY_BYTES, CACHE_IDLE};

/// Declares itself shared, although servers filter its answer by rights.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Nodes(&'static str);

/// Looks like [`Nodes`], but is another question.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Status(&'static str);

impl Cached for Nodes {
    type Request = ListNodes;
    type Kept = Vec<Node>;
    const SHARED: Shared = Shared::WhoMayAsk;
    const CONSISTENCY: Consistency = Consistency::Stale;

    fn request(&self) -> Cow<'_, ListNodes> {
        Cow::Owned(ListNodes::default())
    }

    fn keep(&self, nodes: Vec<Node>) -> Vec<Node> {
        nodes
    }

    fn bytes(nodes: &Vec<Node>) -> usize {
        nodes.len()
    }

    fn less_for(&self, _: &Vec<Node>, _: &Caller) -> Option<Vec<Node>> {
        None
    }
}

impl Cached for Status {
    type Request = ReadStatus;
    type Kept = ServerStatus;
    const SHARED: Shared = Shared::SameRights;
    const CONSISTENCY: Consistency = Consistency::Stale;

    fn request(&self) -> Cow<'_, ReadStatus> {
        Cow::Owned(ReadStatus {})
    }

    fn keep(&self, status: ServerStatus) -> ServerStatus {
        status
    }

    fn bytes(_: &ServerStatus) -> usize {
        1
    }

    fn less_for(&self, _: &ServerStatus, _: &Caller) -> Option<ServerStatus> {
        None
    }
}

fn at(seconds: u64) -> Instant {
    Instant::from_epoch(Duration::from_secs(seconds))
}

fn key<C: Cached>(question: C) -> Key<C> {
    Key { datacenter: None, view: View::All, question }
}

/// Begins an entry that nobody uses.
#[track_caller]
fn begin<C: Cached>(table: &mut CacheTable, question: C, seconds: u64) {
    let found = table.find_or_begin(&key(question), at(seconds));
    assert!(matches!(found, Found::Begun(_)), "{found:?}");
}

#[test]
fn n_30_what_servers_filter_is_shared_by_nobody_whatever_its_type_says() {
    assert_eq!((need(&Nodes("n")), Nodes::SHARED), (Need::Filtered, Shared::WhoMayAsk));
    assert!(!is_shared::<Nodes>(&need(&Nodes("n"))) && !is_public::<Nodes>(&need(&Nodes("n"))));
    // Neither is a public answer, if its type says that it differs by rights.
    assert_eq!(need(&Status("n")), Need::Open);
    assert!(!is_shared::<Status>(&Need::Open) && !is_public::<Status>(&Need::Open));
    assert!(is_shared::<ReadCaRoots>(&Need::Open) && is_public::<ReadCaRoots>(&Need::Open));
}

#[test]
fn questions_of_two_types_are_two_questions() {
    let mut table = CacheTable::new(10 * CACHE_ENTRY_BYTES);
    begin(&mut table, Nodes("n"), 0);
    assert!(table.find(&key(Status("n")), at(0)).is_none());
    begin(&mut table, Status("n"), 0);
    assert_eq!(table.load(), (2, 2 * CACHE_ENTRY_BYTES));
    assert!(table.find(&key(Nodes("n")), at(0)).is_some());
    assert!(table.find(&key(Nodes("m")), at(0)).is_none());
}

#[test]
fn room_is_made_by_what_was_read_longest_ago_whatever_its_type() {
    let mut table = CacheTable::new(3 * CACHE_ENTRY_BYTES);
    begin(&mut table, Nodes("first"), 1);
    begin(&mut table, Status("second"), 2);
    begin(&mut table, Nodes("third"), 3);
    assert!(table.find(&key(Nodes("first")), at(4)).is_some());
    begin(&mut table, Nodes("fourth"), 5);
    assert!(table.find(&key(Status("second")), at(5)).is_none());
    let held = table.find(&key(Nodes("third")), at(5)).expect("not the idlest");
    begin(&mut table, Status("fifth"), 6);
    assert!(table.find(&key(Nodes("first")), at(6)).is_none());
    assert!(table.find(&key(Nodes("third")), at(6)).is_some());
    assert_eq!(table.load(), (3, 3 * CACHE_ENTRY_BYTES));
    drop(held);
}

#[test]
fn bytes_of_all_types_count_together_and_are_given_back() {
    let mut table = CacheTable::new(4 * CACHE_ENTRY_BYTES);
    let Found::Begun(nodes) = table.find_or_begin(&key(Nodes("n")), at(0)) else { panic!("there is room") };
    begin(&mut table, Status("n"), 1);
    assert!(table.account(&key(Nodes("n")), nodes.slot(), 2 * CACHE_ENTRY_BYTES));
    assert_eq!(table.load(), (2, 4 * CACHE_ENTRY_BYTES));
    // It grows: the other entry must be removed, and then it is still too large.
    assert!(!table.account(&key(Nodes("n")), nodes.slot(), 4 * CACHE_ENTRY_BYTES));
    assert_eq!(table.load(), (1, 5 * CACHE_ENTRY_BYTES));
    table.forget(&key(Nodes("n")), nodes.slot());
    assert_eq!(table.load(), (0, 0));
    // A removed entry does not count any more, and is given up only once.
    table.forget(&key(Nodes("n")), nodes.slot());
    assert!(table.account(&key(Nodes("n")), nodes.slot(), 9 * CACHE_ENTRY_BYTES));
    assert_eq!(table.load(), (0, 0));
}

#[test]
fn what_nobody_reads_and_nobody_holds_expires_whatever_its_type() {
    let mut table = CacheTable::new(10 * CACHE_ENTRY_BYTES);
    begin(&mut table, Nodes("n"), 0);
    begin(&mut table, Status("n"), 0);
    let held = table.find(&key(Status("n")), at(0));
    table.expire(at(CACHE_IDLE.as_secs() - 1), CACHE_IDLE);
    assert_eq!(table.load().0, 2);
    table.expire(at(CACHE_IDLE.as_secs()), CACHE_IDLE);
    assert!(table.find(&key(Nodes("n")), at(0)).is_none());
    assert_eq!(table.load(), (1, CACHE_ENTRY_BYTES), "{held:?}");
}

/// Rows that the caller may not see, whichever they are.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Hidden;

impl Cached for Hidden {
    type Request = ListNodes;
    type Kept = u32;
    const SHARED: Shared = Shared::SameRights;
    const CONSISTENCY: Consistency = Consistency::Stale;

    fn request(&self) -> Cow<'_, ListNodes> {
        Cow::Owned(ListNodes::default())
    }

    fn keep(&self, nodes: Vec<Node>) -> u32 {
        u32::try_from(nodes.len()).unwrap()
    }

    fn bytes(_: &u32) -> usize {
        4
    }

    fn less_for(&self, rows: &u32, _: &Caller) -> Option<u32> {
        (*rows > 0).then_some(0)
    }
}

#[test]
fn n_70_rows_that_wider_rights_have_opened_are_not_passed_over() {
    let answer = |rows: u32, index: u64| {
        let read = Read { kept: Arc::new(rows), index, filtered: false, age: Duration::ZERO };
        super::answer(read, &Hidden, &Caller::unrestricted(None), true)
    };
    let outdated = answer(3, 29);
    assert_eq!((*outdated.value, outdated.index, outdated.filtered, outdated.outdated), (0, 28, true, true));
    assert_eq!(answer(3, 1).index, 1, "no index is 0");
    let current = answer(0, 29);
    assert_eq!((current.index, current.filtered, current.outdated), (29, false, false));
}

#[test]
fn the_whole_answer_is_passed_on_and_not_copied() {
    let nodes = Arc::new(Vec::new());
    let (shown, less) = super::shown(&Nodes("n"), Arc::clone(&nodes), &Caller::unrestricted(None));
    assert!(Arc::ptr_eq(&shown, &nodes) && !less);
}
