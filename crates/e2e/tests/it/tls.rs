//! The API and the proxies' port under TLS: who is accepted, what is reported, and certificates changed under load.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use concord_e2e::{
    Agent, AgentOptions, Authority, Echo, Http, Mesh, ProxyOptions, ProxyProcess, Signal, World, binary,
    eventually, pick_port,
};

/// Free ports for TLS. `-ephemeral-ports` does not change ports which a configuration states.
fn ports() -> String {
    format!("ports {{ https = {} grpc_tls = {} }}", pick_port(), pick_port())
}

fn block(ca: Option<&Path>, (cert, key): &(PathBuf, PathBuf), more: &str) -> String {
    let mut text = String::from("tls { defaults { ");
    for (name, path) in
        [("ca_file", ca), ("cert_file", Some(cert.as_path())), ("key_file", Some(key.as_path()))]
    {
        if let Some(path) = path {
            let _ = write!(text, "{name} = \"{}\" ", path.display());
        }
    }
    text + more + " } }"
}

fn start(world: &World, hcl: Vec<String>) -> Agent {
    world.agent("n1", AgentOptions { dev: true, hcl, ..AgentOptions::default() })
}

/// Runs a command with these environment variables.
fn command(env: &[(&str, &str)], args: &[&str]) -> Output {
    Command::new(binary()).env_clear().envs(env.iter().copied()).args(args).output().expect("it starts")
}

#[test]
fn n_163_the_api_is_for_callers_with_a_certificate_where_one_is_asked_for() {
    let world = World::new();
    let (authority, stranger) = (Authority::new(world.dir(), "own"), Authority::new(world.dir(), "other"));
    let (server, client) = (authority.issue("server"), authority.issue("client"));
    let foreign = stranger.issue("foreign");
    let hcl = vec![ports(), block(Some(&authority.ca()), &server, "verify_incoming = true")];
    let agent = start(&world, hcl);
    let https = |own| Http::secure(agent.https_addr(), Authority::client(&[&authority], own));
    https(Some(&client)).get("/v1/agent/self").ok();
    for own in [None, Some(&foreign)] {
        https(own).try_send("GET", "/v1/agent/self", None).expect_err("it may not in");
    }

    let address = format!("https://{}", agent.https_addr());
    let path = |path: &Path| path.to_str().expect("a path").to_owned();
    let (ca, cert, key) = (path(&authority.ca()), path(&client.0), path(&client.1));
    let verb = ["connect", "ca", "get-config"];
    let plain = agent.https_addr().to_string();
    let by_variables = [
        ("CONSUL_HTTP_ADDR", plain.as_str()),
        ("CONSUL_HTTP_SSL", "true"),
        ("CONSUL_CACERT", &ca),
        ("CONSUL_CLIENT_CERT", &cert),
        ("CONSUL_CLIENT_KEY", &key),
    ];
    let ran = command(&by_variables, &verb);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let flags = |more: &[(&str, &str)]| {
        let flags: Vec<String> = more.iter().map(|(name, value)| format!("-{name}={value}")).collect();
        let words: Vec<&str> = verb.iter().copied().chain(flags.iter().map(String::as_str)).collect();
        let ran = command(&[], &words);
        (ran.status.success(), String::from_utf8_lossy(&ran.stderr).into_owned())
    };
    let (at, known) = (("http-addr", address.as_str()), ("ca-file", ca.as_str()));
    let own = [("client-cert", cert.as_str()), ("client-key", key.as_str())];
    let (fine, told) = flags(&[at, known, own[0], own[1]]);
    assert!(fine, "{told}");
    let directory = world.path("authorities");
    std::fs::create_dir(&directory).expect("a directory");
    std::fs::copy(&ca, directory.join("ca.pem")).expect("a copy");
    let (fine, told) = flags(&[at, ("ca-path", &path(&directory)), own[0], own[1]]);
    assert!(fine, "{told}");
    let (fine, told) = flags(&[at, known, own[0], own[1], ("tls-server-name", "localhost")]);
    assert!(fine, "{told}");
    for (more, expected) in [
        (vec![at, known], "certificate"),
        (vec![at, ("ca-file", &path(&stranger.ca())), own[0], own[1]], "UnknownIssuer"),
        (vec![at, known, own[0], own[1], ("tls-server-name", "elsewhere.example")], "elsewhere.example"),
        (vec![at, known, own[0]], "-client-key"),
        (vec![at, ("ca-file", "/nowhere.pem")], "/nowhere.pem"),
    ] {
        let (fine, told) = flags(&more);
        assert!(!fine && told.to_lowercase().contains(&expected.to_lowercase()), "{more:?}: {told}");
    }
    let unverified =
        [("CONSUL_HTTP_SSL_VERIFY", "false"), ("CONSUL_CLIENT_CERT", &cert), ("CONSUL_CLIENT_KEY", &key)];
    let ran = command(&unverified, &["connect", "ca", "get-config", &format!("-http-addr={address}")]);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn a_port_without_a_certificate_starts_as_consul_does() {
    let world = World::new();
    let agent = start(&world, vec![ports()]);
    let authority = Authority::new(world.dir(), "own");
    let https = Http::secure(agent.https_addr(), Authority::client(&[&authority], None));
    https.try_send("GET", "/v1/agent/self", None).expect_err("there is nothing to present");
    // The agent does not tell proxies about a port which would refuse them.
    assert_eq!(agent.http().get("/v1/agent/self").json()["xDS"]["Ports"]["TLS"], -1);
}

#[test]
fn files_that_cannot_be_used_stop_the_start_with_their_cause() {
    let world = World::new();
    let authority = Authority::new(world.dir(), "own");
    let (server, other) = (authority.issue("server"), authority.issue("other"));
    let junk = world.write("junk.pem", "no certificate");
    for (pair, more, expected) in [
        ((world.path("none.pem"), server.1.clone()), "", "none.pem: No such file or directory"),
        ((junk.clone(), server.1.clone()), "", "there is no certificate in it"),
        ((server.0.clone(), junk), "", "there is no private key in it"),
        ((server.0.clone(), other.1), "", "the key does not match the certificate"),
        (server, "ca_path = \"/nowhere-at-all\"", "tls.defaults.ca_path: cannot read /nowhere-at-all"),
    ] {
        let hcl = block(None, &pair, more);
        let ran = world.run(&[
            "agent",
            "-dev",
            "-ephemeral-ports",
            "-hcl",
            &hcl,
            "-hcl",
            "ports { grpc_tls = -1 }",
        ]);
        let told = String::from_utf8_lossy(&ran.stderr);
        assert!(!ran.status.success() && told.contains(expected), "{expected}: {told}");
        assert_eq!(told.matches("tls.defaults.").count(), 1, "told once: {told}");
    }
}

#[test]
fn certificates_change_under_load_without_an_error() {
    let world = World::new();
    let (first, second) = (Authority::new(world.dir(), "first"), Authority::new(world.dir(), "second"));
    let server = first.issue("server");
    let mut agent = start(&world, vec![ports(), block(None, &server, "")]);
    let reload = |agent: &Agent| agent.http().send("PUT", "/v1/agent/reload", None);
    assert_eq!(reload(&agent).ok().json()["Reloaded"], serde_json::json!([]), "nothing is new");

    let https = Http::secure(agent.https_addr(), Authority::client(&[&first, &second], None));
    let (done, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for kept in [true, true, false, false] {
            let (https, done, sent) = (&https, &done, &sent);
            scope.spawn(move || {
                let mut conn = https.connect().expect("it listens");
                while !done.load(Ordering::Relaxed) {
                    if !kept {
                        conn = https.connect().expect("a new connection");
                    }
                    let reply = conn.send("GET", "/v1/status/leader", None).expect("an answer");
                    assert_eq!(reply.status, 200, "{reply:?}");
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 0..6 {
            let so_far = sent.load(Ordering::Relaxed);
            let authority = if round % 2 == 0 { &second } else { &first };
            authority.issue("server");
            let reloaded = reload(&agent).ok().json();
            assert_eq!(reloaded["Reloaded"], serde_json::json!(["tls.https", "tls.grpc"]), "{reloaded}");
            let alone = Http::secure(agent.https_addr(), Authority::client(&[authority], None));
            alone.get("/v1/status/leader").ok();
            eventually("requests go on", || (sent.load(Ordering::Relaxed) > so_far + 40).then_some(()));
        }
        // An invalid file changes nothing.
        let before = std::fs::read(&server.0).expect("a certificate");
        world.write("server.pem", "no certificate");
        let refused = reload(&agent);
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(refused.body.contains("server.pem: there is no certificate in it"), "{refused:?}");
        agent.process().signal(Signal::HUP);
        let (log, told) = (agent.process().log(), "there is no certificate in it");
        eventually("the log tells", || agent.process().log()[log.len()..].contains(told).then_some(()));
        https.get("/v1/status/leader").ok();
        std::fs::write(&server.0, before).expect("a file can be written");
        second.issue("server");
        agent.process().signal(Signal::HUP);
        let alone = Http::secure(agent.https_addr(), Authority::client(&[&second], None));
        eventually("SIGHUP reads it", || alone.try_send("GET", "/v1/status/leader", None).ok());
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn proxies_attach_under_tls() {
    let world = World::new();
    let authority = Authority::new(world.dir(), "own");
    let (server, client) = (authority.issue("server"), authority.issue("client"));
    let hcl = vec![
        ports(),
        block(Some(&authority.ca()), &server, "verify_incoming = true"),
        "ports { grpc = -1 }".to_owned(),
    ];
    let agent = start(&world, hcl);
    let (api, web) = (Echo::new(), Echo::new());
    let definitions = format!(
        r#"
        services {{ name = "api" port = {} address = "127.0.0.1" connect {{ sidecar_service {{ port = {} }} }} }}
        services {{
          name = "web" port = {} address = "127.0.0.1"
          connect {{ sidecar_service {{
            port = {}
            proxy {{ upstreams {{ destination_name = "api" local_bind_port = {} }} }}
          }} }}
        }}
        "#,
        api.addr().port(),
        pick_port(),
        web.addr().port(),
        pick_port(),
        pick_port(),
    );
    let file = world.write("services.hcl", definitions);
    agent.cli_ok(&["services", "register", file.to_str().expect("a path")]);
    let told = agent.http().get("/v1/agent/self").json();
    assert_eq!(told["xDS"]["Ports"]["TLS"], agent.grpc_tls_addr().port());
    let flag = |name: &str, path: &Path| format!("-{name}={}", path.display());
    let pair = [flag("client-cert", &client.0), flag("client-key", &client.1)];
    // One proxy asks the agent for the port, the other gets the address.
    let found = ProxyOptions {
        args: [&[flag("grpc-ca-file", &authority.ca())], &pair[..]].concat(),
        ..Default::default()
    };
    let named = ProxyOptions {
        args: pair.to_vec(),
        env: vec![
            ("CONSUL_GRPC_ADDR".to_owned(), format!("https://{}", agent.grpc_tls_addr())),
            ("CONSUL_GRPC_CACERT".to_owned(), authority.ca().display().to_string()),
        ],
        ..ProxyOptions::default()
    };
    // A directory of authorities works like a file.
    let directory = world.path("authorities");
    std::fs::create_dir(&directory).expect("a directory");
    std::fs::copy(authority.ca(), directory.join("ca.pem")).expect("a file");
    let by_directory = ProxyOptions {
        args: [&[flag("grpc-ca-path", &directory)], &pair[..]].concat(),
        ..ProxyOptions::default()
    };
    let mut first = ProxyProcess::start(&world, &agent.http_addr(), "api", &by_directory);
    first.await_ready();
    drop(first);
    let mut api_sidecar = ProxyProcess::start(&world, &agent.http_addr(), "api", &found);
    let mut web_sidecar = ProxyProcess::start(&world, &agent.http_addr(), "web", &named);
    api_sidecar.await_ready();
    web_sidecar.await_ready();
    let mesh = Mesh { api, web, api_sidecar, web_sidecar };
    eventually("a message goes through", || mesh.call().ok());
}
