//! The agent as a service of the operating system: messages to the service manager, files, log, certificates.

use std::fs;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use concord_e2e::{
    Agent, AgentOptions, Http, Process, Signal, World, binary, eventually, foreign, pick_port,
};
use serde_json::{Value, json};

/// The receiver of messages on `NOTIFY_SOCKET`.
struct Manager(UnixDatagram);

impl Manager {
    fn new(socket: UnixDatagram) -> Self {
        socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a time");
        Self(socket)
    }

    /// The next message, with the time replaced by `#`.
    #[track_caller]
    fn told(&self) -> String {
        let mut bytes = [0; 4096];
        let count = self.0.recv(&mut bytes).expect("the manager is told");
        let text = String::from_utf8(bytes[..count].to_vec()).expect("text");
        let lines = text.lines().map(|line| match line.split_once("MONOTONIC_USEC=") {
            Some((_, time)) if time.parse::<u64>().is_ok() => "MONOTONIC_USEC=#",
            Some(_) | None => line,
        });
        lines.collect::<Vec<_>>().join(" ")
    }
}

fn options(env: &[(&str, &str)], args: &[String]) -> AgentOptions {
    AgentOptions {
        env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        args: args.to_vec(),
        ..AgentOptions::default()
    }
}

#[test]
fn the_service_manager_is_told_what_the_agent_does() {
    let world = World::new();
    let path = world.path("notify");
    let manager = Manager::new(UnixDatagram::bind(&path).expect("a socket"));
    let socket = path.to_str().expect("a path");
    let (pid, port) = (world.path("pid"), pick_port());
    let args = [format!("-pid-file={}", pid.display()), format!("-https-port={port}")];
    let mut agent = world.agent("n1", options(&[("NOTIFY_SOCKET", socket)], &args));
    assert_eq!(manager.told(), "READY=1");
    let number = agent.process().pid().to_string();
    assert_eq!(fs::read_to_string(&pid).expect("a file"), number);

    agent.process().signal(Signal::HUP);
    assert_eq!(manager.told(), "RELOADING=1 MONOTONIC_USEC=#");
    assert_eq!(manager.told(), "READY=1");
    agent.http().send("PUT", "/v1/agent/reload", None).ok();
    assert_eq!(manager.told(), "RELOADING=1 MONOTONIC_USEC=#");
    assert_eq!(manager.told(), "READY=1");

    // A second agent which cannot start does not report that it is ready, and leaves the file of the first agent alone.
    let data = world.path("other");
    let other = Command::new(binary())
        .env_clear()
        .env("NOTIFY_SOCKET", socket)
        .args(["agent", "-server", "-bootstrap-expect=1", "-bind=127.0.0.1"])
        .arg(format!("-data-dir={}", data.display()))
        .arg(format!("-http-port={}", agent.http_addr().rsplit(':').next().expect("a port")))
        .args(&args)
        .output()
        .expect("it runs");
    assert_eq!(other.status.code(), Some(1), "{other:?}");
    assert_eq!(fs::read_to_string(&pid).expect("a file"), number);

    agent.process().signal(Signal::TERM);
    assert_eq!(manager.told(), "STOPPING=1");
    assert!(agent.process().wait().success());
    assert!(!pid.exists());
}

#[test]
fn a_manager_at_an_abstract_socket_is_told_and_one_that_has_gone_stops_nothing() {
    let world = World::new();
    let name = format!("concord-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let manager = Manager::new(UnixDatagram::bind_addr(&address).expect("a socket"));
    let dev = |name: &str, socket: &str| {
        world.agent(name, AgentOptions { dev: true, ..options(&[("NOTIFY_SOCKET", socket)], &[]) })
    };
    let _agent = dev("n1", &format!("@{name}"));
    assert_eq!(manager.told(), "READY=1");
    let mut alone = dev("n2", "/nonexistent/notify");
    let process = alone.process();
    eventually("it is told", || process.log().contains("cannot tell the service manager").then_some(()));
}

/// The log files, oldest first.
fn logs(directory: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> =
        fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path()).collect();
    all.sort();
    all
}

#[test]
fn the_log_goes_to_files_that_are_rotated_as_the_configuration_says() {
    let world = World::new();
    let directory = world.path("logs");
    fs::create_dir(&directory).expect("a directory");
    let hcl = format!(
        "log_file = \"{}/\" log_rotate_bytes = 600 log_rotate_max_files = 2 log_json = true enable_syslog = false",
        directory.display()
    );
    let args = vec!["-log-level=debug".to_owned()];
    let agent =
        world.agent("n1", AgentOptions { dev: true, hcl: vec![hcl], args, ..AgentOptions::default() });
    let all = eventually("there are earlier files", || {
        agent.http().get("/v1/agent/members").ok();
        Some(logs(&directory)).filter(|all| all.len() == 3)
    });
    let names: Vec<_> = all.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    let number = |name: &str| name.strip_prefix("consul-")?.strip_suffix(".log")?.parse::<u64>().ok();
    assert_eq!(names[2], "consul.log");
    assert!(number(names[0]) < number(names[1]) && number(names[0]).is_some(), "{names:?}");
    // Further log lines do not increase the number of files.
    for _ in 0..20 {
        agent.http().get("/v1/agent/members").ok();
    }
    let now = logs(&directory);
    assert!(now.len() == 3 && now[0] != all[0], "{now:?}");
    for line in fs::read_to_string(&now[0]).expect("a file").lines() {
        let line: Value = serde_json::from_str(line).expect("JSON, one object a line");
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
}

#[test]
fn a_log_file_that_cannot_be_opened_keeps_the_agent_from_starting() {
    let world = World::new();
    let ran = world.run(&["agent", "-dev", "-log-file=/nonexistent/concord.log"]);
    assert_eq!(ran.status.code(), Some(1));
    let err = String::from_utf8_lossy(&ran.stderr);
    assert!(err.contains("cannot open log_file: /nonexistent/concord.log: No such file"), "{err}");
}

const ROOT: &str = "6b1ffb2e-5d2d-4a50-b1f8-95ad2e6c3a01";

fn guarded(world: &World) -> Agent {
    let hcl = format!(
        "acl {{ enabled = true default_policy = \"deny\" tokens {{ initial_management = \"{ROOT}\" }} }}"
    );
    world.agent("n1", AgentOptions { dev: true, hcl: vec![hcl], ..AgentOptions::default() })
}

/// Creates a token with these rules. Returns its secret and its accessor.
fn token(http: &Http, name: &str, rules: &str) -> (String, String) {
    http.put("/v1/acl/policy", &json!({ "Name": name, "Rules": rules })).ok();
    let made = http.put("/v1/acl/token", &json!({ "Policies": [{ "Name": name }] })).ok().json();
    let field = |key: &str| made[key].as_str().expect("a text").to_owned();
    (field("SecretID"), field("AccessorID"))
}

fn monitor(world: &World, agent: &Agent, name: &str, args: &[&str]) -> Process {
    let mut command = Command::new(binary());
    let address = format!("-http-addr={}", agent.http_addr());
    command.env_clear().args(["monitor", &address]).args(args);
    Process::start(name, &mut command, &world.path(&format!("{name}.out")))
}

#[test]
fn the_log_is_followed_at_any_level_until_somebody_ends_it() {
    let world = World::new();
    let mut agent = guarded(&world);
    let http = agent.http().with_token(ROOT);
    let (reader, _) = token(&http, "reader", "agent \"n1\" { policy = \"read\" }");
    let flags = [format!("-token={reader}")];
    let debug = ["-log-level=debug", flags[0].as_str()];
    let mut followed = monitor(&world, &agent, "debug", &debug);
    let mut json = monitor(&world, &agent, "json", &["-log-level=DEBUG", "-log-json", &flags[0]]);
    // The agent's own log has only level info and above.
    eventually("requests are followed", || {
        http.get("/v1/agent/members").ok();
        followed.log().contains("/v1/agent/members").then_some(())
    });
    assert!(!agent.process().log().contains("/v1/agent/members"));
    eventually("news are followed as JSON", || {
        http.get("/v1/agent/members").ok();
        let log = json.log();
        let line: Value = serde_json::from_str(log.lines().next()?).expect("JSON, one object a line");
        line["level"].is_string().then_some(())
    });
    followed.signal(Signal::INT);
    assert_eq!(followed.wait().code(), Some(0), "{}", followed.log());
    agent.process().signal(Signal::TERM);
    assert!(agent.process().wait().success());
    assert_eq!(json.wait().code(), Some(1));
    assert!(json.log().contains("Remote side ended the monitor"), "{}", json.log());
}

#[test]
fn n_172_the_log_is_for_those_who_may_read_the_agent_and_no_longer_than_they_may() {
    let world = World::new();
    let agent = guarded(&world);
    let http = agent.http().with_token(ROOT);
    let (stranger, _) = token(&http, "stranger", "service_prefix \"\" { policy = \"write\" }");
    let (reader, accessor) = token(&http, "reader", "agent \"n1\" { policy = \"read\" }");
    for token in ["", &stranger] {
        let refused = agent.http().with_token(token).get("/v1/agent/monitor");
        assert_eq!(refused.status, 403, "{refused:?}");
        assert!(refused.body.contains("lacks permission 'agent:read'"), "{refused:?}");
    }
    let unknown = http.get("/v1/agent/monitor?loglevel=loud");
    assert_eq!((unknown.status, unknown.body.as_str()), (400, "Unknown log level: loud"));
    let mut followed = monitor(&world, &agent, "debug", &["-log-level=debug", &format!("-token={reader}")]);
    eventually("it is followed", || {
        http.get("/v1/agent/members").ok();
        followed.log().contains("/v1/agent/members").then_some(())
    });
    http.send("DELETE", &format!("/v1/acl/token/{accessor}"), None).ok();
    assert_eq!(followed.wait().code(), Some(1), "{}", followed.log());
}

/// Runs a command in a directory.
fn within(directory: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.env_clear().current_dir(directory).args(args).stdin(Stdio::null());
    command.output().expect("it runs")
}

#[track_caller]
fn made(directory: &Path, args: &[&str], expected: &str) {
    let ran = within(directory, args);
    let err = String::from_utf8_lossy(&ran.stderr);
    assert_eq!((ran.status.code(), err.as_ref()), (Some(0), ""), "{args:?}");
    assert_eq!(String::from_utf8_lossy(&ran.stdout), expected);
}

#[track_caller]
fn refused(directory: &Path, args: &[&str], expected: &str) {
    let before = fs::read_dir(directory).expect("a directory").count();
    let ran = within(directory, args);
    let err = String::from_utf8_lossy(&ran.stderr);
    assert_eq!((ran.status.code(), ran.stdout.as_slice()), (Some(1), &[][..]), "{args:?}");
    assert!(err.contains(expected), "{err}");
    assert_eq!(fs::read_dir(directory).expect("a directory").count(), before, "nothing is left behind");
}

const SERVER_WARNING: &str = "==> WARNING: whoever holds a server's certificate may be a server of the cluster, and sees all that it\n    \
     keeps. Give it to no other host, and keep it as safe as the key of the authority.\n";

#[test]
fn certificates_made_here_serve_https_and_let_callers_in() {
    let world = World::new();
    let here = world.dir();
    made(
        here,
        &["tls", "ca", "create"],
        "==> Saved consul-agent-ca.pem\n==> Saved consul-agent-ca-key.pem\n",
    );
    let using = "==> Using consul-agent-ca.pem and consul-agent-ca-key.pem\n";
    let saved = |name: &str| format!("==> Saved {name}.pem\n==> Saved {name}-key.pem\n");
    let server = ["tls", "cert", "create", "-server", "-additional-ipaddress=127.0.0.2", "-node=n1"];
    made(here, &server, &format!("{SERVER_WARNING}{using}{}", saved("dc1-server-consul-0")));
    made(here, &["tls", "cert", "create", "-cli"], &format!("{using}{}", saved("dc1-cli-consul-0")));
    made(here, &["tls", "cert", "create", "-cli"], &format!("{using}{}", saved("dc1-cli-consul-1")));
    let path = |name: &str| here.join(name).to_str().expect("a path").to_owned();
    for (name, secret) in
        [("consul-agent-ca", true), ("dc1-server-consul-0", true), ("dc1-cli-consul-0", true)]
    {
        let mode = fs::metadata(path(&format!("{name}-key.pem"))).expect("a file").permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o077 == 0, secret, "{name}");
    }
    let hcl = format!(
        "ports {{ https = {} grpc_tls = {} }} tls {{ defaults {{ ca_file = \"{}\" cert_file = \"{}\" key_file = \"{}\" verify_incoming = true }} }}",
        pick_port(),
        pick_port(),
        path("consul-agent-ca.pem"),
        path("dc1-server-consul-0.pem"),
        path("dc1-server-consul-0-key.pem"),
    );
    let agent = world.agent("n1", AgentOptions { dev: true, hcl: vec![hcl], ..AgentOptions::default() });
    let port = agent.https_addr().port();
    let ask = |host: &str, more: &[String]| {
        let address = format!("-http-addr=https://{host}:{port}");
        let authority = format!("-ca-file={}", path("consul-agent-ca.pem"));
        let mut words = vec!["members", &address, &authority];
        words.extend(more.iter().map(String::as_str));
        within(here, &words).status.code()
    };
    let own = [
        format!("-client-cert={}", path("dc1-cli-consul-1.pem")),
        format!("-client-key={}", path("dc1-cli-consul-1-key.pem")),
    ];
    assert_eq!(ask("127.0.0.1", &own), Some(0));
    let named = |name: &str| [&own[..], &[format!("-tls-server-name={name}")]].concat();
    for name in ["localhost", "server.dc1.consul", "n1.server.dc1.consul", "127.0.0.2"] {
        assert_eq!(ask("127.0.0.1", &named(name)), Some(0), "{name}");
    }
    assert_eq!(ask("127.0.0.1", &named("client.dc1.consul")), Some(1), "another name");
    assert_eq!(ask("127.0.0.1", &[]), Some(1), "no certificate");
}

#[test]
fn what_cannot_be_made_is_refused_with_its_cause_and_leaves_nothing() {
    let world = World::new();
    let here = world.dir();
    let ca = ["tls", "ca", "create"];
    for (flags, cause) in [
        (vec!["-additional-name-constraint=a.example"], "-additional-name-constraint needs -name-constraint"),
        (vec!["-days=0"], "-days: 0 is not between 1 and 36500"),
        (vec!["-domain=../x"], "-domain: \"../x\" is no name of hosts"),
        (vec!["now"], "expected no arguments, found 1"),
    ] {
        refused(here, &[&ca[..], &flags].concat(), cause);
    }
    let cert = ["tls", "cert", "create"];
    refused(here, &[&cert[..], &["-server"]].concat(), "cannot read consul-agent-ca.pem: No such file");
    made(
        here,
        &[&ca[..], &["-domain=b.example", "-name-constraint", "-additional-name-constraint=a.example"]]
            .concat(),
        "==> Saved b.example-agent-ca.pem\n==> Saved b.example-agent-ca-key.pem\n",
    );
    refused(here, &[&ca[..], &["-domain=b.example"]].concat(), "b.example-agent-ca.pem already exists.");
    made(here, &ca, "==> Saved consul-agent-ca.pem\n==> Saved consul-agent-ca-key.pem\n");
    world.write("text.pem", "no certificate");
    for (flags, cause) in [
        (vec![], "Please provide either -server, -client, or -cli"),
        (vec!["-server", "-cli"], "Please provide either -server, -client, or -cli"),
        (vec!["-client", "-node=n"], "-node requires -server"),
        (vec!["-client", "-ca="], "Please provide the ca"),
        (vec!["-client", "-key="], "Please provide the key"),
        (vec!["-client", "-days=-1"], "-days: -1 is not between"),
        (vec!["-client", "-additional-ipaddress=here"], "\"here\" is not an IP address"),
        (vec!["-client", "-dc=a b"], "-dc: \"a b\" is no name of hosts"),
        (vec!["-client", "-ca=text.pem"], "text.pem holds no certificate that can be used"),
        (vec!["-client", "-key=text.pem"], "text.pem holds no private key that can be used"),
        (
            vec!["-client", "-key=b.example-agent-ca-key.pem"],
            "signs no certificate for client.dc1.consul that holds",
        ),
        // The name constraints of this authority do not allow the name.
        (
            vec!["-client", "-ca=b.example-agent-ca.pem", "-key=b.example-agent-ca-key.pem"],
            "signs no certificate for client.dc1.consul that holds",
        ),
    ] {
        refused(here, &[&cert[..], &flags].concat(), cause);
    }
}

#[test]
fn openssl_agrees_with_what_is_made_and_its_authorities_sign_here() {
    let Some(openssl) = foreign(
        "service::openssl_agrees_with_what_is_made_and_its_authorities_sign_here",
        "CONCORD_TEST_OPENSSL",
        "openssl",
        &["version"],
    ) else {
        return;
    };
    let world = World::new();
    let here = world.dir();
    let openssl = |args: &[&str]| {
        let ran = Command::new(&openssl).current_dir(here).args(args).output().expect("openssl runs");
        let text = [ran.stdout, ran.stderr].concat();
        (ran.status.success(), String::from_utf8_lossy(&text).into_owned())
    };
    let ca = [
        "tls",
        "ca",
        "create",
        "-domain=x.example",
        "-name-constraint",
        "-cluster-id=ABC",
        "-common-name=My CA",
        "-days=30",
    ];
    made(here, &ca, "==> Saved x.example-agent-ca.pem\n==> Saved x.example-agent-ca-key.pem\n");
    let (_, text) = openssl(&["x509", "-in", "x.example-agent-ca.pem", "-noout", "-text"]);
    for part in [
        "CN = My CA",
        "CA:TRUE",
        "URI:spiffe://abc.x.example",
        "Permitted:",
        "DNS:localhost",
        "Certificate Sign, CRL Sign",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let client = [
        "tls",
        "cert",
        "create",
        "-client",
        "-domain=x.example",
        "-dc=dc7",
        "-days=2",
        "-additional-dnsname=web.x.example",
    ];
    let using = "==> Using x.example-agent-ca.pem and x.example-agent-ca-key.pem\n";
    made(
        here,
        &client,
        &format!("{using}==> Saved dc7-client-x.example-0.pem\n==> Saved dc7-client-x.example-0-key.pem\n"),
    );
    let (good, told) = openssl(&[
        "verify",
        "-purpose",
        "sslclient",
        "-CAfile",
        "x.example-agent-ca.pem",
        "dc7-client-x.example-0.pem",
    ]);
    assert!(good, "{told}");
    let (_, text) =
        openssl(&["x509", "-in", "dc7-client-x.example-0.pem", "-noout", "-text", "-checkend", "172000"]);
    for part in [
        "CN = client.dc7.x.example",
        "DNS:web.x.example, DNS:client.dc7.x.example, DNS:localhost, IP Address:127.0.0.1",
        "TLS Web Server Authentication",
        "TLS Web Client Authentication",
        "Digital Signature, Key Encipherment",
        "Certificate will not expire",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (ends, _) = openssl(&["x509", "-in", "dc7-client-x.example-0.pem", "-noout", "-checkend", "173000"]);
    assert!(!ends, "two days and no more");

    // Authorities of other programs: the key formats which openssl and Consul write.
    for (name, make) in [
        (
            "ec",
            &[
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-subj",
                "/O=Other/CN=other ca",
                "-keyout",
                "ec-key.pem",
                "-out",
                "ec.pem",
            ][..],
        ),
        (
            "rsa",
            &[
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-subj",
                "/CN=rsa ca",
                "-keyout",
                "rsa-key.pem",
                "-out",
                "rsa.pem",
            ],
        ),
    ] {
        let (good, told) = openssl(make);
        assert!(good, "{told}");
        let old = format!("{name}-old.pem");
        let key = format!("{name}-key.pem");
        let (good, told) =
            openssl(&[name, "-in", &key, "-out", &old, "-traditional"][..if name == "rsa" { 6 } else { 5 }]);
        assert!(good, "{told}");
        for key in [&key, &old] {
            let ran = within(
                here,
                &["tls", "cert", "create", "-server", &format!("-ca={name}.pem"), &format!("-key={key}")],
            );
            assert!(ran.status.success(), "{key}: {}", String::from_utf8_lossy(&ran.stderr));
        }
        let (good, told) = openssl(&[
            "verify",
            "-CAfile",
            &format!("{name}.pem"),
            &format!("dc1-server-consul-{}.pem", if name == "ec" { 1 } else { 3 }),
        ]);
        assert!(good, "{told}");
    }
}

#[test]
fn keys_are_made_that_the_configuration_takes() {
    let world = World::new();
    let key = |()| {
        let ran = world.run(&["keygen"]);
        assert!(ran.status.success());
        String::from_utf8(ran.stdout).expect("text").trim_end().to_owned()
    };
    let (one, two) = (key(()), key(()));
    assert!(one != two && one.len() == 44, "{one} {two}");
    let file = world
        .write("a.hcl", format!("server = true\nbootstrap = true\ndata_dir = \"/d\"\nencrypt = \"{one}\""));
    let ran = world.run(&["validate", file.to_str().expect("a path")]);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn counters_of_the_agent_are_told() {
    let world = World::new();
    let agent = world.dev_agent("n1");
    let told = agent.cli_ok(&["info"]);
    for part in [
        "agent:\n\tchecks = 0\n\tservices = 0\n",
        "raft:\n",
        "\tstate = Leader\n",
        "consul:\n",
        "\tleader = true\n",
    ] {
        assert!(told.contains(part), "{part:?}: {told}");
    }
}
