//! What all runs of checks share.

use std::sync::Arc;

use concord_runtime::Clock;

use super::tls::Tls;

/// A clock, TLS, and the program that reports the operating system's services.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tls: Tls,
    pub(super) service_manager: String,
}
