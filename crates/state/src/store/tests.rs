//! Random histories: properties that hold after every command, whatever the commands were.

mod growth;
mod universe;

use std::collections::BTreeSet;

use concord_model::catalog::NodeScope;
use concord_model::{Timestamp, Uuid};
use proptest::prelude::*;

use super::*;
use crate::command::{Command, EditIntention, SetCaRoots};
use crate::read::Reader;
use crate::row::ServiceHealth;
use crate::{ReadSet, ServiceScope, TableId, WatchKey};
use universe::{Answer, Query, command, queries, services};

/// The moment at which tokens are read: between the early and the late expiries.
const NOW: Timestamp = Timestamp::from_secs(35);

fn ask(view: &View, query: &Query) -> (Answer, ReadSet) {
    let mut reader = view.read();
    let answer = query(&mut reader);
    let read = reader.finish();
    assert!(read.keys().all(|key| declared_class(view, key).is_some()), "not declared: {read:?}");
    (answer, read)
}

/// Which declared class of its table this is; an inner `None` stands for a row. `None` if it is not declared.
#[allow(clippy::option_option, reason = "whether it is declared, and as what")]
fn declared_class(view: &View, key: &WatchKey) -> Option<Option<usize>> {
    let shape = view.tables.table(key.table).shape();
    let components = key.key.prefixes().count() - 1;
    if shape.watched && (components == 0 || shape.classes.iter().any(|class| class.contains(&components))) {
        return Some(Some(components));
    }
    shape.exact.then_some(None)
}

#[test]
fn queries_read_every_declared_class_and_nothing_else() {
    let view = Store::new().view();
    let read: BTreeSet<_> = queries(NOW)
        .iter()
        .flat_map(|query| ask(&view, query).1.keys)
        .map(|key| (key.table, declared_class(&view, &key).unwrap()))
        .collect();
    for table in view.tables.each() {
        let shape = table.shape();
        // Nobody reads these indexes any more, but snapshots contain them.
        let unread = [(TableId::Health, Some(3)), (TableId::Checks, None)];
        let classes = shape.classes.iter().map(|class| Some(*class.start()));
        for class in classes.chain(shape.exact.then_some(None)) {
            let class = (shape.id, class);
            assert_ne!(read.contains(&class), unread.contains(&class), "{shape:?} {class:?}");
        }
        assert_eq!(read.iter().any(|(id, _)| *id == shape.id), shape.watched, "{shape:?}");
    }
}

/// Envelopes for a history. Time moves forwards and backwards, as with leaders whose clocks differ.
fn envelopes(store: &Store, at: i64, command: &Command) -> Envelope {
    let mut command = command.clone();
    if let Command::SetCaRoots(SetCaRoots { cas: cas @ 0, .. }) = &mut command {
        *cas = store.view().read().ca_roots().map_or(0, |roots| roots.index);
    }
    // The same here.
    if let Command::EditIntention(EditIntention { destination, cas, .. }) = &mut command
        && *cas < 30
    {
        *cas = store.view().read().intention_head(destination).map_or(0, |head| head.stamp.modify);
    }
    Envelope::new(command, Timestamp::from_secs(at), None)
}

fn history() -> impl Strategy<Value = Vec<(i64, Command)>> {
    prop::collection::vec((0..60i64, command()), 1..50)
}

fn config() -> ProptestConfig {
    ProptestConfig::with_cases(160)
}

#[test]
fn the_test_run_draws_the_same_every_time() {
    use proptest::test_runner::RngSeed;
    assert!(matches!(config().rng_seed, RngSeed::Fixed(_)), "cargo sets the seed, see .cargo/config.toml");
    assert!(config().failure_persistence.is_none());
}

/// The basis of the properties below: nothing that was read can change unnoticed.
#[track_caller]
fn check_step(before: &[(Answer, ReadSet)], after: &[(Answer, ReadSet)], applied: &Applied) {
    for ((was, read), (is, read_now)) in before.iter().zip(after) {
        let touched = read.touched_by(&applied.changes);
        assert!(read_now.index() >= read.index(), "an index went back: {read:?} {read_now:?}");
        if touched && was == is {
            // A token that no query sees can change; one command can take a name and give it back; of two intentions
            // with the same id the second one is not shown.
            let excused = [
                TableId::Tokens,
                TableId::TokenSecrets,
                TableId::TokenExpiries,
                TableId::PolicyNames,
                TableId::ServiceNames,
                TableId::IntentionIds,
            ];
            let mut woken_by = read.keys().filter(|key| applied.changes.contains(key));
            assert!(woken_by.all(|key| excused.contains(&key.table)), "woken for nothing: {read:?}");
        }
        if was != is {
            assert!(touched, "an answer changed unnoticed: {was} {is} {:?}", applied.changes);
            assert_eq!(read_now.index(), applied.changes.index(), "{was} {is}");
        }
        if !touched {
            assert_eq!(was, is);
            assert_eq!(read.keys, read_now.keys);
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_changed_answer_is_noticed_and_an_index_never_goes_back(history in history()) {
        let queries = queries(NOW);
        let mut store = Store::new();
        let ask_all = |store: &Store| -> Vec<_> { queries.iter().map(|query| ask(&store.view(), query)).collect() };
        let mut before = ask_all(&store);
        prop_assert!(before.iter().all(|(_, read)| read.index() == 1));
        for (step, (at, command)) in history.iter().enumerate() {
            // Log indexes have gaps where the consensus engine has its own entries.
            let index = 2 + 3 * step as u64;
            let applied = store.apply_envelope(index, &envelopes(&store, *at, command)).unwrap();
            let after = ask_all(&store);
            check_step(&before, &after, &applied);
            before = after;
        }
    }

    #[test]
    fn the_same_log_gives_the_same_bytes_also_by_way_of_snapshots(history in history(), via in 1..7usize) {
        let mut straight = Store::new();
        let mut restored = Store::new();
        for (step, (at, command)) in history.iter().enumerate() {
            let index = step as u64 + 1;
            let envelope = envelopes(&straight, *at, command);
            let one = straight.apply_envelope(index, &envelope).unwrap();
            let other = restored.apply(index, &envelope.encode().unwrap()).unwrap();
            prop_assert_eq!(one.reply, other.reply);
            prop_assert!(one.changes.iter().eq(other.changes.iter()));
            if step % via == 0 {
                let snapshot = restored.view().snapshot(3).unwrap();
                restored = Store::new();
                let header = restored.restore(&snapshot).unwrap();
                prop_assert_eq!((header.index, header.term), (index, 3));
                prop_assert_eq!(&snapshot, &restored.view().snapshot(3).unwrap());
            }
            prop_assert_eq!(straight.view().digest().unwrap(), restored.view().digest().unwrap());
        }
        for query in queries(NOW) {
            let (answer, read) = ask(&straight.view(), &query);
            let (same, read_restored) = ask(&restored.view(), &query);
            prop_assert_eq!(answer, same);
            prop_assert_eq!((read.keys, read.index), (read_restored.keys, read_restored.index));
        }
    }

    #[test]
    fn arranged_rows_say_what_the_records_say(history in history()) {
        let mut store = Store::new();
        for (step, (at, command)) in history.iter().enumerate() {
            store.apply_envelope(step as u64 + 1, &envelopes(&store, *at, command)).unwrap();
        }
        let view = store.view();
        for service in services() {
            let scope = NodeScope { partition: service.partition.clone(), peer: service.peer.clone() };
            let joined = join(&view, &scope);
            let own: Vec<_> = joined.iter().filter(|row| row.service.service_ref(&scope) == service).collect();
            let connect: Vec<_> =
                joined.iter().filter(|row| row.service.connect_target(&scope).as_ref() == Some(&service)).collect();
            let health = view.read().health_service(&service);
            prop_assert_eq!(health.iter().map(|row| &**row).collect::<Vec<_>>(), own.clone());
            let health = view.read().health_connect(&service);
            prop_assert_eq!(health.iter().map(|row| &**row).collect::<Vec<_>>(), connect);
            let names = view.read().services(&ServiceScope {
                partition: service.partition.clone(),
                namespace: service.namespace.clone(),
                peer: service.peer.clone(),
            });
            let listed = names.iter().find(|row| row.service == service);
            prop_assert_eq!(listed.is_some(), !own.is_empty());
            let mut tags: Vec<_> = own.iter().flat_map(|row| row.service.tags.iter().map(String::as_str)).collect();
            tags.sort_unstable();
            tags.dedup();
            prop_assert_eq!(listed.map(|row| row.tags().collect::<Vec<_>>()).unwrap_or_default(), tags);
        }
    }

    #[test]
    fn a_refused_command_leaves_no_trace(history in history()) {
        let mut store = Store::new();
        for (step, (at, command)) in history.iter().enumerate() {
            let before = store.view();
            let applied = store.apply_envelope(step as u64 + 1, &envelopes(&store, *at, command)).unwrap();
            if matches!(applied.reply, CommandReply::Refused(_) | CommandReply::CasFailed { .. } | CommandReply::Done { changed: false }) {
                prop_assert!(applied.changes.is_empty(), "{:?} {:?}", applied.reply, applied.changes);
                for (one, other) in before.tables.each().iter().zip(store.view().tables.each()) {
                    prop_assert!(one.marks().eq(other.marks()));
                }
            } else if matches!(applied.reply, CommandReply::Done { changed: true }) {
                prop_assert!(!applied.changes.is_empty());
            }
            prop_assert!(store.view().at() >= before.at());
        }
    }
}

/// Instances with their checks, computed the slow way.
fn join(view: &View, scope: &NodeScope) -> Vec<ServiceHealth> {
    let mut reader: Reader = view.read();
    let mut rows = Vec::new();
    for node in reader.nodes(scope) {
        let checks = reader.checks_of_node(scope, &node.name);
        for service in reader.node_services(scope, &node.name) {
            let of_node = checks.iter().filter(|check| check.service_id.is_none());
            let of_service = checks.iter().filter(|check| {
                check.service_id.as_ref() == Some(&service.id) && check.namespace == service.namespace
            });
            let checks = of_node.chain(of_service).cloned().collect();
            rows.push(ServiceHealth { node: Arc::clone(&node), service, checks });
        }
    }
    rows
}

#[test]
fn the_oldest_tombstones_become_the_floor() {
    use crate::command::{DeleteCaProviderState, SetCaProviderState};
    use crate::limits::TOMBSTONES_MAX;
    use concord_model::ca::{ProviderRecord, Sealed};

    let mut store = Store::new();
    let mut index = 1;
    let mut apply = |store: &mut Store, command: Command| {
        index += 1;
        store
            .apply_envelope(index, &Envelope::new(command, Timestamp::EPOCH, Some(Uuid::default())))
            .unwrap();
        index
    };
    let index_of = |store: &Store, id: &str| {
        let mut reader = store.view().read();
        assert!(reader.ca_provider_state(id).is_none());
        reader.finish().index()
    };
    let mut deleted = Vec::new();
    for number in 0..=TOMBSTONES_MAX {
        let id = format!("state-{number}");
        let sealed = Sealed { purpose: String::new(), nonce: vec![], ciphertext: vec![], wraps: vec![] };
        let state = ProviderRecord { id: id.clone(), kind: String::new(), sealed, stamp: Default::default() };
        apply(&mut store, SetCaProviderState { state }.into());
        deleted.push((apply(&mut store, DeleteCaProviderState { id: id.clone() }.into()), id));
    }
    // One class, the whole table, is empty, too, and counts as a tombstone.
    let (floor, _) = deleted[1];
    assert_eq!(index_of(&store, "never"), floor);
    for (at, id) in &deleted {
        assert_eq!(index_of(&store, id), (*at).max(floor), "{id}");
    }
}
