//! Tests of classes by path: a table of texts with keys of which every folder is a class.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::limits::TOMBSTONES_MAX;
use crate::table::{Commit, Marked, Table, WatchKey, visits};
use crate::tables::Tables;

/// A text as a path: one component per folder, including its closing slash, and one for the rest.
pub(super) struct Path<'a>(&'a str);

impl Part for Path<'_> {
    const LEAST: usize = 1;
    const MOST: usize = usize::MAX;
    fn append(&self, key: KeyBuilder) -> KeyBuilder {
        let folders = Folder::of(self.0);
        folders.append(key).with(&self.0[folders.0.len()..])
    }
}

/// The folder that contains everything with this prefix: texts that begin with `a/bc` are among those of `a/`.
pub(super) struct Folder<'a>(&'a str);

impl<'a> Folder<'a> {
    fn of(prefix: &'a str) -> Self {
        Self(&prefix[..prefix.rfind('/').map_or(0, |slash| slash + 1)])
    }
}

impl Part for Folder<'_> {
    const LEAST: usize = 0;
    const MOST: usize = usize::MAX;
    fn append(&self, key: KeyBuilder) -> KeyBuilder {
        self.0.split_inclusive('/').fold(key, KeyBuilder::with)
    }
}

module! {
    texts: Policies<String> {
        row(scope: &str, path: Path<'_>);
        class under(scope: &str, folder: Folder<'_>);
    }
}

type Texts = Table<texts::Rows>;

fn row(path: &str) -> RowKey<texts::Rows> {
    texts::row("default", Path(path))
}

fn under(prefix: &str) -> Key {
    texts::under("default", Folder::of(prefix)).into()
}

/// Writes or removes a text. Returns the changes.
fn write(texts: &mut Texts, index: u64, path: &str, text: Option<&str>) -> BTreeSet<WatchKey> {
    let mut commit = Commit::new(index);
    match text {
        Some(text) => _ = texts.put(&row(path), Arc::new(text.to_owned()), &mut commit),
        None => _ = texts.remove(&row(path), &mut commit),
    }
    commit.keys
}

fn watched(key: Key) -> WatchKey {
    WatchKey { table: TableId::Policies, key }
}

fn listed(texts: &Texts, prefix: &str) -> Vec<String> {
    texts
        .scan(&under(prefix))
        .map(|(_, row)| String::clone(row))
        .filter(|text| text.starts_with(prefix))
        .collect()
}

#[test]
fn a_change_reaches_the_folders_above_it_and_no_other() {
    let mut texts = Texts::new();
    let changed = write(&mut texts, 5, "a/b/c", Some("a/b/c"));
    let woken = ["", "a/", "a/b/"].map(under).into_iter().chain([all(), row("a/b/c").into()]);
    assert_eq!(changed, woken.map(watched).collect());
    for other in ["a/b/c/", "a/bc/", "b/", "a/b/c/d/"] {
        assert!(!changed.contains(&watched(under(other))), "{other}");
    }
    assert!(!changed.contains(&watched(texts::under("other", Folder("")).into())));
}

#[test]
fn a_folder_that_is_a_text_too_is_two_things() {
    let mut texts = Texts::new();
    write(&mut texts, 5, "a/b/", Some("a/b/"));
    let changed = write(&mut texts, 6, "a/b/c", Some("a/b/c"));
    assert_eq!(listed(&texts, "a/b/"), ["a/b/", "a/b/c"]);
    assert!(changed.contains(&watched(under("a/b/"))) && !changed.contains(&watched(row("a/b/").into())));
    assert_eq!((texts.changed_at(&row("a/b/")), texts.changed_at(&under("a/b/"))), (5, 6));
}

#[test]
fn a_prefix_that_ends_within_a_step_is_watched_by_its_folder() {
    let mut texts = Texts::new();
    for (index, path) in ["a/bc/d", "a/bd", "a/c"].into_iter().enumerate() {
        write(&mut texts, 5 + index as u64, path, Some(path));
    }
    assert_eq!(listed(&texts, "a/b"), ["a/bc/d", "a/bd"]);
    assert_eq!(texts.changed_at(&under("a/b")), 7);
}

/// How many rows and marks a write reads, and how many keys it wakes.
fn cost(texts: &mut Texts, index: u64, path: &str, text: Option<&str>) -> (u64, usize) {
    visits::taken();
    let woken = write(texts, index, path, text).len();
    (visits::taken(), woken)
}

#[test]
fn a_write_costs_what_its_path_is_deep_however_many_rows_there_are() {
    let mut texts = Texts::new();
    let first = cost(&mut texts, 1, "a/b/first", Some("1"));
    for number in 0..2_000 {
        let path = format!("a/b/{number}");
        assert_eq!(cost(&mut texts, 2 + number, &path, Some("1")), first);
    }
    assert_eq!(cost(&mut texts, 3_000, "a/b/1000", Some("2")), first);
    assert_eq!(cost(&mut texts, 3_001, "a/b/1000", None), first);
    let (visits, woken) = cost(&mut texts, 3_002, "a/b/c/d/e/f/first", Some("1"));
    assert_eq!((visits, woken), (first.0 + 4, first.1 + 4));
}

const PATHS: [&str; 9] = ["a", "a/", "a/b", "a/b/", "a/b/c", "a-/b", "a0", "b/c/d/e", "b/c"];

proptest! {
    #[test]
    fn a_prefix_is_woken_for_what_it_covers_and_its_index_never_goes_down(
        history in prop::collection::vec((select(&PATHS[..]), prop::option::of(0..3u8)), 1..60),
    ) {
        let mut texts = Texts::new();
        let mut model: BTreeMap<&str, u8> = BTreeMap::new();
        let prefixes: BTreeSet<&str> = PATHS.iter().flat_map(|path| (0..=path.len()).map(|end| &path[..end])).collect();
        let indexes = |texts: &Texts| -> Vec<_> { prefixes.iter().map(|prefix| texts.changed_at(&under(prefix))).collect() };
        let mut before = indexes(&texts);
        for (step, (path, number)) in history.into_iter().enumerate() {
            let index = 10 + step as u64;
            let text = number.map(|number| format!("{path}={number}"));
            let different = number != model.get(path).copied();
            let changed = write(&mut texts, index, path, text.as_deref());
            match number {
                Some(number) => _ = model.insert(path, number),
                None => _ = model.remove(path),
            }
            let after = indexes(&texts);
            for (at, prefix) in prefixes.iter().enumerate() {
                let folder = Folder::of(prefix).0;
                let covered = different && path.starts_with(folder);
                prop_assert_eq!(changed.contains(&watched(under(prefix))), covered, "{} {}", prefix, path);
                prop_assert!(after[at] >= before[at], "{}", prefix);
                prop_assert!(!covered || after[at] == index);
                let expected: Vec<_> = model.iter().filter(|(path, _)| path.starts_with(prefix))
                    .map(|(path, number)| format!("{path}={number}")).collect();
                prop_assert_eq!(listed(&texts, prefix), expected);
            }
            before = after;
        }
        let mut restored = Texts::new();
        for (key, text) in texts.iter() {
            restored.put(key, Arc::clone(text), &mut Commit::restoring());
        }
        let marks: Vec<_> = texts.marks().map(|(key, index)| (key.clone(), index)).collect();
        // The first one belongs to the whole table.
        prop_assert_eq!(restored.clone().set_marks(marks.iter().skip(1).cloned().collect(), texts.floor()), model.is_empty());
        prop_assert!(restored.set_marks(marks, texts.floor()));
        prop_assert_eq!(indexes(&restored), before);
    }
}

#[test]
fn the_folders_of_what_was_deleted_keep_their_index_until_it_is_the_floor() {
    let mut texts = Texts::new();
    write(&mut texts, 5, "a/b", Some("x"));
    write(&mut texts, 6, "a/b", None);
    assert_eq!([under("a/"), row("a/b").into()].map(|key| texts.changed_at(&key)), [6, 6]);
    assert_eq!(texts.changed_at(&under("b/")), 0);
    for number in 0..=TOMBSTONES_MAX as u64 {
        let path = format!("c{number}/x");
        write(&mut texts, 7 + 2 * number, &path, Some("x"));
        write(&mut texts, 8 + 2 * number, &path, None);
    }
    let floor = texts.floor();
    assert!(floor > 6);
    assert_eq!([under("a/"), under("b/"), row("a/b").into()].map(|key| texts.changed_at(&key)), [floor; 3]);
}

// === The declaration ===

#[test]
fn a_class_is_shorter_than_the_key_of_a_row_and_no_two_are_equal() {
    let tables = Tables::new();
    for table in tables.each() {
        let shape = table.shape();
        assert!(shape.watched || !shape.exact && shape.classes.is_empty(), "{shape:?}");
        let ends: BTreeSet<_> = shape.classes.iter().map(|class| *class.start()).collect();
        assert_eq!(ends.len(), shape.classes.len(), "{shape:?}");
        // The product has no paths yet.
        assert!(
            shape.classes.iter().all(|class| *class.start() > 0 && class.start() == class.end()),
            "{shape:?}"
        );
    }
    let ids: Vec<_> = tables.each().iter().map(|table| table.shape().id).collect();
    assert_eq!(ids, TableId::ALL);
    assert!(
        tables
            .each()
            .iter()
            .zip(TableId::ALL)
            .all(|(table, id)| tables.table(*id).shape().id == table.shape().id)
    );
}
