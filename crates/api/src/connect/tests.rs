//! Roots, leaves and the authority's configuration in the public shape.

use concord_model::ca::{CaConfig, KeyKind};
use concord_model::{Stamp, Timestamp, TrustDomain, Uuid};
use serde_json::json as value;

use super::*;
use crate::encode::{Layout, json};

const URI: &str = "spiffe://11111111-2222-3333-4444-555555555555.consul/ns/default/dc/dc1/svc/web";

fn root(intermediates: &[&str]) -> CaRoot {
    CaRoot {
        id: "aa:bb".to_owned(),
        name: "Consul CA Primary Cert".to_owned(),
        serial: 7,
        signing_key_id: "cc".to_owned(),
        external_trust_domain: "11111111-2222-3333-4444-555555555555".to_owned(),
        not_before: Timestamp::from_secs(0),
        not_after: Timestamp::from_secs(60),
        root_cert: "ROOT\n".to_owned(),
        intermediate_certs: intermediates.iter().map(|text| (*text).to_owned()).collect(),
        active: true,
        rotated_out_at: Some(Timestamp::from_secs(30)),
        key_kind: KeyKind::EcP256,
        stamp: Stamp { create: 1, modify: 2 },
    }
}

fn roots(intermediates: &[&str]) -> Roots {
    Roots::from_model(&CaRoots {
        active_root_id: "aa:bb".to_owned(),
        trust_domain: TrustDomain::parse("11111111-2222-3333-4444-555555555555.consul").unwrap(),
        roots: vec![root(intermediates)],
        index: 9,
    })
}

#[test]
fn roots_have_null_for_no_intermediates_and_hide_rotation() {
    let own = String::from_utf8(json(&roots(&[]), Layout::Compact).unwrap()).unwrap();
    let expected = r#"{"ActiveRootID":"aa:bb","TrustDomain":"11111111-2222-3333-4444-555555555555.consul",
        "Roots":[{"ID":"aa:bb","Name":"Consul CA Primary Cert","SerialNumber":7,"SigningKeyID":"cc",
        "ExternalTrustDomain":"11111111-2222-3333-4444-555555555555","NotBefore":"1970-01-01T00:00:00Z",
        "NotAfter":"1970-01-01T00:01:00Z","RootCert":"ROOT\n","IntermediateCerts":null,"Active":true,
        "PrivateKeyType":"ec","PrivateKeyBits":256,"CreateIndex":1,"ModifyIndex":2}]}"#;
    assert_eq!(own, expected.lines().map(str::trim).collect::<String>());
    assert_eq!(serde_json::from_str::<Roots>(&own).unwrap(), roots(&[]));
    assert_eq!(roots(&["I1\n", "I2\n"]).pem(), "ROOT\nI1\nI2\n");
}

#[test]
fn a_leaf_is_printed_with_its_key_but_not_debugged_with_it() {
    let leaf = LeafCertificate {
        serial: "01:a3".to_owned(),
        cert_pem: "CERT".to_owned(),
        uri: URI.to_owned(),
        valid_after: Timestamp::from_secs(0),
        valid_before: Timestamp::from_secs(1),
        authority_key_id: "cc".to_owned(),
        stamp: Stamp { create: 3, modify: 3 },
    };
    let shape = Leaf::from_model(&"web".parse().unwrap(), &leaf, &Secret::new("KEY".to_owned()));
    let own: serde_json::Value = serde_json::from_slice(&json(&shape, Layout::Compact).unwrap()).unwrap();
    assert_eq!(
        own,
        value!({"SerialNumber": "01:a3", "CertPEM": "CERT", "PrivateKeyPEM": "KEY", "Service": "web",
            "ServiceURI": URI, "ValidAfter": "1970-01-01T00:00:00Z", "ValidBefore": "1970-01-01T00:00:01Z",
            "CreateIndex": 3, "ModifyIndex": 3})
    );
    assert!(!format!("{shape:?}").contains("KEY"));
    let back: Leaf = serde_json::from_value(own).unwrap();
    assert_eq!(back.private_key_pem.expose(), "KEY");
}

#[track_caller]
fn authorize(target: &str, uri: &str) -> Result<Authorize, String> {
    let body = value!({"Target": target, "ClientCertURI": uri, "ClientCertSerial": "01"}).to_string();
    AuthorizeBody::decode(body.as_bytes()).map_err(|found| {
        assert_eq!(found.status(), 400);
        found.to_string()
    })
}

#[test]
fn authorize_names_who_calls_whom() {
    let asked = authorize("db", URI).unwrap();
    assert_eq!((asked.target.name.as_str(), asked.source.name.as_str()), ("db", "web"));
    let spelled = format!(r#"{{"TARGET":"db","client_cert_uri":"{URI}"}}"#);
    assert_eq!(AuthorizeBody::decode(spelled.as_bytes()), Ok(asked.clone()));
    let escaped = format!(r#"{{"Target":"\u0064b","ClientCertURI":"{URI}"}}"#);
    assert_eq!(AuthorizeBody::decode(escaped.as_bytes()), Ok(asked));
}

#[test]
fn authorize_refuses_what_is_no_question() {
    assert_eq!(authorize("", URI).unwrap_err(), "Target service must be specified");
    assert_eq!(authorize("db", "").unwrap_err(), "ClientCertURI not a valid Connect identifier");
    assert_eq!(
        authorize("db", "spiffe://x.consul/ns/a").unwrap_err(),
        "ClientCertURI not a valid Connect identifier"
    );
    let server = "spiffe://11111111-2222-3333-4444-555555555555.consul/agent/server/dc/dc1";
    assert_eq!(authorize("db", server).unwrap_err(), "ClientCertURI not a valid Service identifier");
    assert!(authorize("*", URI).unwrap_err().contains("wildcard"));
    assert!(
        AuthorizeBody::decode(b"nonsense").unwrap_err().to_string().starts_with("Request decode failed: ")
    );
}

#[test]
fn ca_settings_take_one_form() {
    let read = CaConfigurationBody::decode(
        br#"{"Provider":"consul","Config":{"leaf_cert_ttl":"72h","RootCertTTL":3600000000000,"private_key_bits":"384",
        "PrivateKeyType":"ec","csr_max_per_second":12.5,"PrivateKey":"PEM","Other":{"x":1},
        "IntermediateCertTTL":null}}"#,
    )
    .unwrap();
    assert_eq!(
        serde_json::to_value(&read.settings.plain).unwrap(),
        value!({"LeafCertTTL": "72h", "RootCertTTL": "1h0m0s", "PrivateKeyBits": 384, "PrivateKeyType": "ec",
            "CSRMaxPerSecond": 12.5, "Other": {"x": 1}})
    );
    assert_eq!(read.settings.private_key.as_ref().unwrap().expose(), "PEM");
    assert!(!format!("{read:?}").contains("PEM"));
    assert!(!read.force_without_oldest_root);
    let forced =
        CaConfigurationBody::decode(br#"{"Provider":"consul","ForceWithoutOldestRoot":true}"#).unwrap();
    assert!(forced.force_without_oldest_root && !forced.force_without_cross_signing);
    let refused =
        CaConfigurationBody::decode(br#"{"Config":{"LeafCertTTL":"soon","SkipValidate":3}}"#).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Invalid CA configuration: Config.LeafCertTTL: expected a duration such as \"72h\"; Config.SkipValidate: \
         expected true or false"
    );
}

#[test]
fn the_cluster_id_is_not_told_with_the_configuration() {
    let shape = CaConfiguration::from_model(&CaConfig {
        cluster_id: Uuid([1; 16]),
        provider: "consul".to_owned(),
        settings: [("LeafCertTTL".to_owned(), value!("72h"))].into(),
        state: [].into(),
        force_without_cross_signing: false,
        stamp: Stamp { create: 4, modify: 4 },
    });
    let own = String::from_utf8(json(&shape, Layout::Compact).unwrap()).unwrap();
    assert_eq!(
        own,
        r#"{"Provider":"consul","Config":{"LeafCertTTL":"72h"},"State":null,"ForceWithoutCrossSigning":false,"CreateIndex":4,"ModifyIndex":4}"#
    );
}
