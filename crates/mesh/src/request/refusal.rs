//! Why requests are refused before any rule is asked.

use serde::{Deserialize, Serialize};

/// Why a request is refused before any rule is asked.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// The target has none of the forms that there are.
    #[error("the target is no path; it must begin with a slash")]
    NotAPath,
    /// The target has a fragment.
    #[error("the target has a fragment, which no client may send")]
    Fragment,
    /// The target has a control character or a space, or the escape of a control character.
    #[error("the target has a control character or a space")]
    Control,
    /// A percent sign without two hexadecimal digits.
    #[error("the path has a percent sign that is not followed by two hexadecimal digits")]
    Escape,
    /// The text of the target is not UTF-8.
    #[error("the path is not UTF-8")]
    NotUtf8,
    /// The mesh refuses escaped slashes.
    #[error("the path has an escaped slash, which PathWithEscapedSlashesAction of the mesh entry refuses")]
    EscapedSlash,
    /// The mesh redirects the client to the path with plain slashes.
    #[error(
        "the path has an escaped slash; PathWithEscapedSlashesAction of the mesh entry redirects to {to:?}"
    )]
    Redirect {
        /// The target to which the client is sent.
        to: String,
    },
    /// The name of a header is not a token.
    #[error("the name of a header has a character that names cannot have")]
    HeaderName,
    /// The value of a header has a character that ends it.
    #[error("the value of header {name:?} has a NUL or the end of a line")]
    HeaderValue {
        /// The name.
        name: String,
    },
    /// The mesh refuses underscores in names of headers.
    #[error(
        "header {name:?} has an underscore, which HeadersWithUnderscoresAction of the mesh entry refuses"
    )]
    Underscore {
        /// The name.
        name: String,
    },
    /// The authority is not a host with an optional port.
    #[error("the authority is no host with an optional port")]
    Authority,
    /// The request names two authorities.
    #[error("the request names two authorities")]
    TwoAuthorities,
    /// Two tokens of one provider.
    #[error("the request has two tokens of provider {provider:?}")]
    TwoTokens {
        /// The provider.
        provider: String,
    },
}
