//! Errors of a request, grouped by who must act.

use std::io;
use std::time::Duration;

use crate::address::{Address, AddressError};
use crate::tls::TlsError;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is invalid.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The TLS files cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The connection failed, or the TLS handshake did. The agent has not seen the request.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The agent's address.
        address: Address,
        /// The error of the system.
        source: io::Error,
    },
    /// The connection broke. The agent may have carried out the request.
    #[error("the connection to {address} broke before the answer was complete: {}", causes(source))]
    Broken {
        /// The agent's address.
        address: Address,
        /// The error of the HTTP library.
        source: hyper::Error,
    },
    /// The agent closed the connection instead of answering. It may have carried out the request.
    #[error("{address} closed the connection without an answer")]
    Closed {
        /// The agent's address.
        address: Address,
    },
    /// There was no complete answer in time. The agent may have carried out the request.
    #[error("no answer from {address} within {after:?}")]
    Timeout {
        /// The agent's address.
        address: Address,
        /// The time limit.
        after: Duration,
    },
    /// The answer is larger than the client accepts.
    #[error("the answer is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// The agent returned an error status. The message is its plain text.
    #[error("Unexpected response code: {status} ({message})")]
    Status {
        /// HTTP status.
        status: u16,
        /// The agent's message.
        message: String,
    },
    /// The answer does not have the promised form.
    #[error("cannot read the answer to {what}: {source}")]
    Decode {
        /// Method and path.
        what: String,
        /// The error.
        source: serde_json::Error,
    },
    /// The request cannot be encoded: an invalid header value, or a body without a JSON form.
    #[error("cannot write the request: {reason}")]
    Request {
        /// What cannot be encoded.
        reason: String,
    },
}

impl Error {
    /// The HTTP status, if the agent answered with an error status.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            Self::Address(_)
            | Self::Tls(_)
            | Self::Connect { .. }
            | Self::Broken { .. }
            | Self::Closed { .. }
            | Self::Timeout { .. }
            | Self::TooLarge { .. }
            | Self::Decode { .. }
            | Self::Request { .. } => None,
        }
    }

    /// Whether the agent answered that the thing does not exist.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// Whether the agent does not know the token of the request.
    pub fn is_unknown_token(&self) -> bool {
        matches!(self, Self::Status { status: 403, message } if message.ends_with(TOKEN_UNKNOWN))
    }

    /// Whether the same request may succeed later without a change.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Broken { .. } | Self::Closed { .. } | Self::Timeout { .. } => true,
            Self::Status { status, .. } => *status == 429 || *status >= 500,
            Self::Address(_)
            | Self::Tls(_)
            | Self::TooLarge { .. }
            | Self::Decode { .. }
            | Self::Request { .. } => false,
        }
    }

    /// What the user can do about it, if known.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Connect { address, source } => Some(remedy_for_connecting(address, source)),
            Self::Timeout { address, .. } => Some(format!("does {address} speak HTTP, and has it a leader?")),
            Self::Status { status: 400, message }
                if message.ends_with("HTTP request to an HTTPS server.") =>
            {
                Some("write https:// before the address, or set CONSUL_HTTP_SSL=true".to_owned())
            }
            Self::Status { status: 401, .. } => {
                Some("the agent runs without ACLs; set acl.enabled in its configuration".to_owned())
            }
            Self::Status { status: 403, message } => remedy_for_refusal(message).map(ToOwned::to_owned),
            Self::Status { status: 500, message } if message == "No cluster leader" => Some(
                "no server leads at the moment: try again, and read the servers' logs if it stays so"
                    .to_owned(),
            ),
            Self::Broken { source, .. } => Some(match remedy_for_tls(&causes(source)) {
                Some(remedy) => remedy.to_owned(),
                None => NOT_HTTP.to_owned(),
            }),
            // The TLS alert with the reason can get lost when the other side closes the connection.
            Self::Closed { address: Address::Https { .. } } => Some(
                "does the agent ask for a certificate? Give one of an authority that it trusts with -client-cert and -client-key"
                    .to_owned(),
            ),
            Self::Closed { .. } => Some(NOT_HTTP.to_owned()),
            Self::Decode { .. } => Some("is it an agent that answers there?".to_owned()),
            Self::Status { .. }
            | Self::Address(_)
            | Self::Tls(_)
            | Self::TooLarge { .. }
            | Self::Request { .. } => None,
        }
    }
}

/// The remedy if the other side does not speak HTTP.
const NOT_HTTP: &str =
    "does the HTTP API of an agent listen there? One under TLS needs https:// before its address";

/// The error with its causes, as far as they are known.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some errors already contain the text of their cause.
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

fn remedy_for_connecting(address: &Address, source: &io::Error) -> String {
    let text = source.to_string();
    if let Some(remedy) = remedy_for_tls(&text) {
        return remedy.to_owned();
    }
    match source.kind() {
        io::ErrorKind::PermissionDenied => format!("may this user open {address}?"),
        io::ErrorKind::InvalidData => {
            "check -ca-file, -ca-path, -tls-server-name, -client-cert and -client-key".to_owned()
        }
        // The resolver's text is the only way to recognise this error.
        _ if text.contains("lookup address") => {
            "is the name in -http-addr or CONCORD_HTTP_ADDR written as it is known here?".to_owned()
        }
        _ => {
            format!("is an agent running at {address}? Set CONCORD_HTTP_ADDR or -http-addr to reach another")
        }
    }
}

/// The remedy for a TLS error, recognised by its text.
fn remedy_for_tls(text: &str) -> Option<&'static str> {
    const SAID: [(&str, &str); 6] = [
        ("InvalidContentType", "no TLS is spoken there: write http:// before the address"),
        ("UnknownIssuer", "name the authority that signed the agent's certificate with -ca-file or -ca-path"),
        (
            "not valid for name",
            "call the agent by a name in its certificate, or give one with -tls-server-name",
        ),
        ("certificate expired", "the agent's certificate has expired: put another one in its place"),
        (
            "CertificateRequired",
            "the agent asks for a certificate: give one with -client-cert and -client-key",
        ),
        (
            "received fatal alert",
            "the agent does not take the certificate of -client-cert: give one of an authority that it trusts",
        ),
    ];
    SAID.iter().find(|(said, _)| text.contains(said)).map(|(_, remedy)| *remedy)
}

/// The remedy depends on what is missing: the caller's token, its rights, or the requested thing.
fn remedy_for_refusal(message: &str) -> Option<&'static str> {
    if message.contains("ACL bootstrap no longer allowed") {
        return Some(
            "the first token was made already: use it, or one made with it. If it is lost, write the reset index into \
             the file acl-bootstrap-reset in the leader's data directory and bootstrap again",
        );
    }
    if message.starts_with("ACL system must be bootstrapped") {
        return Some("make the first token with acl bootstrap");
    }
    // This is about the token or policy that was requested, not about the caller's token.
    if message != TOKEN_UNKNOWN && message.ends_with(TOKEN_UNKNOWN) {
        return None;
    }
    if message == TOKEN_UNKNOWN {
        return Some(
            "the token of this request is not known: check -token, -token-file, CONCORD_HTTP_TOKEN and the agent's own",
        );
    }
    Some("give a token that has the right with -token, -token-file or CONCORD_HTTP_TOKEN")
}

/// The agent's text for an unknown token.
const TOKEN_UNKNOWN: &str = "ACL not found";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, message: &str, remedy: Option<&str>) {
        let said = Error::Status { status, message: message.to_owned() }.remedy();
        match remedy {
            Some(words) => assert!(said.as_deref().is_some_and(|said| said.contains(words)), "{said:?}"),
            None => assert_eq!(said, None),
        }
    }

    #[test]
    fn a_remedy_is_named_for_whose_lack_it_is() {
        check(403, "Permission denied: token with AccessorID 'a' lacks permission", Some("give a token"));
        check(403, "ACL not found", Some("is not known"));
        check(
            403,
            "Permission denied: ACL bootstrap no longer allowed (reset index: 6)",
            Some("acl-bootstrap-reset"),
        );
        check(403, "token does not exist: ACL not found", None);
        check(404, "Requested policy does not exist: ACL not found", None);
        check(500, "No cluster leader", Some("no server leads"));
        check(500, "No path to datacenter", None);
    }
}
