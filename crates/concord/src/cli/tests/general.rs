//! What all commands share: help, names, versions, errors, tokens.

use concord_client::testing::Scripted;

use super::super::command::Run;
use super::super::table::COMMANDS;
use super::super::version::{CONSUL_LEVEL, OWN_VERSION};
use super::super::{Program, help};
use super::{Bench, check, refuse};

fn run(words: &[&str]) -> super::Ran {
    Bench::answering("null").run(words)
}

#[test]
fn the_program_is_named_as_it_was_started() {
    assert_eq!(Program::of("/usr/local/bin/consul"), Program::Consul);
    assert_eq!(Program::of("consul.exe"), Program::Consul);
    assert_eq!(Program::of("./concord"), Program::Concord);
    assert_eq!(Program::of(""), Program::Concord);
    let ran = Bench::answering("").started_as(Program::Consul).run(&["members", "-h"]);
    assert!(ran.out.starts_with("Usage: consul members [options]\n"), "{}", ran.out);
}

#[test]
fn without_a_command_the_commands_are_listed() {
    let ran = run(&[]);
    assert_eq!((ran.code, ran.out.as_str()), (127, ""));
    assert!(ran.err.contains("Available commands are:\n    acl "), "{}", ran.err);
    let ran = run(&["-help"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.contains("\n    members "), "{}", ran.out);
}

#[test]
fn an_unknown_command_is_named_with_the_nearest() {
    let ran = run(&["member"]);
    assert_eq!(ran.code, 127);
    assert!(ran.err.starts_with("Error: there is no command \"member\"; did you mean \"members\"?\n"));
    let ran = run(&["intention", "chek", "a", "b"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("did you mean \"intention check\"?"), "{}", ran.err);
    assert!(ran.err.contains("Subcommands:\n    check     ") && ran.out.is_empty(), "{ran:?}");
}

#[test]
fn a_command_that_is_not_built_says_so_and_a_typo_does_not() {
    for (words, told) in [
        (&["kv", "get", "a"][..], "Error: not available yet: kv: the key/value store is not built\n"),
        (&["kv", "-help"], "Error: not available yet: kv: the key/value store is not built\n"),
        (
            &["acl", "role", "list"],
            "Error: not available yet: acl role: ACL roles are not built; link policies to tokens\n",
        ),
        (
            &["connect", "redirect-traffic", "-proxy-id=a"],
            "Error: not available yet: connect redirect-traffic: ",
        ),
        (&["services", "export"], "Error: not available yet: services export: "),
    ] {
        let ran = run(words);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{words:?}");
        assert!(ran.err.starts_with(told), "{words:?}: {}", ran.err);
    }
    for (words, code, told) in [
        (&["kx", "get"][..], 127, "there is no command \"kx\"; did you mean \"kv\" (not available yet)?"),
        (&["keygne"], 127, "there is no command \"keygne\"; did you mean \"keygen\"?"),
        (&["x"], 127, "there is no command \"x\"\n"),
        (
            &["tls", "cert", "creat"],
            1,
            "there is no command \"tls cert creat\"; did you mean \"tls cert create\"?",
        ),
        (&["nothing-like-it"], 127, "there is no command \"nothing-like-it\"\n"),
    ] {
        let ran = run(words);
        assert_eq!(ran.code, code, "{words:?}");
        assert!(ran.err.contains(told), "{words:?}: {}", ran.err);
    }
}

#[test]
fn a_group_alone_prints_what_it_holds() {
    let ran = run(&["acl", "token"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    for name in ["clone", "create", "delete", "list", "read", "update"] {
        assert!(ran.err.contains(&format!("\n    {name} ")), "{name}: {}", ran.err);
    }
    let asked = run(&["acl", "token", "-help"]);
    assert_eq!((asked.code, asked.out.trim_end()), (0, ran.err.trim_end()));
}

#[test]
fn every_command_has_help_within_the_width_that_names_every_flag() {
    for command in COMMANDS {
        let text = help::command_text(Program::Concord, command);
        assert!(text.starts_with(&format!("Usage: concord {}", command.name)), "{text}");
        for flag in command.all_flags() {
            assert!(text.contains(&format!("\n  -{}", flag.name)), "{} -{}", command.name, flag.name);
        }
        for line in text.lines() {
            assert!(line.chars().count() <= 80 && line.trim_end() == line, "{}: {line:?}", command.name);
        }
        assert_eq!(text.contains("HTTP API Options"), command.http, "{}", command.name);
        let words: Vec<_> = command.name.split(' ').chain(["-help"]).collect();
        assert_eq!((run(&words).code, run(&words).out), (0, text));
    }
}

#[test]
fn help_shows_defaults_variables_and_repetition() {
    let text = run(&["acl", "token", "create", "-h"]).out;
    let options = text.find("\nCommand Options\n").unwrap();
    assert!(options < text.find("\nHTTP API Options\n").unwrap());
    let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        plain.contains("-format=<pretty|json> How to print the result. The default is pretty."),
        "{plain}"
    );
    assert!(plain.contains("-policy-name=<name> Name of a policy of the token. May be given several times."));
    assert!(plain.contains("Also taken from CONCORD_HTTP_ADDR or CONSUL_HTTP_ADDR."), "{plain}");
}

#[test]
fn flags_nobody_declared_are_refused_before_anything_is_asked() {
    refuse(
        &["members", "-nope"],
        1,
        "Error: flag provided but not defined: -nope\n  See: concord members -help",
    );
    refuse(&["intention", "check", "-nope", "a", "b"], 2, "flag provided but not defined: -nope");
    refuse(&["members", "-format=xml"], 1, "invalid value \"xml\" for flag -format: expected pretty or json");
    refuse(&["leave", "now"], 1, "expected no arguments, found 1");
    refuse(&["intention", "create", "a", "b", "-deny"], 1, "flags go before the arguments");
}

#[test]
fn versions_are_what_sniffers_look_for() {
    let consul = |words: &[&str]| Bench::answering("").started_as(Program::Consul).run(words).out;
    for word in ["version", "-v", "-version", "--version"] {
        assert_eq!(consul(&[word]).lines().next(), Some(format!("Consul v{CONSUL_LEVEL}").as_str()));
    }
    let own = run(&["version"]).out;
    assert_eq!(own, format!("concord v{OWN_VERSION}\nCompatible with Consul v{CONSUL_LEVEL}\n"));
    let json: serde_json::Value = serde_json::from_str(&consul(&["version", "-format=json"])).unwrap();
    assert_eq!(json["Version"], CONSUL_LEVEL);
    assert_eq!(json["RPC"], serde_json::json!({"Default": 2, "Min": 2, "Max": 3}));
    assert_eq!(json["ProductVersion"], OWN_VERSION);
}

#[test]
fn an_agents_configuration_is_checked_first() {
    refuse(&["agent", "-dev", "-hcl", "prots { }"], 1, "-hcl:1:1");
}

#[test]
fn completion_prints_candidates_only() {
    let ran =
        Bench::answering("").variable("COMP_LINE", "concord intention m").run(&["concord", "m", "intention"]);
    check(&ran, &[], "match\n");
}

#[test]
fn completion_is_set_up_where_there_is_a_start_file() {
    let home = tempfile::tempdir().unwrap();
    let run = |word| Bench::answering("").variable("HOME", home.path().to_str().unwrap()).run(&[word]);
    let ran = run("-autocomplete-install");
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("found neither .bashrc nor .zshrc"), "{}", ran.err);
    let bashrc = home.path().join(".bashrc");
    std::fs::write(&bashrc, "").unwrap();
    assert_eq!(run("-autocomplete-install").code, 0);
    assert!(std::fs::read_to_string(&bashrc).unwrap().starts_with("complete -o default -C "));
    assert_eq!(run("-autocomplete-uninstall").code, 0);
    assert_eq!(std::fs::read_to_string(&bashrc).unwrap(), "");
}

#[test]
fn an_agent_that_is_not_there_is_reported_with_the_remedy() {
    let ran = Bench::answering("").run(&["leave", "-http-addr=unix:///nonexistent/agent.sock"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(ran.err.starts_with("Error: cannot make the agent leave: cannot connect to unix:///nonexistent"));
    assert!(ran.err.contains("-http-addr"), "{}", ran.err);
}

#[test]
fn a_refusal_keeps_the_agents_words() {
    let ran = Bench::scripted(|_| Scripted::status(403, "Permission denied: x")).run(&["reload"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("Unexpected response code: 403 (Permission denied: x)\n"), "{}", ran.err);
    assert!(ran.err.contains("-token"), "{}", ran.err);
}

#[test]
fn a_refusal_is_followed_by_what_helps_and_by_nothing_else() {
    let err = |status: u16, text: &'static str, words: &[&str]| {
        Bench::scripted(move |_| Scripted::status(status, text)).run(words).err
    };
    let spent = "Permission denied: ACL bootstrap no longer allowed (reset index: 6)";
    let told = err(403, spent, &["acl", "bootstrap"]);
    assert!(told.contains("made already") && !told.contains("-token"), "{told}");
    let told =
        err(403, "token does not exist: ACL not found", &["acl", "token", "read", "-id", &"0".repeat(36)]);
    assert_eq!(told.lines().count(), 1, "{told}");
    let unknown = "Requested policy does not exist: ACL not found";
    let told = err(404, unknown, &["acl", "policy", "read", "-name=nope"]);
    assert_eq!(told.lines().count(), 1, "{told}");
    let told = err(403, "ACL not found", &["acl", "policy", "list"]);
    assert!(told.contains("the token of this request is not known"), "{told}");
}

#[test]
fn the_shared_flags_reach_the_request() {
    let words = [
        "services",
        "deregister",
        "-id=a",
        "-token=t",
        "-datacenter",
        "dc2",
        "-stale",
        "-namespace=default",
        "-partition=default",
    ];
    let ran = Bench::answering("").variable("CONSUL_HTTP_TOKEN", "other").run(&words);
    let line = "PUT /v1/agent/service/deregister/a?dc=dc2&ns=default&partition=default&stale=";
    check(&ran, &[line], "Deregistered service: a\n");
    assert_eq!(ran.seen[0].header("x-consul-token"), "t");
}

#[test]
fn commands_about_the_agent_itself_ask_no_other() {
    for command in ["info", "leave", "maint", "members", "monitor", "reload"] {
        refuse(&[command, "-datacenter=dc2"], 1, "flag provided but not defined: -datacenter");
        refuse(&[command, "-stale"], 1, "flag provided but not defined: -stale");
        let help = Bench::answering("").run(&[command, "-help"]).out;
        assert!(help.contains("-http-addr") && !help.contains("-datacenter"), "{help}");
    }
    let ran = Bench::answering("").run(&["leave", "-token=t", "-partition=default"]);
    check(&ran, &["PUT /v1/agent/leave?partition=default"], "Graceful leave complete\n");
}

#[test]
fn every_command_that_asks_takes_the_shared_flags() {
    for command in COMMANDS {
        assert!(!matches!(command.run, Run::Api(_)) || command.http, "{}", command.name);
    }
}
