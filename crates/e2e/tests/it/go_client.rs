//! The official Go client of Consul's API, from the module proxy, against our agent.

use std::path::{Path, PathBuf};
use std::process::Command;

use concord_e2e::{AgentOptions, Authority, Go, World, foreign, go_program, pick_port, ran, skip};

fn program(test: &str, dir: &Path) -> Option<PathBuf> {
    let go = foreign(test, "CONCORD_TEST_GO", "go", &["version"])?;
    match go_program(&Go(go), "consul_api", dir) {
        Ok(program) => Some(program),
        Err(why) => {
            skip(
                test,
                &format!("the client's module cannot be had: {}", why.lines().last().unwrap_or_default()),
            );
            None
        }
    }
}

#[track_caller]
fn steps(program: &Path, address: &str, mode: &str) -> usize {
    steps_with(program, address, mode, &[])
}

#[track_caller]
fn steps_with(program: &Path, address: &str, mode: &str, files: &[(&str, &Path)]) -> usize {
    let mut command = Command::new(program);
    command.args([address, mode]).env_remove("CONSUL_HTTP_TOKEN").envs(files.iter().copied());
    let output = command.output();
    let text = ran(&format!("consul_api {mode}"), &output.expect("it starts"));
    text.lines().filter(|line| line.starts_with("ok ")).count()
}

#[test]
fn consuls_go_client_uses_the_mesh() {
    let world = World::new();
    let Some(program) = program("consuls_go_client_uses_the_mesh", world.dir()) else { return };
    let agent = world.dev_agent("n1");
    assert_eq!(steps(&program, &agent.http_addr(), "mesh"), 21);
}

#[test]
fn consuls_go_client_uses_acls() {
    let world = World::new();
    let Some(program) = program("consuls_go_client_uses_acls", world.dir()) else { return };
    let hcl = vec!["acl { enabled = true default_policy = \"deny\" token_ttl = \"1s\" }".to_owned()];
    let agent = world.agent("n1", AgentOptions { dev: true, hcl, ..AgentOptions::default() });
    assert_eq!(steps(&program, &agent.http_addr(), "acl"), 4);
}

#[test]
fn consuls_go_client_is_served_over_https_and_at_unix_sockets() {
    let world = World::new();
    let test = "consuls_go_client_is_served_over_https_and_at_unix_sockets";
    let Some(program) = program(test, world.dir()) else { return };
    let authority = Authority::new(world.dir(), "own");
    let (server, client) = (authority.issue("server"), authority.issue("client"));
    let (ca, socket) = (authority.ca(), world.path("http.sock"));
    let hcl = format!(
        "addresses {{ http = \"127.0.0.1 unix://{}\" }} ports {{ https = {} }}
        tls {{ https {{ ca_file = \"{}\" cert_file = \"{}\" key_file = \"{}\" verify_incoming = true }} }}",
        socket.display(),
        pick_port(),
        ca.display(),
        server.0.display(),
        server.1.display()
    );
    let agent = |name| {
        world.agent(name, AgentOptions { dev: true, hcl: vec![hcl.clone()], ..AgentOptions::default() })
    };
    let one = agent("n1");
    let files = [
        ("CONSUL_CACERT", ca.as_path()),
        ("CONSUL_CLIENT_CERT", &client.0),
        ("CONSUL_CLIENT_KEY", &client.1),
    ];
    assert_eq!(steps_with(&program, &format!("https://{}", one.https_addr()), "mesh", &files), 21);
    drop(one);
    let _another = agent("n2");
    assert_eq!(steps(&program, &format!("unix://{}", socket.display()), "mesh"), 21);
}
