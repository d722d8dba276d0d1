//! Tells waiting tasks whether this server leads.

use tokio::sync::watch;

/// Whether this server leads and has completed the duties that come before serving.
#[derive(Debug)]
pub(crate) struct Duties {
    leading: watch::Sender<bool>,
}

impl Duties {
    pub(crate) fn new() -> Self {
        Self { leading: watch::Sender::new(false) }
    }

    /// Sets whether this server leads and serves.
    pub(crate) fn set(&self, leads: bool) {
        self.leading.send_replace(leads);
    }

    /// Whether this server leads and serves.
    pub(crate) fn has_led(&self) -> bool {
        *self.leading.borrow()
    }

    /// A receiver that is notified when this changes.
    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        self.leading.subscribe()
    }

    /// Completes when this server leads and serves.
    pub(crate) async fn leading(&self) {
        let mut leading = self.leading.subscribe();
        // The sender lives as long as the server, so the wait cannot fail.
        let _ = leading.wait_for(|leads| *leads).await;
    }
}
