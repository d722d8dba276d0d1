//! Errors of routers, splitters and resolvers: each with the remedy.

use std::fmt;

/// How a text is given in an error: its beginning.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Given(String);

/// An error of a router, splitter or resolver, with the remedy.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RoutingFault {
    /// More than one of some fields, or none of them.
    #[error("should only contain one of {0}; set exactly one")]
    NotExactlyOne(&'static str),
    /// More than one of some fields.
    #[error("should only contain at most one of {0}; leave the others out")]
    MoreThanOne(&'static str),
    /// A regular expression that cannot be used.
    #[error("is not a regular expression that proxies can use: {0}")]
    NoPattern(String),
    /// A filter that cannot be used.
    #[error("is not a valid expression: {0}")]
    NoFilter(String),
    /// A path is replaced that the route does not name.
    #[error("cannot be used without PathExact or PathPrefix; name the path that it replaces")]
    RewriteOfNothing,
    /// Not a status of HTTP.
    #[error("is {0}, which is no status of HTTP; use 100 to 599")]
    NoStatus(u32),
    /// An element that occurs twice.
    #[error("contains {0} more than once; keep one of them")]
    Twice(Given),
    /// The weights of a splitter are not all requests.
    #[error("must add up to 100: the sum of all split weights must be 100, not {0}")]
    NotWhole(String),
    /// Less than nothing or more than everything.
    #[error("is {0}; use a weight between 0 and 100")]
    NoWeight(String),
    /// Two parts of a splitter with one destination.
    #[error(
        "is a split destination that occurs more than once: service={service}, subset={subset}; join them"
    )]
    SameSplit {
        /// The service.
        service: Given,
        /// The subset.
        subset: Given,
    },
    /// Not the name of a subset.
    #[error(
        "is {0}, which names no subset: use at most 63 lower case letters, digits and '-', with a letter or digit \
         at the beginning and at the end"
    )]
    NoSubsetName(Given),
    /// A subset that the resolver does not define.
    #[error("{0} is not a valid subset of {1}; define it in Subsets")]
    NoSubset(Given, Given),
    /// A block that says nothing.
    #[error("is empty: one of {0} is required; set one, or leave the block out")]
    Empty(&'static str),
    /// A field that has a meaning only beside another one.
    #[error("cannot be set without {0}; set both, or leave it out")]
    Without(&'static str),
    /// Two fields that exclude each other.
    #[error("cannot be set with {0}; leave one of them out")]
    With(&'static str),
    /// A setting of another load balancing policy.
    #[error("is specified for incompatible load balancing policy {policy:?}; it is for {of}")]
    OtherPolicy {
        /// The policy as given.
        policy: &'static str,
        /// The policies that have this setting.
        of: &'static str,
    },
    /// The smallest ring is larger than the largest one, or one is larger than proxies accept.
    #[error("is {0}; use at most {1}")]
    TooLarge(u64, u64),
    /// A field of Consul Enterprise.
    #[error("cannot be set: it requires Consul Enterprise; leave it out")]
    Enterprise,
}

// === impl Given ===

impl Given {
    pub(in crate::entry) fn of(text: &str) -> Self {
        Self(text.chars().take(64).collect())
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}
