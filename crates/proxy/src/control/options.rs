//! The options of a proxy.

use std::sync::Arc;
use std::time::Duration;

use concord_model::Secret;
use concord_rpc::ProxyTarget;
use concord_runtime::Budget;

/// The options of a proxy.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which proxy it is.
    pub target: ProxyTarget,
    /// The token for attaching and for signatures.
    pub token: Option<Secret>,
    /// Whether to cut open connections when an intention changes to deny.
    pub cut_denied: bool,
    /// Longest random pause before a certificate under a new root is requested; it spreads the load of a rotation.
    pub rotation_jitter: Duration,
    /// The budget of callers that have not authenticated.
    pub budget: Arc<Budget>,
}
