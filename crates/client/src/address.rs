//! The address of an agent, in the forms that `-http-addr` and `CONSUL_HTTP_ADDR` accept.

use std::fmt;
use std::path::PathBuf;

/// Port of an agent's HTTP API when the address names none.
pub const DEFAULT_PORT: u16 = 8500;

/// The address of an agent.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Address {
    /// TCP without TLS.
    Http {
        /// Host name or IP address, without brackets.
        host: String,
        /// Port.
        port: u16,
    },
    /// TCP with TLS.
    Https {
        /// Host name or IP address, without brackets.
        host: String,
        /// Port.
        port: u16,
    },
    /// A unix socket.
    Unix(PathBuf),
}

/// The text is not the address of an agent.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AddressError {
    /// An unsupported scheme.
    #[error("address {text:?}: scheme {scheme:?} is not http, https or unix")]
    Scheme {
        /// The text as given.
        text: String,
        /// The scheme.
        scheme: String,
    },
    /// Not `host:port`.
    #[error("address {text:?}: expected host:port, such as 127.0.0.1:8500")]
    HostPort {
        /// The text as given.
        text: String,
    },
    /// There is a path after the port; the API has none.
    #[error("address {text:?}: a path after the port is not supported")]
    Path {
        /// The text as given.
        text: String,
    },
}

impl Address {
    /// Parses `host:port`, `host`, `http://…`, `https://…` or `unix:///path`. Without a scheme it means TCP without
    /// TLS.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        match text.split_once("://") {
            None => host_port(text, text).map(|(host, port)| Self::Http { host, port }),
            Some(("http", rest)) => host_port(text, rest).map(|(host, port)| Self::Http { host, port }),
            Some(("https", rest)) => host_port(text, rest).map(|(host, port)| Self::Https { host, port }),
            Some(("unix", path)) if !path.is_empty() => Ok(Self::Unix(PathBuf::from(path))),
            Some(("unix", _)) => Err(AddressError::HostPort { text: text.to_owned() }),
            Some((scheme, _)) => {
                Err(AddressError::Scheme { text: text.to_owned(), scheme: scheme.to_owned() })
            }
        }
    }

    /// The same address with TLS. A unix socket stays unchanged.
    #[must_use]
    pub fn secured(self) -> Self {
        match self {
            Self::Http { host, port } | Self::Https { host, port } => Self::Https { host, port },
            Self::Unix(path) => Self::Unix(path),
        }
    }

    /// The value of the `Host` header.
    pub(crate) fn authority(&self) -> String {
        match self {
            Self::Http { host, port } | Self::Https { host, port } => join(host, *port),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }
}

impl Default for Address {
    /// `127.0.0.1:8500`.
    fn default() -> Self {
        Self::Http { host: "127.0.0.1".to_owned(), port: DEFAULT_PORT }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { host, port } => write!(f, "http://{}", join(host, *port)),
            Self::Https { host, port } => write!(f, "https://{}", join(host, *port)),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

fn host_port(text: &str, rest: &str) -> Result<(String, u16), AddressError> {
    let bad = || AddressError::HostPort { text: text.to_owned() };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '?', '#']) {
        return Err(AddressError::Path { text: text.to_owned() });
    }
    let (host, port) = if let Some(bracketed) = rest.strip_prefix('[') {
        let (host, after) = bracketed.split_once(']').ok_or_else(bad)?;
        match after.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if after.is_empty() => (host, None),
            None => return Err(bad()),
        }
    } else {
        match rest.split_once(':') {
            Some((_, port)) if port.contains(':') => return Err(bad()),
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        }
    };
    // As in Go's dialer, `:8500` means this machine.
    let host = if host.is_empty() && port.is_some() { "localhost" } else { host };
    if host.is_empty() || host.chars().any(|c| c.is_whitespace() || c.is_control() || c == '@') {
        return Err(bad());
    }
    let port = port.map_or(Ok(DEFAULT_PORT), |port| port.parse().map_err(|_| bad()))?;
    Ok((host.to_owned(), port))
}

fn join(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(Address::parse(text).map(|a| a.to_string()), Ok(expected.to_owned()), "{text}");
    }

    #[test]
    fn addresses_are_read() {
        check("127.0.0.1:8500", "http://127.0.0.1:8500");
        check("agent.example", "http://agent.example:8500");
        check("http://agent.example:80/", "http://agent.example:80");
        check("https://[::1]:8501", "https://[::1]:8501");
        check("[::1]", "http://[::1]:8500");
        check(":8500", "http://localhost:8500");
        check("unix:///var/run/agent.sock", "unix:///var/run/agent.sock");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "ftp://a:1",
            "a:b",
            "a:70000",
            "::1",
            "[::1",
            "[::1]x",
            "http://",
            "a b:1",
            "u@h:1",
            "unix://",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
        assert_eq!(
            Address::parse("http://a:1/prefix"),
            Err(AddressError::Path { text: "http://a:1/prefix".to_owned() })
        );
    }

    #[test]
    fn securing_changes_tcp_only() {
        assert_eq!(Address::default().secured().to_string(), "https://127.0.0.1:8500");
        assert_eq!(Address::Unix("/s".into()).secured(), Address::Unix("/s".into()));
    }
}
