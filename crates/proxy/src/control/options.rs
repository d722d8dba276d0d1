//! How a proxy is run.

use std::sync::Arc;
use std::time::Duration;

use concord_model::Secret;
use concord_rpc::ProxyTarget;
use concord_runtime::Budget;

/// How a proxy is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which proxy it is.
    pub target: ProxyTarget,
    /// The token to attach and to sign with.
    pub token: Option<Secret>,
    /// Cut live connections that an intention begins to deny.
    pub cut_denied: bool,
    /// Longest pause before a certificate of a new root is asked for; spreads the load of a rotation.
    pub rotation_jitter: Duration,
    /// What callers that have not proved who they are may make the process hold.
    pub budget: Arc<Budget>,
}
