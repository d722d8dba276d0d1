//! `kill -9` during concurrent writes (F-1): no acknowledged write is lost, invented or reordered.
//!
//! Each writer owns a few rows. It writes its serials to them in turn, one write after the other, and sometimes it
//! removes a row. So a writer has at most one unanswered write when the agent dies. Afterwards its rows must hold the
//! outcome of exactly the acknowledged writes in order, with or without the unanswered one. Any other lost, repeated,
//! resurrected or reordered write is therefore visible.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use concord_e2e::{AgentOptions, Chance, Conn, Http, Reply, World, eventually, figure, number_from_env};
use serde_json::{Value, json};

/// Number of rows of one writer.
const ROWS: u64 = 4;
/// One in this many writes is a removal.
const REMOVAL: u64 = 7;
/// Number of writers of each kind.
const WRITERS: u64 = 2;

/// The kind of object written. The first three go through the log, the last into a file of the agent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Intention,
    ConfigEntry,
    Catalog,
    Local,
}

const KINDS: [Kind; 4] = [Kind::Intention, Kind::ConfigEntry, Kind::Catalog, Kind::Local];

/// A write to a row: a serial, or `None` for a removal.
#[derive(Clone, Copy, Debug)]
struct Write {
    row: u64,
    serial: Option<u64>,
}

#[derive(Debug)]
struct Writer {
    kind: Kind,
    number: u64,
    next: u64,
    /// The serial of each row after all acknowledged writes.
    rows: BTreeMap<u64, u64>,
    /// The write which was sent but not answered when the agent died.
    in_the_air: Option<Write>,
    acknowledged: u64,
}

impl Kind {
    fn write(self, writer: u64, write: Write, conn: &mut Conn) -> io::Result<Reply> {
        let name = format!("{}-{writer}-{}", self.word(), write.row);
        let text = write.serial.map(|serial| serial.to_string());
        let (method, path, body) = match (self, &text) {
            (Self::Intention, Some(serial)) => {
                let path = format!("/v1/connect/intentions/exact?source=w&destination={name}");
                ("PUT", path, json!({ "Action": "allow", "Description": serial }))
            }
            (Self::Intention, None) => {
                let path = format!("/v1/connect/intentions/exact?source=w&destination={name}");
                ("DELETE", path, Value::Null)
            }
            (Self::ConfigEntry, Some(serial)) => {
                let sources = json!([{ "Name": "w", "Action": "allow" }]);
                let body = json!({ "Kind": "service-intentions", "Name": name, "Meta": { "serial": serial }, "Sources": sources });
                ("PUT", "/v1/config".to_owned(), body)
            }
            (Self::ConfigEntry, None) => {
                ("DELETE", format!("/v1/config/service-intentions/{name}"), Value::Null)
            }
            (Self::Catalog, Some(serial)) => {
                let service = json!({ "ID": name, "Service": name, "Port": 1, "Meta": { "serial": serial } });
                let body = json!({ "Node": format!("outside-{writer}"), "Address": "192.0.2.1", "Service": service });
                ("PUT", "/v1/catalog/register".to_owned(), body)
            }
            (Self::Catalog, None) => {
                let body = json!({ "Node": format!("outside-{writer}"), "ServiceID": name });
                ("PUT", "/v1/catalog/deregister".to_owned(), body)
            }
            (Self::Local, Some(serial)) => {
                let body = json!({ "ID": name, "Name": name, "Port": 1, "Meta": { "serial": serial } });
                ("PUT", "/v1/agent/service/register".to_owned(), body)
            }
            (Self::Local, None) => ("PUT", format!("/v1/agent/service/deregister/{name}"), Value::Null),
        };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        conn.send(method, &path, Some(&body))
    }

    fn word(self) -> &'static str {
        match self {
            Self::Intention => "intention",
            Self::ConfigEntry => "entry",
            Self::Catalog => "catalog",
            Self::Local => "local",
        }
    }

    /// Everything of this kind that is stored: the serial for each (writer, row).
    fn stored(self, http: &Http, node: &str) -> BTreeMap<(u64, u64), u64> {
        let prefix = format!("{}-", self.word());
        let mut found = BTreeMap::new();
        let mut note = |name: &str, serial: &Value| {
            let Some((writer, row)) = name.strip_prefix(&prefix).and_then(|rest| rest.split_once('-')) else {
                return;
            };
            let number = |text: &str| text.parse::<u64>().expect("a number");
            let serial = number(serial.as_str().expect("a serial"));
            assert!(found.insert((number(writer), number(row)), serial).is_none(), "{name} is there twice");
        };
        match self {
            Self::Intention => {
                let all = http.get("/v1/connect/intentions?consistent").json();
                for one in all.as_array().into_iter().flatten() {
                    note(one["DestinationName"].as_str().expect("a name"), &one["Description"]);
                }
            }
            Self::ConfigEntry => {
                let all = http.get("/v1/config/service-intentions?consistent").json();
                for one in all.as_array().into_iter().flatten() {
                    note(one["Name"].as_str().expect("a name"), &one["Meta"]["serial"]);
                }
            }
            Self::Catalog | Self::Local => {
                let services = http.get("/v1/catalog/services?consistent").json();
                let mine =
                    services.as_object().expect("services").keys().filter(|name| name.starts_with(&prefix));
                if self == Self::Local {
                    let all = http.get("/v1/agent/services").json();
                    for one in all.as_object().expect("services").values() {
                        note(one["Service"].as_str().expect("a name"), &one["Meta"]["serial"]);
                    }
                    return found;
                }
                for name in mine {
                    let all = http.get(&format!("/v1/catalog/service/{name}?consistent")).json();
                    for one in all.as_array().into_iter().flatten() {
                        assert_ne!(one["Node"], node, "an instance of the agent's own node");
                        note(name, &one["ServiceMeta"]["serial"]);
                    }
                }
            }
        }
        found
    }
}

impl Writer {
    fn new(kind: Kind, number: u64) -> Self {
        Self { kind, number, next: 1, rows: BTreeMap::new(), in_the_air: None, acknowledged: 0 }
    }

    /// Writes until the agent dies.
    fn write_until_death(&mut self, http: &Http, dying: &AtomicBool) {
        let Ok(mut conn) = http.connect() else {
            assert!(dying.load(Ordering::SeqCst), "an agent that lives takes connections");
            return;
        };
        loop {
            let (serial, row) = (self.next, self.next % ROWS);
            self.next += 1;
            let removes = serial.is_multiple_of(REMOVAL) && self.rows.contains_key(&row);
            let write = Write { row, serial: (!removes).then_some(serial) };
            match self.kind.write(self.number, write, &mut conn) {
                Ok(reply) if reply.status == 200 => {
                    apply(&mut self.rows, write);
                    self.acknowledged += 1;
                }
                Ok(reply) => panic!("{:?}: {write:?} is answered with {reply:?}", self.kind),
                Err(error) => {
                    assert!(dying.load(Ordering::SeqCst), "{:?}: {write:?}: {error}", self.kind);
                    self.in_the_air = Some(write);
                    return;
                }
            }
        }
    }

    /// Compares the expected rows with the stored ones, and finds out whether the unanswered write was applied.
    fn settle(&mut self, stored: &BTreeMap<(u64, u64), u64>) {
        let mine: BTreeMap<u64, u64> = stored
            .iter()
            .filter(|((writer, _), _)| *writer == self.number)
            .map(|((_, row), serial)| (*row, *serial))
            .collect();
        let without = self.rows.clone();
        let mut with = self.rows.clone();
        let in_the_air = self.in_the_air.take();
        if let Some(write) = in_the_air {
            apply(&mut with, write);
        }
        assert!(
            mine == without || mine == with,
            "{:?} {}: found {mine:?}, acknowledged {without:?}, in the air {in_the_air:?}",
            self.kind,
            self.number
        );
        self.rows = mine;
    }
}

fn apply(rows: &mut BTreeMap<u64, u64>, write: Write) {
    match write.serial {
        Some(serial) => rows.insert(write.row, serial),
        None => rows.remove(&write.row),
    };
}

/// Asserts that each writer's serials were stored in the order in which it wrote them.
fn in_order(http: &Http) {
    let entries = http.get("/v1/config/service-intentions?consistent").json();
    let mut of_writer: BTreeMap<String, Vec<(u64, u64)>> = BTreeMap::new();
    for one in entries.as_array().into_iter().flatten() {
        let (Some(name), Some(serial)) = (one["Name"].as_str(), one["Meta"]["serial"].as_str()) else {
            continue;
        };
        let writer = name.rsplit_once('-').expect("a row").0.to_owned();
        let pair = (serial.parse().expect("a number"), one["ModifyIndex"].as_u64().expect("an index"));
        of_writer.entry(writer).or_default().push(pair);
    }
    for (writer, mut pairs) in of_writer {
        pairs.sort_unstable();
        assert!(pairs.windows(2).all(|two| two[0].1 < two[1].1), "{writer} is out of order: {pairs:?}");
    }
}

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let cycles = number_from_env("CONCORD_E2E_CYCLES", 12);
    let mut chance = Chance::from_env();
    let world = World::new();
    // With these limits the log is snapshotted and truncated within the test, not only after ten thousand writes.
    let hcl = vec![
        "performance { raft_multiplier = 1 } raft_snapshot_threshold = 200 raft_snapshot_interval = \"50ms\" raft_trailing_logs = 50"
            .to_owned(),
    ];
    let mut agent = world.agent("n1", AgentOptions { hcl, ..AgentOptions::default() });
    let mut writers: Vec<Writer> =
        KINDS.iter().flat_map(|kind| (0..WRITERS).map(|number| Writer::new(*kind, number))).collect();
    let mut longest = Duration::ZERO;
    let mut all = Duration::ZERO;
    for cycle in 0..cycles {
        let dying = AtomicBool::new(false);
        let (http, run) = (agent.http(), Duration::from_millis(30 + chance.below(350)));
        thread::scope(|scope| {
            for writer in &mut writers {
                let (http, dying) = (&http, &dying);
                scope.spawn(move || writer.write_until_death(http, dying));
            }
            thread::sleep(run);
            dying.store(true, Ordering::SeqCst);
            agent.kill9();
        });
        let took = agent.restart();
        (longest, all) = (longest.max(took), all + took);
        let http = agent.http();
        for kind in KINDS {
            let stored = kind.stored(&http, agent.node());
            writers.iter_mut().filter(|writer| writer.kind == kind).for_each(|writer| writer.settle(&stored));
        }
        in_order(&http);
        if cycle % 20 == 19 {
            eprintln!("{} cycles", cycle + 1);
        }
    }
    for kind in KINDS {
        let of_kind: Vec<_> = writers.iter().filter(|writer| writer.kind == kind).collect();
        let sum: u64 = of_kind.iter().map(|writer| writer.acknowledged).sum();
        assert!(of_kind.iter().all(|writer| writer.acknowledged > 0), "{kind:?}: a writer never wrote");
        figure(&format!("acknowledged {} writes", kind.word()), sum as f64, "");
    }
    figure("kill -9 cycles", cycles as f64, "");
    figure("start to a consistent read, mean", all.as_secs_f64() * 1e3 / cycles as f64, "ms");
    figure("start to a consistent read, longest", longest.as_secs_f64() * 1e3, "ms");
    converges(&agent.http(), agent.node(), &writers);
}

/// Waits until the catalog holds exactly the services of the agent's node which the agent holds.
fn converges(http: &Http, node: &str, writers: &[Writer]) {
    let wanted: BTreeMap<String, u64> = writers
        .iter()
        .filter(|writer| writer.kind == Kind::Local)
        .flat_map(|writer| {
            writer.rows.iter().map(|(row, serial)| (format!("local-{}-{row}", writer.number), *serial))
        })
        .collect();
    let mut last = BTreeMap::new();
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eventually("the catalog agrees with the agent", || {
            last = of_node(http, node);
            (last == wanted).then_some(())
        });
    }));
    assert!(found.is_ok(), "the catalog holds {last:?}, the agent {wanted:?}");
}

fn of_node(http: &Http, node: &str) -> BTreeMap<String, u64> {
    let services = http.get("/v1/catalog/services").json();
    let names = services.as_object().expect("services").keys().filter(|name| name.starts_with("local-"));
    let mut found = BTreeMap::new();
    for name in names {
        let all = http.get(&format!("/v1/catalog/service/{name}")).json();
        for one in all.as_array().into_iter().flatten().filter(|one| one["Node"] == node) {
            let serial = one["ServiceMeta"]["serial"].as_str().and_then(|text| text.parse().ok());
            found.insert(name.clone(), serial.expect("a serial"));
        }
    }
    found
}

/// A writer after writes of serials and a removal, with one more serial unanswered.
fn written() -> Writer {
    let mut writer = Writer::new(Kind::Catalog, 0);
    for write in [(1, Some(1)), (2, Some(2)), (3, Some(3)), (1, None)] {
        apply(&mut writer.rows, Write { row: write.0, serial: write.1 });
    }
    writer.in_the_air = Some(Write { row: 2, serial: Some(6) });
    writer
}

fn settles(found: &[(u64, u64)]) -> bool {
    let stored = found.iter().map(|(row, serial)| ((0, *row), *serial)).collect();
    std::panic::catch_unwind(|| written().settle(&stored)).is_ok()
}

#[test]
fn the_witness_objects_to_any_other_outcome() {
    assert!(settles(&[(2, 2), (3, 3)]) && settles(&[(2, 6), (3, 3)]), "with and without what was in the air");
    assert!(!settles(&[(2, 2)]), "lost");
    assert!(!settles(&[(2, 1), (3, 3)]), "an older value");
    assert!(!settles(&[(1, 1), (2, 2), (3, 3)]), "back from the dead");
    assert!(!settles(&[(0, 4), (2, 2), (3, 3)]), "invented");
    assert!(!settles(&[(2, 6)]), "a later write without an earlier one");
}
