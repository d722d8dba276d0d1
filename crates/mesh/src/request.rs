//! The decision about a request: whether it may reach its destination, and which permission decides.
//!
//! **Which rule.** As for a connection, only the intention with the highest precedence that covers source and
//! destination decides. If it has an action, the action decides. If it has permissions, they are tried from the top,
//! and the first one that applies decides. If none applies, or no intention covers the pair, the default decides. A
//! token that an entry demands is demanded of every source about which no more exact entry decides, before any
//! permission is tried.
//!
//! **Three answers.** A condition answers yes, no or *unclear* ([`Fit`]). An allow permission applies only if all of
//! its conditions answer yes; a deny permission applies unless one of them answers no. So whatever is unclear never
//! helps the caller.
//!
//! **Path.** It is made canonical once, by the settings of the `mesh` entry (see [`Request::read`]). What cannot be
//! made canonical is refused before any rule is asked. The canonical path is what the backend must be sent. If a
//! backend might read it in another way (escapes, `;` parameters, repeated slashes), path and permission are compared
//! in every such reading: if they agree only in some, the answer is unclear.
//!
//! **Headers.** Names are compared without case. A header whose name differs only by `_` for `-` is included, but
//! does not make the header present for certain. Every line of a header is judged alone, and every member of a list
//! in it. Yes means that all of them match; unclear means that some of them do. A missing header matches no value. It
//! matches an inverted condition on a value only unclearly, and an inverted `Present` for certain.
//!
//! **Authority.** `host` and `:authority` name the same value: in lower case, without the final dot, without the
//! default port. Two different authorities in one request are refused.
//!
//! **Methods** are compared exactly; another case is unclear. **Tokens** come verified: one of the named providers
//! must have verified a token with all required claims, and a token of another provider never counts. A claim equals
//! by its text; a number, a truth value or a list that contains the text is unclear.
//!
//! A destination without requests (TCP) is judged by [`Policy::decide`], which denies what only permissions decide.
//!
//! [`Policy::decide`]: crate::intention::Policy::decide

mod authority;
mod canonical;
mod compiled;
mod decide;
mod fit;
mod header;
mod index;
mod lines;
mod path;
mod permission;
mod refusal;
mod texts;
mod token;
mod verdict;

pub use self::canonical::{Received, Request};
pub use self::fit::Fit;
pub use self::lines::Header;
pub use self::path::{LENIENCIES, Leniency, Parameters};
pub(crate) use self::permission::Permissions;
pub use self::refusal::Refusal;
pub use self::texts::{AuthorityText, PathTexts, is_whole_pattern};
pub use self::token::Token;
pub use self::verdict::{Condition, RequestBecause, RequestVerdict, Tried};
