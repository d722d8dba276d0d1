//! Config entries in both key styles.

use concord_syntax::hcl;

use concord_model::intention::ServiceIntentions;

use super::*;

#[track_caller]
fn decoded(body: &str) -> ServiceIntentions {
    match decode_entry(body.as_bytes()).unwrap() {
        Entry::ServiceIntentions(entry) => entry,
        #[allow(unreachable_patterns, reason = "with a single kind there is no other")]
        other => panic!("not intentions: {other:?}"),
    }
}

#[track_caller]
fn refused(body: &str, status: u16, text: &str) {
    let found = decode_entry(body.as_bytes()).expect_err("must be refused");
    assert_eq!((found.to_string().as_str(), found.status()), (text, status));
}

fn with_sources(sources: &str) -> String {
    format!(r#"{{"Kind":"service-intentions","Name":"db","Sources":{sources}}}"#)
}

#[test]
fn json_and_hcl_in_both_styles_mean_the_same() {
    let camel = decoded(
        r#"{"Kind":"service-intentions","Name":"db","Meta":{"a":"b"},
        "Sources":[{"Name":"*","Action":"deny"},{"Name":"web","Action":"allow","Description":"d"}]}"#,
    );
    let node = hcl::parse(
        r#"kind = "service-intentions" name = "db" meta { a = "b" }
        sources { name = "*" action = "deny" }
        sources { name = "web" action = "allow" description = "d" }"#,
    )
    .unwrap();
    assert_eq!(entry_from_node(&node, "x.hcl").unwrap(), Entry::ServiceIntentions(camel.clone()));
    let names: Vec<_> = camel.sources.iter().map(|source| source.source.name.as_str()).collect();
    assert_eq!(names, ["web", "*"], "by falling precedence");
}

#[test]
fn an_answer_can_be_sent_back() {
    let entry = decoded(&with_sources(
        r#"[{"Name":"web","Action":"allow"},{"Name":"x","Peer":"east","Action":"deny"}]"#,
    ));
    let shape = ConfigEntry::from_model(&Entry::ServiceIntentions(entry.clone()));
    let text = json(&shape, Layout::Pretty).unwrap();
    assert_eq!(decoded(std::str::from_utf8(&text).unwrap()), entry);
    #[allow(irrefutable_let_patterns, reason = "with a single kind there is no other")]
    let Said::ServiceIntentions(said) = &shape.said else { panic!("not intentions: {shape:?}") };
    assert_eq!((said.sources[0].precedence, said.sources[0].kind.as_str()), (9, "consul"));
    assert_ne!(shape.hash, 0);
}

#[test]
fn the_hash_is_of_the_content_only() {
    let mut entry = decoded(&with_sources(r#"[{"Name":"web","Action":"allow"}]"#));
    let hash =
        |entry: &ServiceIntentions| ConfigEntry::from_model(&Entry::ServiceIntentions(entry.clone())).hash;
    let before = hash(&entry);
    entry.stamp.modify = 99;
    assert_eq!(hash(&entry), before);
    entry.meta.insert("a".to_owned(), "b".to_owned());
    assert_ne!(hash(&entry), before);
}

#[test]
fn entries_that_say_too_little_or_too_much_are_refused() {
    let decoding = "Request decoding failed: ";
    refused("{}", 400, &format!("{decoding}Payload does not contain a kind/Kind key at the top level"));
    refused(r#"{"Kind":1}"#, 400, &format!("{decoding}Kind value in payload is not a string"));
    refused(r#"{"Kind":"cake"}"#, 400, "Request decoding failed: invalid config entry kind: cake");
    refused(r#"{"Kind":"service-router"}"#, 501, "not available yet: config entry kind service-router");
    refused(r#"{"Kind":"service-intentions"}"#, 400, "Name is required; At least one source is required");
    refused(&with_sources(r#"[{"Action":"allow"}]"#), 400, "Sources[0].Name is required");
    refused(&with_sources(r#"[{"Name":"a"}]"#), 400, "Sources[0].Action must be set to 'allow' or 'deny'");
    refused(
        &with_sources(r#"[{"Name":"a","Action":"allow"},{"Name":"a","Action":"deny"}]"#),
        400,
        "Sources[1] defines \"a\" more than once",
    );
    refused(
        &with_sources(r#"[{"Name":"a*","Action":"allow"}]"#),
        400,
        "Sources[0].Name: wildcard character '*' cannot be used with partial values",
    );
    refused(
        &with_sources(r#"[{"Name":"a","Action":"allow","Type":"x"}]"#),
        400,
        "Sources[0].Type must be set to 'consul'",
    );
    refused(
        &with_sources(r#"[{"Name":"a","Action":"allow","LegacyMeta":{"a":"b"}}]"#),
        400,
        "Sources[0].LegacyMeta must be omitted",
    );
    refused(
        &with_sources(r#"[{"Name":"a","Action":"allow","SamenessGroup":"g"}]"#),
        501,
        "not available yet: sameness groups",
    );
    refused(
        &with_sources(r#"[{"Name":"a","Action":"allow","Namespace":"n"}]"#),
        400,
        "Invalid Sources[0].Namespace(n): Namespaces is a Consul Enterprise feature",
    );
}

#[test]
fn unknown_keys_of_entries_are_refused_with_the_nearest() {
    let body = r#"{"Kind":"service-intentions","Name":"db","Sourcse":[]}"#;
    let found = decode_entry(body.as_bytes()).unwrap_err();
    assert_eq!(found.status(), 400);
    let text = found.to_string();
    assert!(text.contains("Sourcse") && text.contains("Sources"), "{text}");
    let text = decode_entry(br#"{"Kind":"service-intentions","Nmae":"db"}"#).unwrap_err().to_string();
    assert!(text.contains(r#"unknown key "Nmae", did you mean "Name"?"#), "{text}");
    let body =
        r#"{"Kind":"service-intentions","Name":"db","Sources":[{"Name":"a","Action":"allow","Kind":""}]}"#;
    let text = decode_entry(body.as_bytes()).unwrap_err().to_string();
    assert!(
        text.contains(r#"unknown key "Kind""#),
        "what an entry has at its top is nothing below it: {text}"
    );
}

#[test]
fn ids_of_the_older_api_may_be_sent_back_and_end_there() {
    let body = with_sources(
        r#"[{"Name":"a","Action":"allow","LegacyID":"07070707-0707-0707-0707-070707070707",
        "LegacyCreateTime":"2026-01-01T00:00:00Z","LegacyUpdateTime":"2026-01-01T00:00:00Z"}]"#,
    );
    assert_eq!(decoded(&body).sources[0].legacy, None);
}
