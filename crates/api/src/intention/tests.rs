//! Intentions in the public shape, both ways.

use concord_model::intention::{
    Action, HeaderValueMatch, JwtProviderRequirement, JwtRequirement, PathMatch, precedence,
};

use super::*;
use crate::encode::{Layout, json};

fn upsert(body: &str) -> Result<IntentionUpsert, Faults> {
    IntentionBody::decode(body.as_bytes())?.resolve(parse_source("web")?, parse_destination("db")?)
}

#[track_caller]
fn refused(body: &str, status: u16, text: &str) {
    let found = upsert(body).expect_err("must be refused");
    assert_eq!((found.to_string().as_str(), found.status()), (text, status));
}

#[test]
fn an_upsert_becomes_a_source() {
    let read = upsert(r#"{"Action":"allow","Description":"d","SourceType":"consul","SourceName":"ignored"}"#)
        .unwrap();
    assert_eq!(read.intention.decision, Decision::Connection(Action::Allow));
    assert_eq!(read.intention.source.to_string(), "web");
    assert_eq!(read.destination.to_string(), "db");
}

#[test]
fn an_upsert_may_decide_by_request() {
    let read = upsert(
        r#"{"permissions":[{"action":"deny","http":{"path_prefix":"/admin","methods":["get"],
        "header":[{"name":"x-a","exact":"1","ignore_case":true}]}}]}"#,
    )
    .unwrap();
    let Decision::Requests(permissions) = &read.intention.decision else { panic!("not by request") };
    let http = permissions[0].http.as_ref().unwrap();
    assert_eq!(http.path, Some(PathMatch::Prefix("/admin".to_owned())));
    assert_eq!(http.methods, ["GET"]);
    assert_eq!(http.headers[0].value, HeaderValueMatch::Exact("1".to_owned()));
    let (action, shapes) = split(&read.intention.decision);
    assert_eq!(decide("", &action, &shapes, false, &mut Vec::new()), Some(read.intention.decision));
}

#[test]
fn upserts_that_decide_nothing_are_refused() {
    refused("{}", 400, "Action must be set to 'allow' or 'deny'");
    refused(r#"{"Action":"ALLOW"}"#, 400, "Action must be set to 'allow' or 'deny'");
    refused(
        r#"{"Action":"allow","Permissions":[{"Action":"allow","HTTP":{"PathExact":"/"}}]}"#,
        400,
        "Action must be omitted if Permissions are specified",
    );
    refused(r#"{"Permissions":[{"Action":"allow"}]}"#, 400, "Permissions[0].HTTP is required");
    refused(
        r#"{"Permissions":[{"Action":"allow","HTTP":{}}]}"#,
        400,
        "Permissions[0].HTTP should not be empty",
    );
    refused(
        r#"{"Permissions":[{"Action":"allow","HTTP":{"PathExact":"/a","PathRegex":"b"}}]}"#,
        400,
        "Permissions[0].HTTP should only contain one of PathExact, PathPrefix, or PathRegex",
    );
    refused(
        r#"{"Permissions":[{"Action":"allow","HTTP":{"PathPrefix":"a"}}]}"#,
        400,
        "Permissions[0].HTTP.PathPrefix doesn't start with '/': \"a\"",
    );
    refused(
        r#"{"Permissions":[{"Action":"allow","HTTP":{"Methods":["GET","BREW"]}}]}"#,
        400,
        "Permissions[0].HTTP.Methods contains an invalid method \"BREW\"",
    );
    refused(
        r#"{"Permissions":[{"Action":"allow","HTTP":{"Header":[{"Name":"h","Exact":"a","Present":true}]}}]}"#,
        400,
        "Permissions[0].HTTP.Header[0] should only contain one of Present, Exact, Prefix, Suffix, Contains, or Regex",
    );
    refused(r#"{"Action":"allow","SourceType":"k8s"}"#, 400, "SourceType must be set to 'consul'");
    let long = format!(r#"{{"Action":"allow","Description":"{}"}}"#, "x".repeat(513));
    refused(&long, 400, "Description exceeds maximum length 512");
    refused(
        r#"{"Action":"allow","DestinationNS":"team"}"#,
        400,
        "Invalid DestinationNS(team): Namespaces is a Consul Enterprise feature",
    );
    refused(
        r#"{"Permissions":[{"Action":"allow","JWT":{"Providers":[{"Name":"okta"}]}}]}"#,
        400,
        "Permissions[0].HTTP is required",
    );
    refused(
        r#"{"Permissions":[{"Action":"allow","HTTP":{},"JWT":{"Providers":[{"Name":"okta"}]}}]}"#,
        400,
        "Permissions[0].HTTP should not be empty",
    );
    refused(
        r#"{"Action":"allow","JWT":{"Providers":[{"Nmae":"okta"}]}}"#,
        400,
        "Request decode failed: request body:1:40: JWT.Providers[0].Nmae: unknown key \"Nmae\", did you mean \"Name\"?",
    );
    let wild =
        IntentionBody::decode(br#"{"Permissions":[{"Action":"allow","HTTP":{"PathExact":"/"}}]}"#).unwrap();
    let found = wild.resolve(parse_source("web").unwrap(), parse_destination("*").unwrap()).unwrap_err();
    assert_eq!(
        found.to_string(),
        "Permissions cannot be specified on intentions with wildcarded destinations"
    );
}

#[test]
fn tokens_are_read_and_shown() {
    let jwt =
        r#"{"Providers":[{"Name":"okta","VerifyClaims":[{"Path":["a","b"],"Value":"c"}]},{"Name":"own"}]}"#;
    let read = upsert(&format!(
        r#"{{"Permissions":[{{"Action":"allow","HTTP":{{"PathPrefix":"/"}},"JWT":{jwt}}}],"JWT":{jwt}}}"#
    ))
    .unwrap();
    let claims = vec![(vec!["a".to_owned(), "b".to_owned()], "c".to_owned())];
    let provider =
        |name: &str, verify_claims| JwtProviderRequirement { name: name.to_owned(), verify_claims };
    let expected = JwtRequirement { providers: vec![provider("okta", claims), provider("own", Vec::new())] };
    assert_eq!(read.jwt.as_ref(), Some(&expected));
    let Decision::Requests(permissions) = &read.intention.decision else { panic!("not by request") };
    assert_eq!(permissions[0].jwt.as_ref(), Some(&expected));
    let (_, shown) = split(&read.intention.decision);
    let shown = shown[0].jwt.as_ref().unwrap();
    assert_eq!(String::from_utf8(json(shown, Layout::Compact).unwrap()).unwrap().trim(), jwt);
    let snake = r#"{"action":"allow","jwt":{"providers":[{"name":"okta","verify_claims":[{"path":["a","b"],"value":"c"}]},{"name":"own"}]}}"#;
    assert_eq!(upsert(snake).unwrap().jwt, Some(expected));
}

#[test]
fn names_have_up_to_three_components() {
    assert_eq!(parse_destination("default/db").unwrap(), parse_destination("db").unwrap());
    assert_eq!(parse_source("default/default/*").unwrap().to_string(), "*");
    assert_eq!(parse_source("*/web").unwrap(), parse_source("web").unwrap());
    assert_eq!(parse_source("peer:east/web").unwrap().to_string(), "peer:east/web");
    assert_eq!(
        parse_source("a/b/c/d").unwrap_err().to_string(),
        "source \"a/b/c/d\" is invalid: input can contain at most two '/'"
    );
    assert_eq!(
        parse_destination("team/db").unwrap_err().to_string(),
        "Invalid destination namespace(team): Namespaces is a Consul Enterprise feature"
    );
    assert_eq!(
        parse_destination("p/default/db").unwrap_err().to_string(),
        "Invalid destination partition(p): Partitions is a Consul Enterprise feature"
    );
    assert!(parse_source("peer:east").is_err() && parse_destination("").is_err());
    assert!(parse_service("source", "*").is_err());
    assert_eq!(parse_any_service("source", "*").unwrap(), None);
    assert_eq!(parse_any_service("source", "web").unwrap(), Some(parse_service("source", "web").unwrap()));
    assert!(parse_any_service("source", "w*").is_err());
    assert_eq!(parse_service("source", "default/web").unwrap().name.as_str(), "web");
}

#[test]
fn an_intention_is_printed_without_times_nobody_noted() {
    let (source, destination) = (parse_source("web").unwrap(), parse_destination("db").unwrap());
    let shape = Intention::from_model(IntentionParts {
        destination: &destination,
        source: &source,
        precedence: precedence(&destination, &source),
        decision: &Decision::Connection(Action::Deny),
        description: "",
        legacy: None,
        jwt: None,
        meta: &BTreeMap::new(),
        stamp: Stamp { create: 1, modify: 2 },
    });
    let own = String::from_utf8(json(&shape, Layout::Compact).unwrap()).unwrap();
    let expected = r#"{"SourceNS":"default","SourceName":"web","DestinationNS":"default","DestinationName":"db",
        "SourceType":"consul","Action":"deny","Precedence":9,
        "CreateIndex":1,"ModifyIndex":2}"#;
    assert_eq!(own, expected.lines().map(str::trim).collect::<String>());
    assert_eq!(serde_json::from_str::<Intention>(&own).unwrap(), shape);
}

#[test]
fn the_older_api_names_both_sides() {
    let body = br#"{"SourceName":"web","DestinationName":"*","SourceNS":"default","Action":"deny",
        "Description":"d","Meta":{"a":"b"},"Precedence":0,"CreatedAt":"0001-01-01T00:00:00Z"}"#;
    let read = IntentionBody::decode(body).unwrap().resolve_new().unwrap();
    assert_eq!((read.source.to_string(), read.destination.to_string()), ("web".to_owned(), "*".to_owned()));
    assert_eq!((read.action, read.description.as_str()), (Action::Deny, "d"));
    assert_eq!(read.meta, BTreeMap::from([("a".to_owned(), "b".to_owned())]));
}

#[test]
fn what_the_older_api_cannot_say_is_refused() {
    #[track_caller]
    fn refused(rest: &str, status: u16, text: &str) {
        let body = format!(r#"{{"SourceName":"web","DestinationName":"db"{rest}}}"#);
        let found =
            IntentionBody::decode(body.as_bytes()).unwrap().resolve_new().expect_err("must be refused");
        assert_eq!((found.to_string().as_str(), found.status()), (text, status));
    }
    let action = "Action must be set to 'allow' or 'deny'";
    refused("", 400, action);
    refused(r#","Action":"ALLOW""#, 400, action);
    refused(r#","Action":"allow","ID":"x""#, 400, "ID must be empty when creating a new intention");
    refused(
        r#","Action":"allow","Permissions":[{"Action":"allow","HTTP":{"PathExact":"/"}}]"#,
        400,
        "Permissions must not be set when using the legacy APIs",
    );
    refused(
        r#","Action":"allow","SourcePeer":"east""#,
        400,
        "SourcePeer field is not supported on this endpoint. Use config entries instead",
    );
    refused(
        r#","Action":"allow","SourceNS":"*""#,
        400,
        "SourceName: exact value cannot follow wildcard namespace",
    );
    refused(r#","Action":"allow","SourceType":"k8s""#, 400, "SourceType must be set to 'consul'");
    refused(
        r#","Action":"allow","JWT":{"Providers":[{"Name":"okta"}]}"#,
        400,
        "JWT must not be set when using the legacy APIs; write the service-intentions entry instead",
    );
    let found =
        |body: &str| IntentionBody::decode(body.as_bytes()).unwrap().resolve_new().unwrap_err().to_string();
    assert!(
        found(r#"{"SourceName":"w*","DestinationName":"db","Action":"allow"}"#).contains(PARTIAL_WILDCARD)
    );
    let empty = found(r#"{"Action":"allow"}"#);
    assert!(
        empty.contains("SourceName must be set") && empty.contains("DestinationName must be set"),
        "{empty}"
    );
}

#[test]
fn an_intention_with_an_id_tells_it_with_times_and_fingerprint() {
    let (source, destination) = (parse_source("web").unwrap(), parse_destination("db").unwrap());
    let printed = |description: &str, modify: u64, update_time: i64| {
        let legacy = LegacyFields {
            id: concord_model::Uuid([7; 16]),
            meta: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            create_time: concord_model::Timestamp::from_nanos(0),
            update_time: concord_model::Timestamp::from_nanos(update_time),
        };
        Intention::from_model(IntentionParts {
            destination: &destination,
            source: &source,
            precedence: precedence(&destination, &source),
            decision: &Decision::Connection(Action::Deny),
            description,
            legacy: Some(&legacy),
            jwt: None,
            meta: &BTreeMap::new(),
            stamp: Stamp { create: 1, modify },
        })
    };
    let (one, touched, other) = (printed("", 2, 5), printed("", 3, 9), printed("x", 2, 5));
    assert_eq!(one.id, "07070707-0707-0707-0707-070707070707");
    assert_eq!(one.meta["a"], "b");
    assert!(!one.created_at.is_zero() && one.updated_at != touched.updated_at);
    assert_eq!(one.hash.len(), 44);
    assert_eq!(one.hash, touched.hash);
    assert_ne!(one.hash, other.hash);
}
