//! The current tokens of the agent itself: from the configuration, or set at run time.
//!
//! A token that was set at run time wins over the configuration until the configuration is read again. With
//! `acl.enable_token_persistence` it is also stored encrypted in the data directory, and wins over the configuration
//! permanently. A file in Consul's format is read and converted. Tokens of a kind that is not used yet stay in the
//! file unchanged.

use std::collections::BTreeMap;

use concord_config::section::TokensSection;
use concord_model::Secret;
use concord_runtime::DiskError;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::program::Halt;
use crate::site::{InForce, Site};
use crate::vault::{Content, Vault, VaultError};

/// The file of the tokens that were set, under Consul's name.
const FILE: &str = "acl-tokens.json";

/// The kinds of tokens that can be set at run time.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum TokenKind {
    /// See [`TokensSection::default`](TokensSection#structfield.default).
    Default,
    /// See [`TokensSection::agent`].
    Agent,
    /// See [`TokensSection::config_file_service_registration`].
    ConfigFileServiceRegistration,
    /// See [`TokensSection::dns`].
    Dns,
}

/// Why stored tokens cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// The disk reported an error.
    #[error("{FILE} in the data directory: {0}")]
    Disk(#[from] DiskError),
    /// The file cannot be encrypted or decrypted.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The file is damaged. The text must not quote the content, which holds secrets.
    #[error(
        "{FILE} in the data directory: cannot be read as tokens (line {line}); restore it, or remove it and set the tokens again"
    )]
    Damaged {
        /// The line of the error.
        line: usize,
    },
}

/// The agent's own tokens: sets them, and writes those in force into the current settings.
pub struct OwnTokens {
    state: Mutex<State>,
    in_force: InForce,
    site: Site,
    halt: Halt,
    /// Encrypts the stored tokens, if they are stored.
    vault: Option<Vault>,
    /// Lock for changes: one at a time.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct State {
    configured: TokensSection,
    /// The tokens that were set. An empty one means no token, whatever is configured.
    set: BTreeMap<TokenKind, Secret>,
    /// Other content of the file.
    others: BTreeMap<String, String>,
}

/// The content of the file. It has no `Debug`, because it holds only secrets.
#[derive(Default, Deserialize, Serialize)]
struct KeptTokens {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    default: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    agent: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    config_file_service_registration: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    dns: String,
    #[serde(flatten)]
    others: BTreeMap<String, String>,
}

impl std::fmt::Debug for OwnTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnTokens").field("kept", &self.vault.is_some()).finish_non_exhaustive()
    }
}

impl TokenKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Default, Self::Agent, Self::ConfigFileServiceRegistration, Self::Dns];

    /// The name in the configuration, in the file and in paths.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Agent => "agent",
            Self::ConfigFileServiceRegistration => "config_file_service_registration",
            Self::Dns => "dns",
        }
    }

    fn of(self, tokens: &mut TokensSection) -> &mut Option<Secret> {
        match self {
            Self::Default => &mut tokens.default,
            Self::Agent => &mut tokens.agent,
            Self::ConfigFileServiceRegistration => &mut tokens.config_file_service_registration,
            Self::Dns => &mut tokens.dns,
        }
    }
}

// === impl OwnTokens ===

impl OwnTokens {
    /// Loads the stored tokens. Those of the configuration are in force already.
    pub(crate) fn load(
        site: Site,
        in_force: InForce,
        vault: &Vault,
        halt: Halt,
    ) -> Result<Self, TokensError> {
        let config = &site.config;
        let vault = config.acl.token_persistence.then(|| vault.clone());
        let KeptTokens { default, agent, config_file_service_registration, dns, others } = match &vault {
            Some(vault) => read(vault)?,
            None => KeptTokens::default(),
        };
        let kept = [default, agent, config_file_service_registration, dns];
        let set = TokenKind::ALL.into_iter().zip(kept).filter(|(_, token)| !token.is_empty());
        let set: BTreeMap<_, _> = set.map(|(kind, token)| (kind, Secret::new(token))).collect();
        let mut configured = config.acl.tokens.clone();
        for kind in set.keys() {
            if kind.of(&mut configured).is_some() {
                let kind = kind.as_str();
                tracing::warn!(
                    kind,
                    "the token is configured and was also set at run time: the one set at run time is used"
                );
            }
        }
        let state = State { configured, set, others };
        let writing = tokio::sync::Mutex::default();
        let own = Self { state: Mutex::new(state.clone()), in_force, site, halt, vault, writing };
        own.put(state);
        Ok(own)
    }

    /// The token with which DNS is answered: its own, or else that of requests that have none.
    pub fn of_dns(&self) -> Option<Secret> {
        let now = self.site.now();
        now.acl.tokens.dns.clone().or_else(|| now.acl.tokens.default.clone())
    }

    fn put(&self, state: State) {
        let tokens = state.tokens();
        *self.state.lock() = state;
        if !same(&self.site.now().acl.tokens, &tokens) {
            self.in_force.alter(|config| config.acl.tokens = tokens);
        }
    }
}

impl State {
    /// The tokens in force.
    fn tokens(&self) -> TokensSection {
        let mut tokens = self.configured.clone();
        for (kind, token) in &self.set {
            *kind.of(&mut tokens) = Some(token.clone()).filter(|token| !token.is_empty());
        }
        tokens
    }

    fn kept(&self) -> KeptTokens {
        let set = |kind| self.set.get(&kind).map_or_else(String::new, |token| token.expose().to_owned());
        KeptTokens {
            default: set(TokenKind::Default),
            agent: set(TokenKind::Agent),
            config_file_service_registration: set(TokenKind::ConfigFileServiceRegistration),
            dns: set(TokenKind::Dns),
            others: self.others.clone(),
        }
    }
}

/// Reads the stored tokens. A file of another program or of an earlier version is not encrypted; it is encrypted
/// here.
fn read(vault: &Vault) -> Result<KeptTokens, TokensError> {
    let Some(raw) = vault.raw(FILE)? else { return Ok(KeptTokens::default()) };
    let damaged = |error: serde_json::Error| TokensError::Damaged { line: error.line() };
    match vault.open(FILE, raw)? {
        Content::Sealed(content) => serde_json::from_slice(content.expose()).map_err(damaged),
        Content::Clear(content) => {
            let kept = serde_json::from_slice(&content).map_err(damaged)?;
            vault.disk().write_atomic(FILE, &vault.seal(FILE, &content)?)?;
            Ok(kept)
        }
    }
}

fn same(a: &TokensSection, b: &TokensSection) -> bool {
    let (mut a, mut b) = (a.clone(), b.clone());
    TokenKind::ALL.into_iter().all(|kind| match (kind.of(&mut a), kind.of(&mut b)) {
        (Some(a), Some(b)) => a.matches(b.expose()),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    })
}

mod setting;

#[cfg(test)]
mod tests;
