//! Saves verdicts while the agent runs.

use std::sync::Arc;

use concord_model::Timestamp;

use super::Verdicts;
use crate::limits::{CHECK_STATE_PAUSE, CHECK_STATES_AT_ONCE};
use crate::local::LocalState;
use crate::program::Halt;
use crate::site::Site;

/// Saves the verdicts of checks.
pub(crate) struct Saver {
    pub(crate) site: Site,
    pub(crate) local: LocalState,
    pub(crate) halt: Halt,
}

impl Saver {
    /// Saves verdicts soon after each report until the agent ends, and then the remaining ones.
    pub(crate) async fn run(self) {
        let mut fails = false;
        loop {
            tokio::select! {
                biased;
                () = self.site.scope.cancelled() => break,
                () = self.local.unsaved() => {}
            }
            if !self.save(&mut fails).await {
                continue;
            }
            tokio::select! {
                biased;
                () = self.site.scope.cancelled() => break,
                () = self.site.world.clock.sleep(CHECK_STATE_PAUSE) => {}
            }
        }
        self.save(&mut fails).await;
    }

    /// Whether there was anything to save.
    async fn save(&self, fails: &mut bool) -> bool {
        let mut any = false;
        loop {
            let now = self.site.world.clock.now();
            let batch = self.local.edit(|local| local.take_unsaved(CHECK_STATES_AT_ONCE, now));
            if batch.is_empty() {
                return any;
            }
            any = true;
            let wall = Timestamp::from_nanos(self.site.world.clock.wall_nanos());
            let verdicts = Verdicts::new(Arc::clone(&self.site.world.disk));
            let save = move || verdicts.save_all(&batch, wall);
            match self.site.scope.spawn_blocking("save verdicts", save).join().await {
                Ok(Ok(())) => *fails = false,
                Ok(Err(error)) if error.is_fatal() => {
                    self.halt.must_end(error.to_string());
                    return any;
                }
                // Log this once: it would happen for every report.
                Ok(Err(error)) if !*fails => {
                    *fails = true;
                    tracing::warn!(%error, "verdicts of checks cannot be saved and would not outlive a restart");
                }
                Ok(Err(_)) => {}
                Err(_) => return any,
            }
        }
    }
}
