//! Unchanged Consul API clients in four languages run against our program: the suites below `interop/`.

use std::path::PathBuf;
use std::process::Command;

use concord_e2e::{Agent, AgentOptions, Runner, World, as_consul, foreign, prepared, run_suite, suite_dir};

/// The management token of the agent with ACLs.
const TOKEN: &str = "5a2bbd57-bd55-4bd4-8e0f-4c8f2f1cbb5f";

/// An agent without ACLs, and an agent with ACLs which denies everything without a token.
fn agents(world: &World) -> (Agent, Agent) {
    let options =
        |hcl: &str| AgentOptions { dev: true, hcl: vec![hcl.to_owned()], ..AgentOptions::default() };
    let acl = format!(
        "acl {{ enabled = true default_policy = \"deny\" token_ttl = \"1s\"
        tokens {{ initial_management = \"{TOKEN}\" agent = \"{TOKEN}\" }} }}"
    );
    let plain = "enable_script_checks = true node_meta { rack = \"r1\" }";
    (world.agent("n1", options(plain)), world.agent("n2", options(&acl)))
}

fn told(command: &mut Command, (plain, acl): &(Agent, Agent)) {
    command.env("INTEROP_ADDR", plain.http_addr());
    command.env("INTEROP_ACL_ADDR", acl.http_addr()).env("INTEROP_TOKEN", TOKEN);
}

#[test]
fn consuls_go_client_and_its_harness_run_unchanged() {
    let test = "consuls_go_client_and_its_harness_run_unchanged";
    let Some(go) = foreign(test, "CONCORD_TEST_GO", "go", &["version"]) else { return };
    let world = World::new();
    let dir = suite_dir("go");
    let command = |args: &[&str]| {
        let mut command = Command::new(&go);
        command.current_dir(&dir).args(args).env("GOWORK", "off").env("CGO_ENABLED", "0");
        command.env("GOFLAGS", "-mod=readonly -buildvcs=false").env("GOTOOLCHAIN", "local");
        if let Some(modules) = std::env::var_os("CONCORD_TEST_GO_MODULES") {
            command.env("GOMODCACHE", modules);
        }
        command
    };
    if !prepared(test, "the client's modules", &mut command(&["mod", "download"])) {
        return;
    }
    let mut tests = command(&["test", "-v", "-count=1", "."]);
    as_consul(&mut tests, world.dir());
    tests.env("TMPDIR", world.dir()).env("TEST_LOGGING_ONLY_FAILED", "1");
    run_suite("go", Runner::Go, 150, &mut tests);
}

#[test]
fn consuls_python_client_runs_unchanged() {
    let test = "consuls_python_client_runs_unchanged";
    let probe = ["-c", "import consul"];
    let Some(python) = foreign(test, "CONCORD_TEST_PY_CONSUL", "python3", &probe) else { return };
    let world = World::new();
    let agents = agents(&world);
    let mut command = Command::new(python);
    command.arg("-B").arg(suite_dir("python").join("suite.py"));
    told(&mut command, &agents);
    run_suite("python", Runner::Tap, 30, &mut command);
}

#[test]
fn consuls_node_client_runs_unchanged() {
    let test = "consuls_node_client_runs_unchanged";
    let modules = std::env::var_os("CONCORD_TEST_NODE_MODULES")
        .map_or_else(|| suite_dir("node").join("node_modules"), PathBuf::from);
    let probe = format!("require({:?})", modules.join("consul"));
    let Some(node) = foreign(test, "CONCORD_TEST_NODE", "node", &["-e", &probe]) else { return };
    let world = World::new();
    let agents = agents(&world);
    let mut command = Command::new(node);
    command.args(["--test-reporter=tap"]).arg(suite_dir("node").join("suite.js")).env("NODE_PATH", modules);
    told(&mut command, &agents);
    run_suite("node", Runner::Tap, 25, &mut command);
}

#[test]
fn consuls_rust_client_runs_unchanged() {
    let test = "consuls_rust_client_runs_unchanged";
    let world = World::new();
    let agents = agents(&world);
    let cargo = |args: &[&str]| {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(suite_dir("rust")).args(args).args(["--locked", "--color", "never"]);
        // A target directory of its own, because two cargo processes in the same directory wait for each other.
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
        command.env("CARGO_TARGET_DIR", suite_dir("..").join(target).join("interop"));
        command
    };
    if !prepared(test, "the client's crates", &mut cargo(&["fetch"])) {
        return;
    }
    let mut tests = cargo(&["test"]);
    told(&mut tests, &agents);
    run_suite("rust", Runner::Libtest, 8, &mut tests);
}
