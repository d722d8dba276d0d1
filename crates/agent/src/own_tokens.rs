//! The tokens the agent uses itself, as they are now: of the configuration, or set while it runs.
//!
//! One that was set goes before the configuration until that is read again. With
//! `acl.enable_token_persistence` it is also kept in the data directory, sealed, and goes
//! before the configuration from then on; a file in Consul's form is taken over. Kinds that nothing here uses yet are left in the file as they
//! are.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_model::Secret;
use concord_runtime::DiskError;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::config::{AgentConfig, AgentTokens};
use crate::vault::{Content, Vault, VaultError};

/// The file of the tokens that were set; Consul's name for it.
const FILE: &str = "acl-tokens.json";

/// A token of the agent that can be changed while it runs.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum TokenKind {
    /// See [`AgentTokens::default`](AgentTokens#structfield.default).
    Default,
    /// See [`AgentTokens::agent`].
    Agent,
    /// See [`AgentTokens::config_file_service_registration`].
    ConfigFileServiceRegistration,
}

/// Why tokens that were kept cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// The disk said no.
    #[error("{FILE} in the data directory: {0}")]
    Disk(#[from] DiskError),
    /// The file cannot be sealed or opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The file is damaged. What is in it is not repeated: it holds secrets.
    #[error(
        "{FILE} in the data directory: cannot be read as tokens (line {line}); restore it, or remove it and set the tokens again"
    )]
    Damaged {
        /// Where.
        line: usize,
    },
}

/// The agent's own tokens.
pub(crate) struct OwnTokens {
    /// The agent's configuration as it is now.
    now: RwLock<Arc<AgentConfig>>,
    state: Mutex<State>,
    changed: watch::Sender<()>,
    /// What keeps tokens, if they are kept.
    vault: Option<Vault>,
    /// Held by the one change that is under way.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct State {
    configured: AgentTokens,
    /// What was set; an empty one: none, whatever is configured.
    set: BTreeMap<TokenKind, Secret>,
    /// What else stands in the file.
    others: BTreeMap<String, String>,
}

/// The file. Has no `Debug`: it is nothing but secrets.
#[derive(Default, Deserialize, Serialize)]
struct KeptTokens {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    default: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    agent: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    config_file_service_registration: String,
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
    pub const ALL: [Self; 3] = [Self::Default, Self::Agent, Self::ConfigFileServiceRegistration];

    /// As in the configuration, in the file and in paths.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Agent => "agent",
            Self::ConfigFileServiceRegistration => "config_file_service_registration",
        }
    }

    fn of(self, tokens: &mut AgentTokens) -> &mut Option<Secret> {
        match self {
            Self::Default => &mut tokens.default,
            Self::Agent => &mut tokens.agent,
            Self::ConfigFileServiceRegistration => &mut tokens.config_file_service_registration,
        }
    }
}

// === impl OwnTokens ===

impl OwnTokens {
    /// The tokens of a configuration, and those that were kept.
    pub(crate) fn load(config: &AgentConfig, vault: &Vault) -> Result<Self, TokensError> {
        let vault = config.token_persistence.then(|| vault.clone());
        let KeptTokens { default, agent, config_file_service_registration, others } = match &vault {
            Some(vault) => read(vault)?,
            None => KeptTokens::default(),
        };
        let kept = [default, agent, config_file_service_registration];
        let set = TokenKind::ALL.into_iter().zip(kept).filter(|(_, token)| !token.is_empty());
        let set: BTreeMap<_, _> = set.map(|(kind, token)| (kind, Secret::new(token))).collect();
        let mut configured = config.tokens.clone();
        for kind in set.keys() {
            if kind.of(&mut configured).is_some() {
                let kind = kind.as_str();
                tracing::warn!(
                    kind,
                    "the token is in the configuration and was set: the one that was set counts"
                );
            }
        }
        let state = State { configured, set, others };
        let now = AgentConfig { tokens: state.tokens(), ..config.clone() };
        Ok(Self {
            now: RwLock::new(Arc::new(now)),
            state: Mutex::new(state),
            changed: watch::channel(()).0,
            vault,
            writing: tokio::sync::Mutex::default(),
        })
    }

    /// The agent's configuration, with what has changed since the start: tokens, metadata, what it shows of itself.
    pub(crate) fn now(&self) -> Arc<AgentConfig> {
        Arc::clone(&self.now.read())
    }

    /// Tells when a token or another of these settings has become another one.
    pub(crate) fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Goes by other settings from now on; what the catalog knows is compared with them.
    pub(crate) fn alter(&self, change: impl FnOnce(&mut AgentConfig)) {
        let mut now = self.now.write();
        let mut next = (**now).clone();
        change(&mut next);
        *now = Arc::new(next);
        drop(now);
        self.changed.send_replace(());
    }

    fn put(&self, state: State) {
        let tokens = state.tokens();
        *self.state.lock() = state;
        let mut now = self.now.write();
        if !same(&now.tokens, &tokens) {
            *now = Arc::new(AgentConfig { tokens, ..(**now).clone() });
            drop(now);
            self.changed.send_replace(());
        }
    }
}

impl State {
    /// What counts.
    fn tokens(&self) -> AgentTokens {
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
            others: self.others.clone(),
        }
    }
}

/// What was kept. Another program's file, and one of an earlier version, is in the clear: it is sealed.
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

fn same(a: &AgentTokens, b: &AgentTokens) -> bool {
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
