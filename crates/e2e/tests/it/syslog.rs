//! The log of the machine: lines of an agent with `-syslog` arrive at `/dev/log`. The agent gets its own `/dev` in its
//! own mount namespace; this test is skipped without the right to create one.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use concord_e2e::{AgentOptions, World, binary, skip};

/// Maximum wait for a line, as a guard against hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Writes a program which runs `program` with its own `/dev`, in which the socket `log` is.
fn with_a_log_of_its_own(world: &World, program: &Path) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let inside = format!(
        "cd {} && for d in null zero random urandom; do touch dev/$d && mount --bind /dev/$d dev/$d || exit 90; done \
         && mount --rbind dev /dev && exec {} \"$@\"",
        world.dir().display(),
        program.display()
    );
    let name = format!("in-{}", program.file_name().expect("a name").display());
    let path = world.write(&name, format!("#!/bin/sh\nexec unshare -m sh -c '{inside}' sh \"$@\"\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("it can be run");
    path
}

/// The reason why no program can have its own log on this machine.
fn obstacle(world: &World) -> Option<String> {
    match Command::new(with_a_log_of_its_own(world, Path::new("/bin/true"))).output() {
        Ok(ran) if ran.status.success() => None,
        Ok(ran) => Some(String::from_utf8_lossy(&ran.stderr).trim().to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

/// Receives lines until one contains `wanted`, and returns it.
#[track_caller]
fn until(socket: &UnixDatagram, wanted: &str) -> String {
    let mut bytes = [0; 16 * 1024];
    loop {
        let count = socket.recv(&mut bytes).unwrap_or_else(|error| panic!("no line has {wanted:?}: {error}"));
        let line = String::from_utf8(bytes[..count].to_vec()).expect("text");
        if line.contains(wanted) {
            return line;
        }
    }
}

#[test]
fn what_an_agent_logs_arrives_with_its_facility_severity_and_name() {
    let world = World::new();
    fs::create_dir(world.path("dev")).expect("a directory");
    let socket = UnixDatagram::bind(world.path("dev/log")).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time");
    if let Some(why) = obstacle(&world) {
        skip(
            "syslog::what_an_agent_logs_arrives_with_its_facility_severity_and_name",
            &format!("a process cannot have a mount namespace of its own: {why}"),
        );
        return;
    }
    let program = with_a_log_of_its_own(&world, binary());
    // The priorities of info and warning with the facilities 16 and 3 (RFC 3164, 4.1.1).
    for (name, facility, info, warning) in
        [("n1", "", 133, 132), ("n2", "syslog_facility = \"DAEMON\"", 29, 28)]
    {
        let file = world.write("agent.hcl", facility);
        let args = vec!["-syslog".to_owned(), format!("-config-file={}", file.display())];
        let options =
            AgentOptions { dev: true, args, program: Some(program.clone()), ..AgentOptions::default() };
        let mut agent = world.agent(name, options);
        let sender = format!(" concord[{}]: ", agent.process().pid());
        world.write("agent.hcl", format!("{facility} node_meta {{ rack = \"2\" }} max_query_time = \"1h\""));
        agent.http().send("PUT", "/v1/agent/reload", None).ok();
        for (priority, key) in [(info, "node_meta"), (warning, "max_query_time")] {
            let line = until(&socket, &format!("key=\"{key}\""));
            assert!(line.starts_with(&format!("<{priority}>")), "{line}");
            // The time after the priority has fifteen characters, such as `Jan  2 15:04:05`.
            let rest = &line[line.find('>').expect("a priority") + 1..];
            assert_eq!(rest.find(&sender), Some(15), "{line}");
            // The rest of the line is also on standard output.
            assert!(agent.process().log().contains(rest[15 + sender.len()..].trim_end()), "{line}");
        }
    }
}
