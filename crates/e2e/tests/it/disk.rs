//! A server on a full disk: the test mounts and fills a small file system in memory. These tests are skipped without
//! the right to mount.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use concord_e2e::{AgentOptions, Http, Scrape, World, eventually, skip};
use serde_json::{Value, json};

/// A mounted file system of limited size, which is unmounted on drop.
struct Small(PathBuf);

impl Small {
    fn mount(test: &str, at: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).expect("a directory");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={size},mode=700"), "tmpfs"]).arg(at);
        let why = match command.output() {
            Ok(ran) if ran.status.success() => return Some(Self(at.to_owned())),
            Ok(ran) => String::from_utf8_lossy(&ran.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        skip(test, &format!("a small file system cannot be mounted: {why}"));
        None
    }

    fn resize(&self, size: &str) {
        let ran = Command::new("mount").args(["-o", &format!("remount,size={size}")]).arg(&self.0).output();
        assert!(ran.is_ok_and(|ran| ran.status.success()), "it can be made larger");
    }

    /// Fills the file system.
    fn fill(&self) {
        let ballast = File::options().create(true).append(true).open(self.0.join("ballast"));
        let mut ballast = ballast.expect("a file");
        for block in [1 << 20, 64 << 10, 4 << 10, 1] {
            while ballast.write_all(&vec![1; block]).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.0.join("ballast")).expect("the ballast is there");
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // A lazy unmount, because an agent which is still ending may have files open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

fn write(http: &Http, serial: usize) -> concord_e2e::Reply {
    let path = format!("/v1/connect/intentions/exact?source=w&destination=d{serial}");
    http.put(&path, &json!({ "Action": "allow" }))
}

/// The numbers of the stored intentions, in ascending order.
fn stored(http: &Http, how: &str) -> Vec<usize> {
    let all = http.get(&format!("/v1/connect/intentions{how}"));
    let number = |one: &Value| one["DestinationName"].as_str().and_then(|name| name[1..].parse().ok());
    let all = all.ok().json();
    let mut found: Vec<usize> = all.as_array().into_iter().flatten().filter_map(number).collect();
    found.sort_unstable();
    found
}

fn log_stat(http: &Http, key: &str) -> Value {
    http.get("/v1/agent/self").json()["Stats"]["raft"][key].clone()
}

fn metric(http: &Http, name: &str) -> f64 {
    Scrape::new(http.get("/v1/agent/metrics?format=prometheus").ok().body.clone()).sum(name, "")
}

#[test]
fn n_151_a_full_disk_means_read_only_until_there_is_space_and_loses_nothing() {
    let world = World::new();
    let test = "disk::n_151_a_full_disk_means_read_only_until_there_is_space_and_loses_nothing";
    let Some(small) = Small::mount(test, &world.path("n1-data"), "40m") else { return };
    let hcl = vec![
        "performance { raft_multiplier = 1 } telemetry { prometheus_retention_time = \"1h\" }".to_owned(),
    ];
    let mut agent = world.agent("n1", AgentOptions { hcl, ..AgentOptions::default() });
    let http = agent.http();
    let mut acknowledged: Vec<usize> = (0..20).collect();
    for serial in &acknowledged {
        write(&http, *serial).ok();
    }

    small.fill();
    let (refused, reply) = (20..5000)
        .find_map(|serial| {
            let reply = write(&http, serial);
            match reply.status {
                200 => acknowledged.push(serial),
                _ => return Some((serial, reply)),
            }
            None
        })
        .expect("the disk is full at last");
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(reply.body.contains("read-only") && reply.body.contains("no space is left"), "{reply:?}");
    for how in ["", "?consistent", "?stale"] {
        assert_eq!(stored(&http, how), acknowledged, "{how}");
    }
    assert_eq!(log_stat(&http, "read_only").as_str(), Some(reply.body.trim()));
    assert_eq!(metric(&http, "concord_raft_read_only"), 1.0);

    // After SIGKILL and a restart on the full disk, the agent still serves its data.
    agent.kill9();
    small.fill();
    agent.restart();
    let http = agent.http();
    assert_eq!(stored(&http, "?consistent"), acknowledged, "{refused} was refused");
    assert_eq!(write(&http, refused).status, 503);

    small.free();
    eventually("writes go on by themselves", || (write(&http, refused).status == 200).then_some(()));
    acknowledged.push(refused);
    acknowledged.sort_unstable();
    assert_eq!(log_stat(&http, "read_only"), Value::Null);
    agent.kill9();
    agent.restart();
    assert_eq!(stored(&agent.http(), "?consistent"), acknowledged);
}

#[test]
fn n_150_a_snapshot_without_space_is_told_and_tried_again() {
    let world = World::new();
    let test = "disk::n_150_a_snapshot_without_space_is_told_and_tried_again";
    let at = world.path("n1-data").join("raft/snapshots");
    let Some(small) = Small::mount(test, &at, "8k") else { return };
    let hcl = "performance { raft_multiplier = 1 } telemetry { prometheus_retention_time = \"1h\" } \
               raft_snapshot_threshold = 20 raft_snapshot_interval = \"50ms\" raft_trailing_logs = 5";
    let hcl = vec![hcl.to_owned()];
    let mut agent = world.agent("n1", AgentOptions { hcl, ..AgentOptions::default() });
    let http = agent.http();
    for serial in 0..60 {
        write(&http, serial).ok();
    }
    let told = eventually("the failure is told", || {
        log_stat(&http, "snapshot_failure").as_str().map(ToOwned::to_owned)
    });
    assert!(told.contains("no space left") && told.contains("raft/snapshots"), "{told}");
    assert_eq!(metric(&http, "concord_raft_snapshot_failing"), 1.0);
    assert!(metric(&http, "concord_raft_snapshot_failures_total") >= 1.0);
    for serial in 60..120 {
        write(&http, serial).ok();
    }
    assert_eq!(log_stat(&http, "last_snapshot_index"), "0");

    small.resize("8m");
    eventually("a snapshot", || (log_stat(&http, "last_snapshot_index") != "0").then_some(()));
    assert_eq!(log_stat(&http, "snapshot_failure"), Value::Null);
    assert_eq!(metric(&http, "concord_raft_snapshot_failing"), 0.0);
    agent.kill9();
    agent.restart();
    assert_eq!(stored(&agent.http(), "?consistent"), (0..120).collect::<Vec<_>>());
}

#[test]
fn f_18_a_log_that_is_lost_is_refused_and_a_directory_that_is_wiped_begins_anew() {
    let world = World::new();
    let mut agent = world.agent("n1", AgentOptions::default());
    let http = agent.http();
    write(&http, 1).ok();
    let node = |http: &Http| http.get("/v1/agent/self").json()["Config"]["NodeID"].clone();
    let first = node(&http);
    agent.kill9();
    fs::remove_file(agent.data().join("raft/log.redb")).expect("there is a log");
    let data = format!("-data-dir={}", agent.data().display());
    let arguments = ["agent", "-server", "-bootstrap-expect=1", "-node=n1", "-ephemeral-ports", &data];
    let refused = world.run(&[&arguments[..], &["-bind=127.0.0.1", "-client=127.0.0.1"]].concat());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("raft/log.redb is missing"), "{said}");

    fs::remove_dir_all(agent.data()).expect("there is a directory");
    agent.restart();
    let http = agent.http();
    assert_eq!(stored(&http, "?consistent"), Vec::<usize>::new());
    assert_ne!(node(&http), first, "it is another node, with nothing of the first");
    write(&http, 2).ok();
}
