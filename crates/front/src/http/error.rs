//! The error answer of an endpoint: a status and a plain text, as Consul's clients expect.
//!
//! This is the only place that maps internal errors to HTTP status codes.

use concord_api::Faults;
use concord_filter::FilterError;
use concord_rpc::RpcError;
use http::StatusCode;

/// An error answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{status}: {text}")]
pub struct HttpError {
    /// The status code.
    pub status: StatusCode,
    /// The body, plain text.
    pub text: String,
}

impl HttpError {
    /// A refusal with any status.
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    /// 400: the request is wrong; the text names field and remedy.
    pub fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// 403: the caller lacks the right.
    pub fn forbidden(text: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, text)
    }

    /// 404: the thing does not exist.
    pub fn not_found(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// 501: Consul documents it, but it is not built here yet.
    pub fn not_available(what: impl AsRef<str>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, format!("not available yet: {}", what.as_ref()))
    }
}

impl From<Faults> for HttpError {
    fn from(faults: Faults) -> Self {
        let status = match faults.status() {
            501 => StatusCode::NOT_IMPLEMENTED,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, faults.to_string())
    }
}

impl From<FilterError> for HttpError {
    /// Consul answers filter errors with status 500, and clients expect that.
    fn from(error: FilterError) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

impl From<RpcError> for HttpError {
    fn from(error: RpcError) -> Self {
        let status = match &error {
            RpcError::Invalid(_) => StatusCode::BAD_REQUEST,
            RpcError::NotFound(_) => StatusCode::NOT_FOUND,
            RpcError::Conflict(_) => StatusCode::CONFLICT,
            RpcError::Denied(_) | RpcError::TokenNotFound | RpcError::NotBootstrapped => {
                StatusCode::FORBIDDEN
            }
            RpcError::AclDisabled => StatusCode::UNAUTHORIZED,
            RpcError::RateLimited | RpcError::Busy(_) => StatusCode::TOO_MANY_REQUESTS,
            RpcError::ShuttingDown | RpcError::ReadOnly(_) => StatusCode::SERVICE_UNAVAILABLE,
            RpcError::NotAvailable(_) => StatusCode::NOT_IMPLEMENTED,
            RpcError::UnknownDatacenter
            | RpcError::Rejected(_)
            | RpcError::NoLeader
            | RpcError::Unreachable(_)
            | RpcError::OutcomeUnknown
            | RpcError::CaNotReady(_)
            | RpcError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: RpcError, status: u16, text: &str) {
        let sent = HttpError::from(error);
        assert_eq!((sent.status.as_u16(), sent.text.as_str()), (status, text));
    }

    #[test]
    fn errors_have_the_codes_and_texts_clients_match_on() {
        check(RpcError::NoLeader, 500, "No cluster leader");
        check(RpcError::UnknownDatacenter, 500, "No path to datacenter");
        check(RpcError::TokenNotFound, 403, "ACL not found");
        check(RpcError::AclDisabled, 401, "ACL support disabled");
        check(RpcError::RateLimited, 429, "Rate limit reached, try again later");
        let taken = "Invalid Policy: A Policy with Name \"one\" already exists";
        check(RpcError::Rejected(taken.to_owned()), 500, taken);
        check(RpcError::ReadOnly("read-only: no space".to_owned()), 503, "read-only: no space");
        check(RpcError::NotAvailable("roles".to_owned()), 501, "not available yet: roles");
    }
}
