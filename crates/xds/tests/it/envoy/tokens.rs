//! Issuers of tokens whose keys are here, and their tokens.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use concord_model::entry::{
    Entry, EntryKind, EntryName, JsonWebKeySet, JwtProvider, LocalJwks, TokenHeader, TokenLocation,
};
use concord_model::intention::Destination;
use concord_model::{Namespace, Partition, Pattern, ServiceName};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const PROVIDERS: [&str; 2] = ["p1", "p2"];
const KEY_BYTES: usize = 64;

fn key(provider: &str) -> [u8; KEY_BYTES] {
    let mut key = [7; KEY_BYTES];
    key[..provider.len()].copy_from_slice(provider.as_bytes());
    key
}

/// Each issuer's tokens come in a header of their own.
pub(crate) fn providers() -> Vec<Entry> {
    let of = |provider: &&str| {
        let key = URL_SAFE_NO_PAD.encode(key(provider));
        let keys = json!({ "keys": [{ "kty": "oct", "alg": "HS256", "kid": "k", "k": key }] });
        let local = Some(LocalJwks { jwks: STANDARD.encode(keys.to_string()), ..LocalJwks::default() });
        let header = Some(TokenHeader { name: format!("token-{provider}"), ..TokenHeader::default() });
        let said = JwtProvider {
            json_web_key_set: Some(JsonWebKeySet { local, remote: None }),
            issuer: (*provider).to_owned(),
            locations: vec![TokenLocation { header, ..TokenLocation::default() }],
            ..JwtProvider::default()
        };
        let scope = Destination {
            partition: Partition::default(),
            namespace: Pattern::Exact(Namespace::default()),
            name: Pattern::Exact(ServiceName::parse(provider).unwrap()),
        };
        super::record(EntryName { kind: EntryKind::JwtProvider, scope }, said, Entry::JwtProvider)
    };
    PROVIDERS.iter().map(of).collect()
}

/// The line of a request that carries a token with these claims.
pub(crate) fn line(provider: &str, claims: &Value) -> String {
    let mut claims = claims.clone();
    claims["iss"] = json!(provider);
    claims["exp"] = json!(4_102_444_800_u64);
    format!("token-{provider}: {}\r\n", signed(provider, &claims))
}

pub(crate) fn signed(provider: &str, claims: &Value) -> String {
    let head = URL_SAFE_NO_PAD.encode(json!({ "alg": "HS256", "kid": "k" }).to_string());
    let text = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(hmac(&key(provider), text.as_bytes())))
}

fn hmac(key: &[u8; KEY_BYTES], text: &[u8]) -> Vec<u8> {
    let (inner, outer) = (key.map(|byte| byte ^ 0x36), key.map(|byte| byte ^ 0x5c));
    let inner = Sha256::new().chain_update(inner).chain_update(text).finalize();
    Sha256::new().chain_update(outer).chain_update(inner).finalize().to_vec()
}
