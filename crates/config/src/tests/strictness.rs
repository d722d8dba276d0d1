//! Tests of the allowed spellings of keys and values, and of old names of keys.

use std::time::Duration;

use concord_model::intention::Action;

use super::{config, host, loaded, refused, refused_with, server, sources, warned};
use crate::AgentFlags;
use crate::address::Port;
use crate::deprecated::DEPRECATED;
use crate::knob::KNOBS;
use crate::load;
use crate::section::DownPolicy;

#[test]
fn values_do_not_turn_into_others() {
    refused(
        "acl {\n enabled = \"true\"\n}\nlog_json = 1\nports { http = \"8500\" }\nnode_meta { a = 1 }",
        &[
            "a.hcl:2:12: acl.enabled: expected true or false, found \"true\"",
            "a.hcl:4:12: log_json: expected true or false, found 1",
            "a.hcl:5:16: ports.http: expected a number, found \"8500\"",
            "a.hcl:6:17: node_meta.a: expected a string, found 1",
        ],
    );
    for (text, expected) in [
        ("log_json = 1", "log_json: expected true or false, found 1"),
        ("server = \"true\"", "server: expected true or false, found \"true\""),
        ("ports { http = \"8500\" }", "ports.http: expected a number, found \"8500\""),
        ("node_meta { a = 1 }", "node_meta.a: expected a string, found 1"),
        ("node_name = 5", "node_name: expected a string, found 5"),
        ("default_query_time = 5", "default_query_time: 5 has no unit; write a duration such as \"5s\""),
        ("acl { token_ttl = 5 }", "acl.token_ttl: 5 has no unit; write a duration such as \"5s\""),
        ("max_query_time = \"5\"", "max_query_time: time: missing unit in duration \"5\""),
    ] {
        let found = load(&sources(&[("a.hcl", text)]), &server(), &host()).expect_err(text);
        let texts: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert!(texts.len() == 1 && texts[0].ends_with(expected), "{text}: {texts:?}");
    }
    let own = config("acl { enabled = true token_ttl = \"5s\" } log_json = true ports { http = 8600 }");
    assert!(own.acl.enabled && own.log.json && own.http.port == Port::At(8600));
    assert_eq!(own.acl.token_ttl, Duration::from_secs(5));
}

#[test]
fn keys_are_spelt_with_their_underscores_in_any_case() {
    refused(
        "NodeName = \"x\"\nacl { DefaultPolicy = \"deny\" }\nACLDatacenter = \"dc1\"\nDNSConfig { }\nConfigEntries { }",
        &[
            "a.hcl:1:1: unknown key \"NodeName\", did you mean \"node_name\"?",
            "a.hcl:2:7: acl.DefaultPolicy: unknown key \"DefaultPolicy\", did you mean \"default_policy\"?",
            "a.hcl:3:1: unknown key \"ACLDatacenter\", did you mean \"acl_datacenter\"?",
            "a.hcl:4:1: unknown key \"DNSConfig\", did you mean \"dns_config\"?",
            "a.hcl:5:1: unknown key \"ConfigEntries\", did you mean \"config_entries\"?",
        ],
    );
    let own = config(
        "Node_Name = \"x\" ACL { Default_POLICY = \"deny\" } connect { ca_config { LeafCertTTL = \"1h\" } }
         Service { Name = \"web\" EnableTagOverride = true } node_meta { CamelCase = \"y\" }",
    );
    assert_eq!((own.agent.node_name.as_str(), own.acl.default_policy), ("x", Action::Deny));
    assert!(own.definitions.services[0].enable_tag_override && own.agent.node_meta["CamelCase"] == "y");
}

#[test]
fn blocks_may_be_lists_of_objects() {
    let text = r#"{"ports":[{"http":8600,"server":8700}],"acl":[{"tokens":[{"agent":"a"}]}],"connect":[],
        "node_meta":[{"a":"1"}],"http_config":{"response_headers":[{"X":"1"}]}}"#;
    let own = loaded(&[("a.json", text)], &server()).config;
    assert_eq!((own.http.port, own.server.port), (Port::At(8600), Port::At(8700)));
    assert!(own.acl.tokens.agent.is_some() && own.agent.node_meta["a"] == "1");
    assert_eq!(own.http.response_headers["X"], "1");
}

#[test]
fn keys_of_earlier_days_mean_what_they_meant() {
    let own = loaded(
        &[(
            "a.hcl",
            "acl_datacenter = \"DC2\"\nacl_default_policy = \"deny\"\nacl_down_policy = \"deny\"\nacl_ttl = \"5s\"
acl_token = \"d\"\nacl_agent_token = \"a\"\nacl { tokens { master = \"m\" } enabled = false }\ndatacenter = \"dc2\"",
        )],
        &server(),
    );
    let acl = &own.config.acl;
    // The old key for the ACL datacenter also enabled ACLs.
    assert!(acl.enabled && own.config.agent.primary_datacenter.as_str() == "dc2");
    assert_eq!((acl.default_policy, acl.down_policy), (Action::Deny, DownPolicy::Deny));
    assert_eq!(acl.token_ttl, Duration::from_secs(5));
    assert!(acl.initial_management.as_ref().unwrap().matches("m"));
    assert!(
        acl.tokens.default.as_ref().unwrap().matches("d") && acl.tokens.agent.as_ref().unwrap().matches("a")
    );
    assert_eq!(own.warnings.len(), 7, "{:?}", own.warnings);
    assert_eq!(
        own.warnings[0].to_string(),
        "a.hcl:1:1: the key acl_datacenter is deprecated; use primary_datacenter"
    );
    assert!(!format!("{:?}", own.warnings).contains("\"m\""));
    assert_eq!(own.origin("acl.default_policy").to_string(), "a.hcl:2:1");
    // The current key wins, and the other old keys do not enable ACLs.
    let own = config("acl { default_policy = \"deny\" }\nacl_default_policy = \"allow\"");
    assert!(own.acl.default_policy == Action::Deny && !own.acl.enabled);
    let own = loaded(
        &[("a.json", r#"{"acl":null,"acl_datacenter":null,"acl_default_policy":"deny","acl_token":"t"}"#)],
        &server(),
    );
    assert!(own.config.acl.default_policy == Action::Deny && own.config.acl.tokens.default.is_some());
    assert!(!own.config.acl.enabled && own.warnings.len() == 2, "null says nothing");
    // The value of an old key is checked like that of the current one.
    refused(
        "acl_default_policy = \"perhaps\"\nacl_ttl = 5",
        &[
            "a.hcl:1:1: acl.default_policy: \"perhaps\" is not a policy; use allow or deny",
            "a.hcl:2:11: acl.token_ttl: 5 has no unit; write a duration such as \"5s\"",
        ],
    );
    for old in DEPRECATED {
        assert!(KNOBS.iter().any(|knob| knob.key == old.now), "{}", old.now);
    }
}

#[test]
fn a_warning_is_no_reason_not_to_start() {
    let text =
        "limits {\n rpc_max_conns_per_client = 5\n request_limits { mode = \"enforcing\" read_rate = 5 }\n}";
    let found =
        load(&sources(&[("a.hcl", text)]), &server(), &host()).expect_err("limits that would not hold");
    let texts: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        ["a.hcl:3:2: not available yet: limits.request_limits: requests would not be limited; leave it out"]
    );
}

#[test]
fn limits_that_would_not_count_are_told_by_their_mode() {
    for off in [
        "",
        "mode = \"disabled\" read_rate = 5",
        "mode = \"\" read_rate = 5",
        "mode = \"enforcing\"",
        "mode = \"enforcing\" read_rate = -1 write_rate = -1.0",
    ] {
        warned(&format!("limits {{ request_limits {{ {off} }} }}"), &[]);
    }
    warned(
        "limits { request_limits { mode = \"permissive\" write_rate = 0.5 } rpc_rate = 5 }",
        &[
            "a.hcl:1:10: limits.request_limits has no effect: requests would not be limited; limits.rpc_rate has no effect: agents do not talk to each other yet",
        ],
    );
}

#[test]
fn one_mistake_is_one_complaint() {
    // A missing key may be in the part that could not be parsed.
    refused_with(
        &[("a.hcl", "data_dir = \"/data\" server = [")],
        &AgentFlags::default(),
        &["a.hcl:1:30: expected a value, found the end of the text"],
    );
    refused_with(
        &[("a.hcl", "data_dir = 5\nserver = true\nbootstrap_expect = \"3\"")],
        &AgentFlags::default(),
        &[
            "a.hcl:1:12: data_dir: expected a string, found 5",
            "a.hcl:3:20: bootstrap_expect: expected a number, found \"3\"",
        ],
    );
    refused_with(
        &[("a.hcl", "data_dri = \"/data\"\nserver = true\nbootstrap_expect = 1\nports { http = 8300 }")],
        &AgentFlags::default(),
        &["a.hcl:1:1: unknown key \"data_dri\", did you mean \"data_dir\"?"],
    );
    // An empty source counts as absent.
    let own = loaded(&[("a.json", ""), ("b.json", " \n"), ("c.hcl", "# nothing")], &server());
    assert!(own.warnings.is_empty());
}

#[test]
fn unknown_keys_get_the_nearest_known_one() {
    for (text, key, meant) in [
        ("port { http = 1 }", "port", "\"ports\""),
        ("acls { enabled = true }", "acls", "\"acl\""),
        ("token = \"x\"", "token", "\"acl.tokens\""),
        ("acl { token { agent = \"x\" } }", "token", "\"tokens\""),
        ("acl { tokens { agents = \"x\" } }", "agents", "\"agent\""),
        ("http_port = 8500", "http_port", "\"ports.http\""),
        ("bind = \"127.0.0.1\"", "bind", "\"bind_addr\""),
        ("client = \"127.0.0.1\"", "client", "\"client_addr\""),
        ("node = \"a\"", "node", "\"node_name\""),
        ("default_policy = \"deny\"", "default_policy", "\"acl.default_policy\""),
        ("agent_token = \"x\"", "agent_token", "\"acl.tokens.agent\""),
        ("acl { datacenter = \"dc1\" }", "datacenter", "\"datacenter\" outside of acl"),
        ("dns_config { allow_stal = true }", "allow_stal", "\"allow_stale\""),
        ("ui_config { enable = true }", "enable", "\"enabled\""),
        ("auto_encrypt { allow_tsl = true }", "allow_tsl", "\"allow_tls\""),
        ("telemetry { statsd_addres = \"a\" }", "statsd_addres", "\"statsd_address\""),
        ("dns { }", "dns", "\"ports.dns\""),
        ("retry-join = []", "retry-join", "\"retry_join\""),
    ] {
        let found = load(&sources(&[("a.hcl", text)]), &server(), &host()).expect_err(text);
        let [one] = found.as_slice() else { panic!("{text}: {found:?}") };
        assert_eq!(one.message, format!("unknown key {key:?}, did you mean {meant}?"), "{text}");
    }
    refused("bogus = 1", &["a.hcl:1:1: unknown key \"bogus\""]);
}
