//! Tokens and policies in the public shape, both ways.

use std::time::Duration;

use concord_model::token::{GLOBAL_READ_ONLY, Identities, PolicyLink as ModelLink, SecretHash};
use concord_model::{Stamp, Timestamp, Uuid};

use super::*;
use crate::encode::{Layout, json};

const ID: &str = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";

fn token() -> token::Token {
    token::Token {
        accessor: Uuid::parse(ID).unwrap(),
        secret_hash: SecretHash([0; 32]),
        secret: None,
        description: "d".to_owned(),
        policies: vec![ModelLink { id: Uuid::parse(ID).unwrap(), name: "p".to_owned() }],
        identities: Identities::default(),
        local: false,
        expires_at: None,
        created_at: Timestamp::from_secs(0),
        stamp: Stamp { create: 1, modify: 2 },
    }
}

#[test]
fn a_secret_is_shown_only_to_whom_it_is_given() {
    let hidden =
        String::from_utf8(json(&Token::from_model(&token(), None), Layout::Compact).unwrap()).unwrap();
    assert!(hidden.contains(r#""SecretID":"\u003chidden\u003e""#), "{hidden}");
    let secret = Secret::new("s3cret".to_owned());
    let shape = Token::from_model(&token(), Some(&secret));
    assert!(!format!("{shape:?}").contains("s3cret"));
    let own = String::from_utf8(json(&Bootstrapped::new(shape), Layout::Compact).unwrap()).unwrap();
    let begin = format!(
        r#"{{"ID":"s3cret","AccessorID":"{ID}","SecretID":"s3cret","Description":"d","Policies":[{{"ID":"{ID}","Name":"p"}}],"Local":false,"CreateTime":"1970-01-01T00:00:00Z","Hash":""#
    );
    assert!(own.starts_with(&begin), "{own}");
    assert!(own.ends_with(r#","CreateIndex":1,"ModifyIndex":2}"#), "{own}");
}

#[test]
fn a_policy_is_printed_with_and_without_rules() {
    let policy = AclPolicy {
        id: GLOBAL_READ_ONLY,
        name: "p".to_owned(),
        description: String::new(),
        rules: "acl = \"read\"".to_owned(),
        datacenters: Vec::new(),
        stamp: Stamp::default(),
    };
    let full = String::from_utf8(json(&Policy::from_model(&policy), Layout::Compact).unwrap()).unwrap();
    assert!(full.contains(r#""Rules":"acl = \"read\"""#) && !full.contains("Datacenters"), "{full}");
    let stub = String::from_utf8(json(&PolicyStub::from_model(&policy), Layout::Compact).unwrap()).unwrap();
    assert!(!stub.contains("Rules") && stub.contains(r#""Datacenters":null"#), "{stub}");
    let changed = AclPolicy { rules: "acl = \"write\"".to_owned(), ..policy.clone() };
    assert_ne!(Policy::from_model(&changed).hash, Policy::from_model(&policy).hash);
}

#[test]
fn an_expanded_token_has_its_policies_with_rules() {
    let policy = AclPolicy {
        id: GLOBAL_READ_ONLY,
        name: "p".to_owned(),
        description: String::new(),
        rules: "r".to_owned(),
        datacenters: Vec::new(),
        stamp: Stamp::default(),
    };
    let node = NodeName::parse("n1").unwrap();
    let print = |policies: &[AclPolicy]| {
        let shape = TokenExpanded::new(Token::from_model(&token(), None), policies, Action::Deny, &node);
        serde_json::to_value(shape).unwrap()
    };
    let one = print(&[policy]);
    assert_eq!((&one["AccessorID"], &one["SecretID"]), (&ID.into(), &HIDDEN.into()));
    assert_eq!(
        (&one["ExpandedPolicies"][0]["Name"], &one["ExpandedPolicies"][0]["Rules"]),
        (&"p".into(), &"r".into())
    );
    assert_eq!(
        (&one["AgentACLDefaultPolicy"], &one["AgentACLDownPolicy"]),
        (&"deny".into(), &"extend-cache".into())
    );
    assert_eq!(one["ResolvedByAgent"], "n1");
    let none = print(&[]);
    for field in ["ExpandedPolicies", "ExpandedRoles", "NamespaceDefaultPolicyIDs", "NamespaceDefaultRoleIDs"]
    {
        assert!(none.get(field).is_some_and(serde_json::Value::is_null), "{field}: {none}");
    }
}

#[test]
fn identities_are_read_and_told() {
    let body = br#"{"ServiceIdentities":[{"ServiceName":"web"},{"ServiceName":"db","Datacenters":["dc2"]},
        {"ServiceName":"db","Datacenters":["dc1"]}],"NodeIdentities":[{"NodeName":"n1","Datacenter":"dc1"}]}"#;
    let read = TokenUpsert::decode(body, None).unwrap();
    let mut model = token();
    let without = Token::from_model(&model, None).hash;
    model.identities = read.identities;
    let told = Token::from_model(&model, None);
    assert_ne!(told.hash, without);
    let told = serde_json::to_value(&told).unwrap();
    let services =
        serde_json::json!([{"ServiceName": "web"}, {"ServiceName": "db", "Datacenters": ["dc1", "dc2"]}]);
    assert_eq!(told["ServiceIdentities"], services);
    assert_eq!(told["NodeIdentities"], serde_json::json!([{"NodeName": "n1", "Datacenter": "dc1"}]));
}

#[test]
fn n_166_identities_with_names_that_could_be_rules_are_refused() {
    let service = |text: &str| format!(r#"{{"ServiceIdentities":[{text}]}}"#);
    let node = |text: &str| format!(r#"{{"NodeIdentities":[{text}]}}"#);
    let names = "Only lowercase alphanumeric characters, '-' and '_' are allowed";
    for name in ["Web", "a b", "-x", "x-", "*", r#"w\" { policy = \"write"#] {
        let text: String = serde_json::from_str(&format!("\"{name}\"")).unwrap();
        refused(
            &service(&format!(r#"{{"ServiceName":"{name}"}}"#)),
            None,
            400,
            &format!("Service identity {text:?} has an invalid name. {names}"),
        );
        refused(
            &node(&format!(r#"{{"NodeName":"{name}","Datacenter":"dc1"}}"#)),
            None,
            400,
            &format!("Node identity has an invalid name. {names}"),
        );
    }
    let text = "Service identity is missing the service name field on this token";
    refused(&service("{}"), None, 400, text);
    refused(
        &node(r#"{"Datacenter":"dc1"}"#),
        None,
        400,
        "Node identity is missing the node name field on this token",
    );
    refused(
        &node(r#"{"NodeName":"n"}"#),
        None,
        400,
        "Node identity is missing the datacenter field on this token",
    );
    let local = r#"{"Local":true,"ServiceIdentities":[{"ServiceName":"web","Datacenters":["dc1"]}]}"#;
    let text = "Service identity \"web\" cannot specify a list of datacenters on a local token";
    refused(local, None, 400, text);
}

#[test]
fn a_token_is_read() {
    let body = format!(
        r#"{{"AccessorID":"{ID}","SecretID":"{ID}","Description":"d","Policies":[{{"ID":"{ID}"}},{{"Name":"p"}}],
        "Local":true,"ExpirationTTL":"1h","Roles":null,"ServiceIdentities":[]}}"#
    );
    let read = TokenUpsert::decode(body.as_bytes(), None).unwrap();
    assert_eq!(read.accessor, Some(Uuid::parse(ID).unwrap()));
    assert_eq!(read.policies, [PolicyRef::Id(Uuid::parse(ID).unwrap()), PolicyRef::Name("p".to_owned())]);
    assert_eq!(read.expires, Expiry::After(Duration::from_secs(3600)));
    assert!(read.local && !format!("{read:?}").contains(&format!("Secret({ID})")));
    assert_eq!(TokenUpsert::decode(b"{}", None).unwrap().expires, Expiry::Never);
}

#[track_caller]
fn refused(body: &str, in_path: Option<&str>, status: u16, text: &str) {
    let in_path = in_path.map(|id| Uuid::parse(id).unwrap());
    let found = TokenUpsert::decode(body.as_bytes(), in_path).expect_err("must be refused");
    assert_eq!((found.to_string().as_str(), found.status()), (text, status));
}

#[test]
fn tokens_that_cannot_be_are_refused() {
    let other = "1a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
    refused(
        &format!(r#"{{"AccessorID":"{ID}"}}"#),
        Some(other),
        400,
        "Token Accessor ID in URL and payload do not match",
    );
    refused(r#"{"AccessorID":"x"}"#, None, 400, "Invalid Token: AccessorID - not a valid UUID");
    refused(r#"{"SecretID":"x"}"#, None, 400, "Invalid Token: SecretID - not a valid UUID");
    refused(
        r#"{"SecretID":"00000000-0000-0000-0000-000000000009"}"#,
        None,
        400,
        "Invalid Token: SecretID - UUIDs with the prefix \"00000000-0000-0000-0000-0000000000\" are reserved",
    );
    refused(
        r#"{"ExpirationTTL":"1h","ExpirationTime":"2030-01-01T00:00:00Z"}"#,
        None,
        400,
        "Token Expiration TTL and Expiration Time cannot both be set",
    );
    let soon = "ExpirationTime cannot be less than 1m0s in the future (was 1s)";
    refused(r#"{"ExpirationTTL":"1s"}"#, None, 400, soon);
    refused(r#"{"Policies":[{}]}"#, None, 400, "Policies[0] needs an ID or a Name");
    refused(r#"{"Roles":[{"Name":"r"}]}"#, None, 501, "not available yet: Roles of tokens");
    refused(r#"{"TemplatedPolicies":[{}]}"#, None, 501, "not available yet: TemplatedPolicies of tokens");
    refused(r#"{"AuthMethod":"k"}"#, None, 501, "not available yet: AuthMethod of tokens");
}

#[test]
fn a_policy_needs_a_proper_name() {
    let read = |body: &str, id: Option<&str>| {
        let id = id.map(|id| Uuid::parse(id).unwrap());
        PolicyUpsert::decode(body.as_bytes(), id).map_err(|found| found.to_string())
    };
    let policy = read(r#"{"Name":"p","Rules":"x","Datacenters":["dc1"]}"#, None).unwrap();
    assert_eq!((policy.id, policy.datacenters.len()), (None, 1));
    assert_eq!(read("{}", None).unwrap_err(), "Invalid Policy: no Name is set");
    assert_eq!(
        read(r#"{"Name":"a b"}"#, None).unwrap_err(),
        "Invalid Policy: invalid Name. Only alphanumeric characters, a single '/', '-' and '_' are allowed"
    );
    assert_eq!(
        read(r#"{"Name":"builtin/x"}"#, None).unwrap_err(),
        "Invalid Policy: invalid Name. Names cannot be prefixed with '/' or 'builtin/'"
    );
    assert!(read(r#"{"Name":"team/x"}"#, None).is_ok());
    let with_id = format!(r#"{{"ID":"{ID}","Name":"p"}}"#);
    assert_eq!(read(&with_id, None).unwrap_err(), "Cannot specify the ID when creating a new policy");
    assert!(read(&with_id, Some(ID)).is_ok());
    assert_eq!(
        read(&with_id, Some("1a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9")).unwrap_err(),
        "Policy ID in URL and payload do not match"
    );
}

#[test]
fn a_bootstrap_body_may_be_empty() {
    assert!(decode_bootstrap(b" \n").unwrap().is_none());
    assert!(decode_bootstrap(b"{}").unwrap().is_none());
    let body = format!(r#"{{"BootstrapSecret":"{ID}"}}"#);
    assert_eq!(decode_bootstrap(body.as_bytes()).unwrap().unwrap().expose(), ID);
    assert!(decode_bootstrap(br#"{"BootstrapSecret":"x"}"#).is_err());
}
