//! Tests of whole files: parsed, merged and resolved; what is refused, and at which position.

use std::collections::BTreeSet;
use std::time::Duration;

use concord_model::Secret;
use concord_model::intention::Action;

use crate::absent::{ABSENT, Answer};
use crate::address::Port;
use crate::deprecated::DEPRECATED;
use crate::knob::{DEV_DEFAULTS, KNOBS};
use crate::raw::Raw;
use crate::section::{DownPolicy, Level};
use crate::{AgentFlags, Config, Host, Loaded, Severity, Source, load};

mod addresses;
mod dns;
mod entries;
mod keys;
mod listen;
mod operators;
mod strictness;

fn host() -> Host {
    Host { hostname: "host".to_owned(), ..Host::default() }
}

fn sources(texts: &[(&str, &str)]) -> Vec<Source> {
    texts.iter().map(|(name, text)| Source::file(*name, text.as_bytes().to_vec())).collect()
}

/// The smallest configuration of a server with persistent data that starts.
fn server() -> AgentFlags {
    AgentFlags {
        server: Some(true),
        bootstrap_expect: Some(1),
        data_dir: Some("/data".to_owned()),
        ..AgentFlags::default()
    }
}

fn dev() -> AgentFlags {
    AgentFlags { dev: true, ..AgentFlags::default() }
}

#[track_caller]
fn loaded(texts: &[(&str, &str)], flags: &AgentFlags) -> Loaded {
    load(&sources(texts), flags, &host()).unwrap_or_else(|found| panic!("{found:#?}"))
}

#[track_caller]
fn config(text: &str) -> Config {
    loaded(&[("a.hcl", text)], &server()).config
}

#[track_caller]
fn refused_with(texts: &[(&str, &str)], flags: &AgentFlags, expected: &[&str]) {
    let found = load(&sources(texts), flags, &host()).expect_err("must be refused");
    let errors: Vec<_> =
        found.iter().filter(|one| one.severity == Severity::Error).map(ToString::to_string).collect();
    assert_eq!(errors, expected);
}

#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    refused_with(&[("a.hcl", text)], &server(), expected);
}

#[track_caller]
fn warned(text: &str, expected: &[&str]) {
    let warnings: Vec<_> =
        loaded(&[("a.hcl", text)], &server()).warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, expected);
}

#[test]
fn later_sources_win_lists_append_maps_join() {
    let loaded = loaded(
        &[
            (
                "a.hcl",
                r#"datacenter = "one" log_level = "warn" node_meta { a = "1" b = "1" }
                http_config { block_endpoints = ["/v1/a"] response_headers { X = "1" } } service { name = "a" }"#,
            ),
            (
                "b.json",
                r#"{"datacenter":"two","node_meta":{"b":"2"},"http_config":{"block_endpoints":["/v1/b"]},
                "services":[{"name":"b"},{"name":"c"}]}"#,
            ),
        ],
        &AgentFlags {
            hcl: vec![Secret::new("log_level = \"error\"".to_owned())],
            datacenter: Some("three".to_owned()),
            ..server()
        },
    );
    let config = &loaded.config;
    assert_eq!(config.agent.datacenter.as_str(), "three");
    assert_eq!(config.log.level, Level::Error);
    assert_eq!(
        config.agent.node_meta,
        [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())].into()
    );
    assert_eq!(config.http.block_endpoints, ["/v1/a", "/v1/b"]);
    let names: Vec<_> = config.definitions.services.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(loaded.origin("datacenter").to_string(), "-datacenter");
    assert_eq!(loaded.origin("log_level").to_string(), "-hcl:1:1");
    assert_eq!(loaded.origin("node_meta.a").to_string(), "a.hcl:1:51");
    assert_eq!(loaded.origin("node_meta.b").to_string(), "b.json:1:34");
    assert_eq!(loaded.origin("domain").source, "");
}

#[test]
fn unknown_keys_name_file_line_and_the_nearest() {
    refused(
        "datacenter = \"dc1\"\nports {\n  htp = 8500\n}\nnode_nmae = \"x\"",
        &[
            "a.hcl:3:3: ports.htp: unknown key \"htp\", did you mean \"http\"?",
            "a.hcl:5:1: unknown key \"node_nmae\", did you mean \"node_name\"?",
        ],
    );
}

#[test]
fn faults_of_all_sources_are_found_at_once() {
    refused_with(
        &[("a.hcl", "x = ["), ("b.json", "{\"bogus\": 1}"), ("c.hcl", "bind_addr = \"nowhere\"")],
        &AgentFlags { log_level: Some("loud".to_owned()), ..server() },
        &[
            "a.hcl:1:6: expected a value, found the end of the text",
            "b.json:1:2: unknown key \"bogus\"",
            "c.hcl:1:1: bind_addr: \"nowhere\" is not an IP address",
            "-log-level: log_level: \"loud\" is not a level; use TRACE, DEBUG, INFO, WARN or ERROR",
        ],
    );
    refused_with(
        &[("a.json", "[1]")],
        &server(),
        &["a.json:1:1: holds no keys; write key = value or a JSON object"],
    );
    let binary = Source::file("a.hcl", vec![0xff, 0xfe]);
    assert!(load(&[binary], &server(), &host()).unwrap_err()[0].message.contains("UTF-8"));
}

#[test]
fn values_of_the_wrong_kind_are_refused_in_place() {
    refused(
        "ports {\n http = \"eighty\"\n}",
        &["a.hcl:2:9: ports.http: expected a number, found \"eighty\""],
    );
    refused(
        "acl {\n token_ttl = \"soon\"\n}",
        &["a.hcl:2:14: acl.token_ttl: time: invalid duration \"soon\""],
    );
}

#[test]
fn dev_needs_nothing_and_flags_override_it() {
    let own = loaded(&[], &dev()).config;
    assert!(own.agent.dev && own.server.role.may_bootstrap() && own.agent.data_dir.is_none());
    assert_eq!((own.grpc.port, own.log.level), (Port::At(8502), Level::Debug));
    assert_eq!(own.server.raft.heartbeat_timeout, Duration::from_secs(1));
    let own =
        loaded(&[], &AgentFlags { grpc_port: Some(-1), log_level: Some("info".to_owned()), ..dev() }).config;
    assert_eq!((own.grpc.port, own.log.level), (Port::Off, Level::Info));
    let own = loaded(&[], &AgentFlags { ephemeral_ports: true, grpc_port: Some(-1), ..dev() }).config;
    assert_eq!((own.http.port, own.server.port, own.grpc.port), (Port::Pick, Port::Pick, Port::Off));
}

#[test]
fn a_stated_port_wins_over_ephemeral_ones() {
    let ports = |files: &[(&str, &str)], flags: AgentFlags| {
        let own = loaded(files, &AgentFlags { ephemeral_ports: true, ..flags }).config;
        (own.http.port, own.server.port, own.grpc.port)
    };
    let none = ports(&[], dev());
    assert_eq!(none, (Port::Pick, Port::Pick, Port::Pick), "what -dev presets nobody stated");
    let by_flag = ports(&[], AgentFlags { http_port: Some(8600), ..dev() });
    assert_eq!(by_flag, (Port::At(8600), Port::Pick, Port::Pick));
    let by_file = ports(&[("a.hcl", "ports { grpc = 8502 }")], dev());
    assert_eq!(by_file, (Port::Pick, Port::Pick, Port::At(8502)), "though it is what -dev presets");
    let by_fragment = AgentFlags { hcl: vec![Secret::new("ports { server = 8700 }".to_owned())], ..dev() };
    assert_eq!(ports(&[], by_fragment), (Port::Pick, Port::At(8700), Port::Pick));
    let off = ports(&[("a.hcl", "ports { http = -1 }")], dev());
    assert_eq!(off, (Port::Off, Port::Pick, Port::Pick));
}

#[test]
fn who_may_start_a_cluster_is_checked() {
    let with = |change: fn(&mut AgentFlags)| {
        let mut flags = server();
        change(&mut flags);
        flags
    };
    let boot = "-bootstrap-expect: ";
    refused_with(
        &[],
        &AgentFlags::default(),
        &[
            "configuration: data_dir cannot be empty; give a directory with -data-dir, or start with -dev",
            "configuration: server: not available yet: client agents; start with -dev, or with -server -bootstrap-expect=1",
        ],
    );
    refused_with(
        &[],
        &with(|flags| flags.server = None),
        &[&format!("{boot}'bootstrap_expect > 0' requires 'server = true'; add -server")],
    );
    refused_with(
        &[],
        &with(|flags| (flags.bootstrap, flags.bootstrap_expect) = (Some(true), Some(3))),
        &[&format!("{boot}'bootstrap_expect > 0' and 'bootstrap = true' are mutually exclusive; keep one")],
    );
    refused_with(
        &[],
        &with(|flags| (flags.dev, flags.bootstrap_expect) = (true, Some(3))),
        &[&format!("{boot}'bootstrap_expect > 0' not allowed in dev mode; drop one of them")],
    );
    // 1 is the same as `bootstrap`, and changes nothing with `-dev`.
    for (dev, bootstrap) in [(true, None), (false, Some(true)), (true, Some(true))] {
        let own = loaded(&[], &AgentFlags { dev, bootstrap, ..server() });
        assert!(own.config.server.role.may_bootstrap() && own.warnings.is_empty(), "{dev} {bootstrap:?}");
    }
    refused_with(
        &[],
        &with(|flags| flags.bootstrap_expect = Some(3)),
        &[&format!("{boot}not available yet: clusters of 3 servers; use bootstrap_expect = 1")],
    );
    refused_with(
        &[],
        &with(|flags| flags.bootstrap_expect = Some(-1)),
        &[&format!("{boot}bootstrap_expect cannot be -1. Must be greater than or equal to zero")],
    );
    let sole = with(|flags| (flags.bootstrap, flags.bootstrap_expect) = (Some(true), None));
    assert!(loaded(&[], &sole).config.server.role.may_bootstrap());
    assert!(loaded(&[], &server()).config.server.role.may_bootstrap());
}

#[test]
fn names_and_ids_are_checked() {
    refused(
        "datacenter = \"dc one\"\nnode_name = \"a/b\"\nnode_id = \"x\"\nnode_meta { consul-x = \"y\" }",
        &[
            "a.hcl:1:1: datacenter \"dc one\" contains ' '; lower-case letters, digits, \"-\" and \"_\" are allowed",
            "a.hcl:2:1: node_name: node name \"a/b\" contains '/'; printable characters without \"/\" are allowed; \
             set it with -node",
            "a.hcl:3:1: node_id: \"x\" is not a UUID: expected 8-4-4-4-12 hexadecimal digits",
            "a.hcl:4:1: node_meta: couldn't load metadata pair 'consul-x': Key prefix 'consul-' is reserved for \
             internal use",
        ],
    );
    assert_eq!(config("datacenter = \"DC2\"").agent.datacenter.as_str(), "dc2");
}

#[test]
fn rights_are_read_and_their_words_checked() {
    let own = config(
        "acl { enabled = true default_policy = \"deny\" down_policy = \"async-cache\" token_ttl = \"5s\"
         tokens { initial_management = \"s3cret\" default = \"d\" agent = \"\" } } default_intention_policy = \"allow\"",
    );
    assert!(own.acl.enabled && own.acl.tokens.agent.is_none());
    assert_eq!(
        (own.acl.default_policy, own.acl.default_intention_policy),
        (Action::Deny, Some(Action::Allow))
    );
    assert!(own.acl.initial_management.as_ref().unwrap().matches("s3cret"));
    assert!(!format!("{own:?}").contains("s3cret"));
    refused(
        "acl { default_policy = \"perhaps\" down_policy = \"x\" }\ndefault_intention_policy = \"y\"",
        &[
            "a.hcl:1:7: acl.default_policy: \"perhaps\" is not a policy; use allow or deny",
            "a.hcl:1:34: acl.down_policy: \"x\" is not a policy; use deny, extend-cache or async-cache",
            "a.hcl:2:1: default_intention_policy: \"y\" is not a policy; use allow or deny",
        ],
    );
}

#[test]
fn rights_do_not_open_while_no_server_answers() {
    for (text, expected) in [
        ("deny", DownPolicy::Deny),
        ("extend-cache", DownPolicy::ExtendCache),
        ("async-cache", DownPolicy::AsyncCache),
    ] {
        assert_eq!(config(&format!("acl {{ down_policy = {text:?} }}")).acl.down_policy, expected);
    }
    assert_eq!(config("").acl.down_policy, DownPolicy::ExtendCache);
    refused(
        "acl { down_policy = \"allow\" }",
        &[
            "a.hcl:1:7: not available: acl.down_policy allow would open everything while no server answers; use extend-cache, async-cache or deny",
        ],
    );
}

#[test]
fn the_authority_and_its_sealing_are_checked() {
    let own = config(
        "connect { ca_config { leaf_cert_ttl = \"1h\" private_key = \"PEM\" } } sealing { key_file = \"/etc/kek\" }",
    );
    assert_eq!(own.connect.ca_settings.plain["LeafCertTTL"], "1h");
    assert!(own.connect.ca_settings.private_key.is_some() && !format!("{own:?}").contains("PEM"));
    assert_eq!(own.sealing.key_file.as_deref(), Some("/etc/kek"));
    refused(
        "connect { ca_provider = \"vault\" ca_config { LeafCertTTL = \"x\" } }\nsealing { key_file = \"a\" key_env = \"b\" }",
        &[
            "a.hcl:1:11: connect.ca_provider: not available yet: CA provider vault; use consul",
            "a.hcl:1:33: connect.ca_config: Config.LeafCertTTL: expected a duration such as \"72h\"",
            "a.hcl:2:11: sealing.key_file and sealing.key_env exclude each other; keep one",
        ],
    );
    refused(
        "connect { ca_provider = \"mine\" }",
        &["a.hcl:1:11: connect.ca_provider: \"mine\" is not a valid CA provider; use consul"],
    );
    let inside = loaded(&[("a.hcl", "sealing { key_file = \"/data/kek\" }")], &server());
    assert!(inside.warnings[0].to_string().contains("inside data_dir"), "{:?}", inside.warnings);
}

#[test]
fn what_clients_may_make_a_server_hold_has_bounds() {
    assert_eq!(config("").clients.memory_mib, 96);
    for (text, bound) in [("16", 16), ("1536", 1536)] {
        assert_eq!(config(&format!("limits {{ client_memory_mib = {text} }}")).clients.memory_mib, bound);
    }
    for wrong in ["15", "1537"] {
        let expected =
            format!("a.hcl:1:10: limits.client_memory_mib cannot be {wrong}. Must be between 16 and 1536");
        refused(&format!("limits {{ client_memory_mib = {wrong} }}"), &[&expected]);
    }
}

#[test]
fn numbers_have_bounds() {
    refused(
        "check_output_max_size = 0\nperformance { raft_multiplier = 11 }\n\
         http_config { allow_write_http_from = [\"10.0.0.0\"] }\nraft_snapshot_interval = \"1ms\"",
        &[
            "a.hcl:1:1: check_output_max_size must be positive, not 0; the default is 4096",
            "a.hcl:2:15: performance.raft_multiplier cannot be 11. Must be between 1 and 10",
            "a.hcl:3:15: http_config.allow_write_http_from: invalid cidr: 10.0.0.0; write it as 10.0.0.0/8",
            "a.hcl:4:1: raft_snapshot_interval cannot be 1ms; it is at least 5ms, and 30s by default",
        ],
    );
}

#[test]
fn zero_is_the_default_where_consul_has_it_so() {
    let zeros = "raft_snapshot_interval = \"0s\" raft_snapshot_threshold = 0 raft_trailing_logs = 0
        http_config { max_header_bytes = 0 }";
    assert!(crate::changed(&config(""), &config(zeros)).is_empty());
    warned(zeros, &[]);
    // There is always some limit.
    for none in [0, -1] {
        let text =
            format!("limits {{ http_max_conns_per_client = {none} }} telemetry {{ metrics_prefix = \"\" }}");
        assert!(crate::changed(&config(""), &config(&text)).is_empty());
        warned(
            &text,
            &[
                "a.hcl:1:10: limits.http_max_conns_per_client: there is always a limit, and 200 holds; name a larger one",
                &format!(
                    "a.hcl:1:{}: telemetry.metrics_prefix is empty, and consul holds; names begin with something",
                    text.find("metrics").unwrap() + 1
                ),
            ],
        );
    }
}

#[test]
fn n_45_script_checks_in_files_are_refused() {
    let text = "service {\n name = \"web\"\n check { args = [\"/bin/true\"] interval = \"10s\" }\n}\n\
                check { name = \"c\" args = [\"/bin/true\"] docker_container_id = \"d\" interval = \"10s\" }";
    let source = Source::file("a.hcl", text.as_bytes().to_vec());
    let found = load(std::slice::from_ref(&source), &server(), &host()).unwrap_err();
    let told: Vec<String> = found.iter().map(ToString::to_string).collect();
    let refused = |place: &str| {
        told.iter().any(|one| {
            one.starts_with(place) && one.contains("Scripts are disabled on this agent; to enable")
        })
    };
    assert!(refused("a.hcl:1:") && refused("a.hcl:5:") && told.len() == 2, "{told:?}");
    for key in ["enable_script_checks", "enable_local_script_checks"] {
        let own = config(&format!("{text}\n{key} = true"));
        assert_eq!(own.definitions.checks.len(), 1, "{key}");
        let off = format!("{text}\n{key} = false");
        let source = Source::file("a.hcl", off.into_bytes());
        assert!(load(&[source], &server(), &host()).is_err(), "{key}");
    }
    let flags = AgentFlags { enable_local_script_checks: Some(true), ..server() };
    assert!(load(&[source], &flags, &host()).is_ok());
}

#[test]
fn what_a_request_of_a_check_says_is_not_printed() {
    let text = "check { name = \"web\" http = \"http://u:canary@a\" interval = \"1s\" body = \"canary\" \
                header { Authorization = [\"canary\"] } }";
    let own = config(text);
    let specs: Vec<_> = own.definitions.check_specs().collect();
    let repeated = format!("{own:?} {specs:?}");
    assert!(!repeated.contains("canary") && repeated.contains("web"), "{repeated}");
}

#[test]
fn definitions_keep_their_places() {
    let own = config(
        "services {\n name = \"web\" port = 80 connect { sidecar_service {} }\n}\ncheck = { name = \"c\" ttl = \"10s\" }
         config_entries { bootstrap { kind = \"service-intentions\" name = \"db\" sources { name = \"web\" action = \"allow\" } } }",
    );
    assert!(own.definitions.registrations().next().unwrap().sidecar.is_some());
    assert_eq!(own.definitions.check_specs().next().unwrap().id.as_str(), "c");
    assert_eq!((own.definitions.checks.len(), own.server.entries.len()), (1, 1));
    refused(
        "service {\n name = \"web\"\n prt = 80\n}\nservices = [{ name = \"a\" }, { name = \"a\" }, { name = \"b\" port = -1 }]\n\
         check { http = \"http://x\" name = \"h\" }\nconfig_entries { bootstrap = [{ kind = \"mesh\" }] bootsrtap = [] }",
        &[
            "a.hcl:3:2: services[0].prt: unknown key \"prt\", did you mean \"port\"?",
            "a.hcl:5:29: services[2]: the service id \"a\" is already used at a.hcl:5:13; give each its own id",
            "a.hcl:5:45: services[3].Port: Port: -1 is not a port; use 0 to 65535",
            "a.hcl:6:7: checks[0].Interval: Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks",
            "a.hcl:7:50: config_entries.bootsrtap: unknown key \"bootsrtap\", did you mean \"bootstrap\"?",
        ],
    );
}

#[test]
fn keys_that_are_not_built_yet_are_answered_by_their_weight() {
    refused(
        "encrypt = \"x\"\nacl { msp_disable_bootstrap = true }\nauto_encrypt { tls = true }",
        &[
            "a.hcl:1:1: encrypt has invalid key: it is not base64",
            "a.hcl:2:7: not available yet: acl.msp_disable_bootstrap: without it whoever comes first may bootstrap the ACLs; leave it out",
            "a.hcl:3:16: not available yet: auto_encrypt.tls: auto_encrypt.tls can only be used on a client, and there are no client agents yet; leave it out",
        ],
    );
    refused(
        "encrypt = \"MDEyMw==\"",
        &["a.hcl:1:1: encrypt has invalid key: it is 4 bytes long, and must be 16, 24 or 32"],
    );
    warned(
        "dns_config { use_cache = true }\nui_config { enabled = true metrics_provider = \"p\" }\nraft_protocol = 3\n\
         retry_join = [\"a\"]\nretry_interval = \"5s\"\nstart_join = [\"b\"]\nencrypt = \"MDEyMzQ1Njc4OWFiY2RlZg==\"",
        &[
            "a.hcl:1:14: dns_config.use_cache has no effect: servers answer DNS from their own state, which is never older than a cache",
            "a.hcl:2:1: ui_config has no effect: the user interface is not available yet",
            "a.hcl:4:1: retry_join, retry_interval, start_join (now retry_join) have no effect: the only server has nobody to join",
            "a.hcl:7:1: encrypt has no effect: agents do not talk to each other yet",
        ],
    );
    let flags = AgentFlags {
        retry_join: vec!["a".to_owned()],
        encrypt: Some(Secret::new("MDEyMzQ1Njc4OWFiY2RlZg==".to_owned())),
        ..server()
    };
    let own = loaded(&[], &flags);
    let warnings: Vec<_> = own.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "-retry-join: retry_join has no effect: the only server has nobody to join",
            "-encrypt: encrypt has no effect: agents do not talk to each other yet",
        ]
    );
    assert!(
        own.config.agent.encrypt.is_some() && !format!("{own:?}").contains("MDEy"),
        "it is kept, and not shown"
    );
    warned("retry_join = [] encrypt = \"\" tls { defaults { verify_outgoing = false } }", &[]);
}

#[test]
fn every_absent_key_gets_its_answer() {
    for absent in ABSENT {
        let mut text = "1".to_owned();
        for part in absent.key.rsplit('.') {
            text = format!("{{\"{part}\": {text}}}");
        }
        let result = load(&sources(&[("a.json", &text)]), &server(), &host());
        let found = match (&result, absent.answer) {
            (Err(found), Answer::Refuse | Answer::ByMode) => found,
            (Ok(loaded), Answer::Warn | Answer::Accept) => &loaded.warnings,
            _ => panic!("{}: {result:?}", absent.key),
        };
        assert_eq!(found.len(), usize::from(absent.answer != Answer::Accept), "{}: {found:?}", absent.key);
        assert!(
            found.iter().all(|one| one.message.contains(absent.key) && one.origin.pos.line == 1),
            "{found:?}"
        );
        assert!(KNOBS.iter().all(|knob| knob.key != absent.key), "{} is both", absent.key);
        assert!(DEPRECATED.iter().all(|old| old.key != absent.key), "{} is both", absent.key);
    }
}

/// The keys of [`Raw`], found by printing one. Maps with free keys count as one key.
fn raw_keys() -> BTreeSet<String> {
    const FREE: [&str; 3] = ["node_meta", "connect.ca_config", "http_config.response_headers"];
    fn walk(prefix: &str, value: &serde_json::Value, keys: &mut BTreeSet<String>) {
        match value {
            serde_json::Value::Object(members) if !FREE.contains(&prefix) => {
                for (key, value) in members {
                    let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                    walk(&path, value, keys);
                }
            }
            _ => {
                keys.insert(prefix.to_owned());
            }
        }
    }
    let mut keys = BTreeSet::new();
    walk("", &serde_json::to_value(Raw::default()).unwrap(), &mut keys);
    // Nothing of these is built.
    keys.remove("auto_encrypt");
    keys.remove("rpc");
    keys.extend(["services", "checks", "config_entries.bootstrap"].map(str::to_owned));
    keys
}

#[test]
fn every_key_is_a_documented_knob_with_its_true_default() {
    let keys: BTreeSet<_> = KNOBS.iter().map(|knob| knob.key.to_owned()).collect();
    assert_eq!(keys, raw_keys());
    assert_eq!(keys.len(), KNOBS.len(), "no key twice");
    let plain = loaded(&[], &server()).config;
    let dev = loaded(&[], &dev()).config;
    let given = ["server", "bootstrap", "bootstrap_expect", "data_dir"];
    for knob in KNOBS {
        assert!(knob.doc.ends_with('.') && knob.doc.len() > 5, "{}", knob.key);
        if !given.contains(&knob.key) {
            assert_eq!((knob.value)(&plain).to_string(), knob.default, "{}", knob.key);
        }
        let in_dev =
            DEV_DEFAULTS.iter().find(|(key, _)| *key == knob.key).map_or(knob.default, |(_, value)| value);
        assert_eq!((knob.value)(&dev).to_string(), in_dev, "{} in dev", knob.key);
    }
}

#[test]
fn n_20_deep_nesting_is_refused() {
    let json = format!("{{\"a\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let hcl = format!("{}{}", "a {".repeat(10_000), "}".repeat(10_000));
    for (name, text) in [("a.json", json), ("a.hcl", hcl)] {
        let found = load(&sources(&[(name, &text)]), &server(), &host()).expect_err("must be refused");
        assert!(found[0].origin.pos.line == 1 && found.len() == 1, "{found:?}");
    }
    let flat = format!("node_meta {{ {} }}", (0..60).map(|i| format!("k{i} = \"v\" ")).collect::<String>());
    assert!(loaded(&[("a.hcl", &flat)], &server()).warnings.is_empty());
}

#[test]
fn n_119_texts_with_tokens_are_not_printed() {
    let text = "acl { tokens { default = \"canary\" } } service { name = \"web\" token = \"canary\" }";
    let source = Source::file("a.hcl", text.as_bytes().to_vec());
    let flags = AgentFlags { hcl: vec![Secret::new(text.to_owned())], ..server() };
    let loaded = load(std::slice::from_ref(&source), &flags, &host());
    let repeated = format!("{source:?} {flags:?} {loaded:?}");
    assert!(!repeated.contains("canary") && repeated.contains("a.hcl"), "{repeated}");
    let once = loaded_config_debug(text);
    assert!(!once.contains("canary") && once.contains("web"), "{once}");
    for knob in KNOBS {
        assert!(!(knob.value)(&config(text)).to_string().contains("canary"), "{}", knob.key);
    }
}

fn loaded_config_debug(text: &str) -> String {
    format!("{:?}", config(text))
}

#[test]
fn origins_and_hosts_are_read_as_browsers_write_them() {
    let own = loaded(
        &[(
            "a.hcl",
            "alt_domain = \"mesh.example\"\nhttp_config {\n allow_origins = [\"https://ops.example\", \"http://[::1]:81\"]\n \
             allowed_hosts = [\"consul.example.com\"]\n}",
        )],
        &server(),
    );
    assert_eq!(own.config.http.allow_origins, ["https://ops.example", "http://[::1]:81"]);
    assert_eq!(own.config.http.allowed_hosts, ["consul.example.com"]);
    assert_eq!(own.config.agent.alt_domain.as_deref(), Some("mesh.example"));
    for wrong in [
        "",
        "*",
        "null",
        "ops.example",
        "https://",
        "https://Ops.example",
        "https://a/",
        "https://a:443",
        "ftp://a",
    ] {
        let text = format!("http_config {{ allow_origins = [{wrong:?}] }}");
        refused(
            &text,
            &[&format!(
                "a.hcl:1:15: http_config.allow_origins: {wrong:?} is no origin; write it as browsers do, in lower case and \
             without a path or the usual port: https://ops.example"
            )],
        );
    }
    for wrong in ["", ".", "*.example.com", "a:8500", "http://a", "a/b"] {
        let text = format!("http_config {{ allowed_hosts = [{wrong:?}] }}");
        refused(
            &text,
            &[&format!(
                "a.hcl:1:15: http_config.allowed_hosts: {wrong:?} is no name of a host; write it without port and wildcard: \
             consul.example.com"
            )],
        );
    }
}
