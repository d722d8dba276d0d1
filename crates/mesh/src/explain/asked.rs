//! A request that is asked about.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::request::{Header, Received, Token};

/// The most bytes of a request that is asked about: more than proxies accept of one.
pub const ASKED_BYTES_MAX: usize = 64 * 1024;

/// A request that is asked about.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct AskedRequest {
    /// Its method.
    pub method: String,
    /// Its target, with or without a query.
    pub target: String,
    /// Its headers, `host` included.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The claims of its verified tokens, by provider.
    #[serde(default)]
    pub tokens: Vec<(String, Value)>,
}

impl AskedRequest {
    /// Applies `look` to the request as a proxy receives it.
    pub(crate) fn received<T>(&self, look: impl FnOnce(Received<'_>) -> T) -> T {
        let Self { method, target, headers, tokens } = self;
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect();
        let tokens: Vec<_> = tokens.iter().map(|(provider, claims)| Token { provider, claims }).collect();
        let target = target.as_bytes();
        look(Received { method, target, authority: None, headers: &headers, tokens: &tokens })
    }

    /// Whether it is larger than [`ASKED_BYTES_MAX`].
    pub fn is_too_large(&self) -> bool {
        let Self { method, target, headers, tokens } = self;
        let headers = headers.iter().map(|(name, value)| name.len() + value.len());
        let tokens = tokens.iter().map(|(provider, claims)| provider.len() + claims.to_string().len());
        method.len() + target.len() + headers.chain(tokens).sum::<usize>() > ASKED_BYTES_MAX
    }
}
