//! `config_entries.bootstrap`: what is taken, what is told, what is refused.

use super::{loaded, refused, refused_with, server};

#[test]
fn entries_are_read_in_both_formats_and_key_styles() {
    let hcl = "config_entries { bootstrap = [
        { kind = \"service-intentions\" name = \"db\" sources = [{ name = \"*\" action = \"deny\" }] },
        { Kind = \"service-intentions\" Name = \"api\" Sources = [{ Name = \"web\" Action = \"deny\" }] }] }";
    let json = r#"{"config_entries": {"bootstrap": [
        {"kind": "service-intentions", "name": "db", "sources": [{"name": "*", "action": "deny"}]},
        {"Kind": "service-intentions", "Name": "api", "Sources": [{"Name": "web", "Action": "deny"}]}]}}"#;
    let blocks = "config_entries {
        bootstrap { kind = \"service-intentions\" name = \"db\" sources { name = \"*\" action = \"deny\" } }
        bootstrap { kind = \"service-intentions\" name = \"api\" sources { name = \"web\" action = \"deny\" } } }";
    let [hcl, json, blocks] = [("a.hcl", hcl), ("a.json", json), ("a.hcl", blocks)].map(|source| {
        let own = loaded(&[source], &server());
        assert!(own.warnings.is_empty(), "{:?}", own.warnings);
        own.config.server.entries
    });
    assert_eq!(hcl.len(), 2);
    assert!(hcl == json && json == blocks, "{hcl:?} {json:?} {blocks:?}");
}

#[test]
fn a_bad_entry_is_refused_with_its_place() {
    refused(
        "config_entries { bootstrap = [\n { kind = \"service-intention\" name = \"db\" },\n
         { kind = \"service-intentions\" name = \"db\" sources = [{ name = \"web\" acton = \"deny\" }] },
         { kind = \"service-intentions\" name = \"db\" sources = [{ name = \"web\" action = \"block\" }] }]}",
        &[
            "a.hcl:2:11: config_entries.bootstrap[0].Kind: invalid config entry kind: service-intention; use service-intentions, service-defaults, proxy-defaults, mesh, service-resolver, service-router, service-splitter, jwt-provider, ingress-gateway, terminating-gateway, exported-services, inline-certificate, file-system-certificate, api-gateway, bound-api-gateway, http-route, tcp-route",
            "a.hcl:4:78: config_entries.bootstrap[1].sources[0].acton: unknown key \"acton\", did you mean \"action\"?",
            "a.hcl:5:10: config_entries.bootstrap[2].Sources[0].Action: Sources[0].Action must be set to 'allow' or 'deny'",
        ],
    );
    let one = |action: &str| {
        format!(
            r#"{{"config_entries": {{"bootstrap": [{{"kind": "service-intentions", "name": "db", "sources": [{{"name": "web", "action": "{action}"}}]}}]}}}}"#
        )
    };
    refused_with(
        &[("a.json", &one("allow")), ("b.json", &one("deny"))],
        &server(),
        &[
            "b.json:1:35: config_entries.bootstrap[1]: the entry service-intentions \"db\" is already written at a.json:1:35; put both into one",
        ],
    );
}

#[test]
fn kinds_that_are_not_built_are_told() {
    let own = loaded(
        &[(
            "a.hcl",
            "config_entries { bootstrap = [\n{ kind = \"proxy-defaults\" name = \"global\" config { protocol = \"http\" } },
{ Kind = \"mesh\" TLS { Incoming { TLSMinVersion = \"TLSv1_2\" } } HTTP { SanitizeXForwardedClientCert = false } },
{ Kind = \"sameness-group\" Name = \"web\" }] }",
        )],
        &server(),
    );
    let warnings: Vec<_> = own.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "a.hcl:3:1: config_entries.bootstrap [1] mesh is kept and shown, but proxies do not go by it yet",
            "a.hcl:4:1: config_entries.bootstrap [2] sameness-group has no effect: its kind is not available yet",
        ]
    );
    assert_eq!(own.config.server.entries.len(), 2);
}

#[test]
fn n_161_an_entry_whose_absence_would_leave_something_open_stops_the_start() {
    for (entry, expected) in [
        ("kind = \"control-plane-request-limit\" name = \"x\"", "requests would not be limited"),
        (
            "kind = \"proxy-defaults\" name = \"global\" envoy_extensions { name = \"builtin/ext-authz\" }",
            "whom an extension keeps out",
        ),
        (
            "Kind = \"service-defaults\" Name = \"db\" EnvoyExtensions = [{ Name = \"x\" }]",
            "whom an extension",
        ),
        (
            "kind = \"service-defaults\" name = \"db\" rate_limits { instance_level { requests_per_second = 5 } }",
            "requests would not be limited",
        ),
        (
            "kind = \"mesh\" transparent_proxy { mesh_destinations_only = true }",
            "destinations outside of the mesh",
        ),
    ] {
        let text = format!("config_entries {{ bootstrap {{ {entry} }} }}");
        let found =
            super::load(&super::sources(&[("a.hcl", &text)]), &server(), &super::host()).expect_err(entry);
        let [one] = found.as_slice() else { panic!("{entry}: {found:?}") };
        assert!(one.message.contains(expected) && one.origin.pos.line == 1, "{one}");
        assert!(one.key.starts_with("config_entries.bootstrap[0]"), "{one}");
    }
}
