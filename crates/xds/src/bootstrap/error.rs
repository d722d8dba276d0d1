//! Why there is no bootstrap.

use crate::access_log::FormatFault;

/// Why there is no bootstrap.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BootstrapError {
    /// A setting has a value that cannot be used.
    #[error("{key}: {reason}")]
    Setting {
        /// Its key.
        key: &'static str,
        /// What is wrong, and the remedy.
        reason: String,
    },
    /// A setting that concord does not act by.
    #[error(
        "{key}: not available yet: {what}; remove it from the proxy's configuration and from proxy-defaults"
    )]
    NotAvailable {
        /// Its key.
        key: &'static str,
        /// What is missing.
        what: &'static str,
    },
    /// The access log of `proxy-defaults` cannot be used.
    #[error("access_logs of proxy-defaults: {0}")]
    AccessLog(#[from] FormatFault),
}

impl BootstrapError {
    pub(super) fn setting(key: &'static str, reason: impl Into<String>) -> Self {
        Self::Setting { key, reason: reason.into() }
    }
}
