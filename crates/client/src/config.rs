//! The settings of a client.

use std::fmt;
use std::time::Duration;

use concord_model::Secret;

use crate::address::Address;
use crate::limits;
use crate::tls::TlsFiles;

/// How to reach an agent, and what every request carries.
#[derive(Clone, Debug)]
pub struct Config {
    /// The agent's address.
    pub address: Address,
    /// Token of requests without their own.
    pub token: Option<Secret>,
    /// User and password for a proxy in front of the agent.
    pub basic_auth: Option<BasicAuth>,
    /// Datacenter of requests without one; empty: the agent's.
    pub datacenter: String,
    /// Namespace of requests without one; empty: the token's.
    pub namespace: String,
    /// Partition of requests without one; empty: the agent's.
    pub partition: String,
    /// The TLS files; used only for `https`.
    pub tls: TlsFiles,
    /// Time limit for connecting.
    pub connect_timeout: Duration,
    /// Time limit for an answer, in addition to the wait that the request asks for.
    pub answer_timeout: Duration,
    /// Largest accepted body in bytes.
    pub response_bytes_max: usize,
}

/// User and password of HTTP's basic authentication.
#[derive(Clone)]
pub struct BasicAuth {
    /// The user.
    pub user: String,
    /// The password.
    pub password: Secret,
}

impl Config {
    /// The defaults for an agent at `address`.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            token: None,
            basic_auth: None,
            datacenter: String::new(),
            namespace: String::new(),
            partition: String::new(),
            tls: TlsFiles::default(),
            connect_timeout: limits::CONNECT_TIMEOUT,
            answer_timeout: limits::ANSWER_TIMEOUT,
            response_bytes_max: limits::RESPONSE_BYTES_MAX,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new(Address::default())
    }
}

impl fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BasicAuth({:?}, <hidden>)", self.user)
    }
}

impl BasicAuth {
    /// Parses `user:password`; without a colon the password is empty.
    pub fn parse(text: &str) -> Self {
        let (user, password) = text.split_once(':').unwrap_or((text, ""));
        Self { user: user.to_owned(), password: Secret::new(password.to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_printed() {
        let auth = BasicAuth::parse("ann:hun:ter2");
        assert_eq!((auth.user.as_str(), auth.password.expose()), ("ann", "hun:ter2"));
        assert!(!format!("{auth:?}").contains("ter2"));
        assert!(BasicAuth::parse("ann").password.is_empty());
    }
}
