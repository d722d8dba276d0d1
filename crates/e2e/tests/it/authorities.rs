//! Roots which an operator may provide, judged by us and by others: the others accept each root which we accept.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use concord_ca::testing::{OfferedRoot, offered_roots};
use concord_e2e::{World, foreign};
use concord_model::Timestamp;

use crate::chains::Speaker;

/// What one program says of each row: nothing, or what is wrong.
type Opinions = BTreeMap<String, String>;

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    Timestamp::from_secs(i64::try_from(since.as_secs()).expect("before 2262"))
}

/// Writes the roots of the table with leaves, which we sign for the roots that we accept. Returns our judgements too.
fn written(world: &World, now: Timestamp) -> (Vec<OfferedRoot>, Vec<bool>) {
    let table = offered_roots(now);
    let taken: Vec<bool> = table.iter().map(|offer| offer.judgement(now).is_ok()).collect();
    for (at, offer) in table.iter().enumerate() {
        let leaf = if taken[at] { offer.product_leaf(now) } else { offer.leaf.clone() };
        world.write(&format!("{at:03}.root.pem"), &offer.root);
        world.write(&format!("{at:03}.leaf.pem"), &leaf);
    }
    (table, taken)
}

/// Asserts that the program accepts every root which we accept, and that it refuses at least `refused_min` roots.
#[track_caller]
fn compare(table: &[OfferedRoot], taken: &[bool], opinions: &Opinions, refused_min: usize) {
    assert_eq!(opinions.len(), table.len(), "an opinion of each");
    let mut refused = Vec::new();
    for (at, offer) in table.iter().enumerate() {
        let said = &opinions[&format!("{at:03}")];
        assert!(!taken[at] || said.is_empty(), "{}: taken here, but they say {said}", offer.name);
        if !said.is_empty() {
            refused.push(offer.name);
        }
    }
    assert!(refused.len() >= refused_min, "they refuse only {refused:?}");
    for killer in ["permits another trust domain", "for code", "unknown and critical"] {
        assert!(refused.contains(&killer), "{killer}: they refuse only {refused:?}");
    }
}

fn spoken(output: &str) -> Opinions {
    let row = |line: &str| {
        let (name, said) = line.split_once(' ').unwrap_or((line, ""));
        (name.to_owned(), said.to_owned())
    };
    output.lines().map(row).collect()
}

#[test]
fn n_140_go_accepts_every_root_that_is_taken() {
    let world = World::new();
    let Some(go) = Speaker::go("n_140_go_accepts_every_root_that_is_taken", &world) else { return };
    let (table, taken) = written(&world, now());
    let output = go.run(&["judge", world.dir().to_str().expect("a path")]);
    compare(&table, &taken, &spoken(&output), 20);
}

#[test]
fn n_140_python_accepts_every_root_that_is_taken() {
    let world = World::new();
    let Some(python) = Speaker::python("n_140_python_accepts_every_root_that_is_taken") else { return };
    let (table, taken) = written(&world, now());
    let output = python.run(&["judge", world.dir().to_str().expect("a path")]);
    compare(&table, &taken, &spoken(&output), 20);
}

#[test]
fn n_140_openssl_accepts_every_root_that_is_taken() {
    const TEST: &str = "n_140_openssl_accepts_every_root_that_is_taken";
    let Some(openssl) = foreign(TEST, "CONCORD_TEST_OPENSSL", "openssl", &["version"]) else { return };
    let world = World::new();
    let (table, taken) = written(&world, now());
    let opinion = |at: usize| {
        let (root, leaf) =
            (world.path(&format!("{at:03}.root.pem")), world.path(&format!("{at:03}.leaf.pem")));
        ["sslserver", "sslclient"]
            .into_iter()
            .map(|purpose| verified(&openssl, purpose, &root, &leaf))
            .collect()
    };
    let opinions = (0..table.len()).map(|at| (format!("{at:03}"), opinion(at))).collect();
    compare(&table, &taken, &opinions, 20);
}

fn verified(openssl: &Path, purpose: &str, root: &Path, leaf: &Path) -> String {
    let mut command = Command::new(openssl);
    command.args(["verify", "-x509_strict", "-purpose", purpose, "-no-CApath", "-trusted"]);
    let output = command.arg(root).arg(leaf).output().expect("openssl starts");
    if output.status.success() { String::new() } else { String::from_utf8_lossy(&output.stderr).into_owned() }
}
