//! The official Go client of Consul's API, from the module proxy, against our agent.

use std::path::{Path, PathBuf};
use std::process::Command;

use concord_e2e::{AgentOptions, Go, World, foreign, go_program, ran, skip};

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
    let output = Command::new(program).args([address, mode]).env_remove("CONSUL_HTTP_TOKEN").output();
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
