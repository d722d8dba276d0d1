//! The API and the proxies' port on unix sockets, together with TCP and without it.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use concord_e2e::{AgentOptions, ProxyOptions, ProxyProcess, Signal, World, binary};

fn ask(socket: &Path, path: &str) -> String {
    let mut stream = UnixStream::connect(socket).expect("it listens");
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

#[test]
fn the_api_is_served_at_a_unix_socket_and_the_command_line_finds_it() {
    let world = World::new();
    let (http, grpc) = (world.path("http.sock"), world.path("grpc.sock"));
    // A killed process leaves its socket behind.
    drop(std::os::unix::net::UnixListener::bind(&http).expect("a socket"));
    let hcl = format!(
        "addresses {{ http = \"127.0.0.1 unix://{}\" grpc = \"127.0.0.1 unix:{}\" }} unix_sockets {{ mode = \"0600\" }}",
        http.display(),
        grpc.display()
    );
    let mut agent = world.agent("n1", AgentOptions { hcl: vec![hcl], ..AgentOptions::default() });
    for socket in [&http, &grpc] {
        assert_eq!(fs::metadata(socket).expect("it is there").permissions().mode() & 0o7777, 0o600);
    }
    let answer = ask(&http, "/v1/agent/self");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"n1\""), "{answer}");

    let address = format!("unix://{}", http.display());
    for (variable, flag) in [(Some(&address), None), (None, Some(format!("-http-addr={address}")))] {
        let mut command = Command::new(binary());
        command.env_clear().args(["connect", "ca", "get-config"]).args(flag);
        command.envs(variable.map(|address| ("CONSUL_HTTP_ADDR", address)));
        let ran = command.output().expect("it starts");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        assert!(String::from_utf8_lossy(&ran.stdout).contains("consul"));
    }

    // A second agent does not take over the socket of a running one.
    let second = world.run(&[
        "agent",
        "-dev",
        "-ephemeral-ports",
        "-hcl",
        &format!("addresses {{ http = \"{address}\" }}"),
    ]);
    let text = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success() && text.contains("somebody listens at this socket"), "{text}");

    // A proxy can use this socket instead of a port.
    let web = r#"service { name = "web" port = 1 connect { sidecar_service {} } }"#;
    let file = world.write("web.hcl", web);
    agent.cli_ok(&["services", "register", file.to_str().expect("a path")]);
    let args = vec![format!("-grpc-addr=unix://{}", grpc.display())];
    let options = ProxyOptions { args, ..ProxyOptions::default() };
    ProxyProcess::start(&world, &address, "web", &options).await_ready();

    agent.kill9();
    assert!(http.exists(), "nobody was there to remove it");
    agent.restart();
    assert!(ask(&http, "/v1/status/leader").starts_with("HTTP/1.1 200"));
    agent.process().signal(Signal::TERM);
    assert!(agent.process().wait().success());
    assert!(!http.exists() && !grpc.exists(), "the sockets go with the agent");
}

#[test]
fn a_file_that_is_no_socket_is_left_alone() {
    let world = World::new();
    let file = world.write("precious", "precious");
    let hcl = format!("addresses {{ http = \"unix://{}\" }}", file.display());
    let refused = world.run(&["agent", "-dev", "-ephemeral-ports", "-hcl", &hcl]);
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success(), "{text}");
    assert!(text.contains("precious for HTTP") && text.contains("no socket; move it away"), "{text}");
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "precious");
    let hcl = "addresses { http = \"unix:///nowhere\" } unix_sockets { group = \"nobody-of-that-name\" }";
    let refused = world.run(&["agent", "-dev", "-ephemeral-ports", "-hcl", hcl]);
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && text.contains("unix_sockets.group: /etc/group has no"), "{text}");
}
