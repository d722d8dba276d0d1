//! What each step writes: pure functions from what the log holds to what it shall hold.

use std::time::Duration;

use concord_model::Timestamp;
use concord_model::ca::{BuiltinCaState, CaConfig, CaRoot, CaRoots};

use super::{Change, Machine, PROGRESS_KEY, Pending, Progress, Proposal};
use crate::limits::{
    CARRIED_CROSS_SIGNATURES_MAX, DISTRIBUTION_WAIT_FORCED, DISTRIBUTION_WAIT_MAX, PRUNE_AFTER_LEAF_LIVES,
};
use crate::x509::Certificate;

impl Progress {
    /// From the configuration; what cannot be read counts as nothing under way.
    pub fn of(config: &CaConfig) -> Self {
        config.state.get(PROGRESS_KEY).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    fn store(&self, config: &mut CaConfig) {
        let text = serde_json::to_string(self).expect("plain data has a JSON form");
        config.state.insert(PROGRESS_KEY.to_owned(), text);
    }
}

impl Machine {
    pub(super) fn progress(&self) -> Progress {
        self.persisted.config.as_ref().map(Progress::of).unwrap_or_default()
    }

    pub(super) fn active_id(&self) -> Option<String> {
        Some(self.persisted.roots.as_ref()?.active()?.id.clone())
    }

    /// The root of a rotation that is published but not active.
    pub(super) fn staged(&self, root_id: &str) -> Option<&CaRoot> {
        self.persisted.roots.as_ref()?.roots.iter().find(|root| root.id == root_id && !root.active)
    }

    /// Records of the built-in provider whose root is gone.
    pub(super) fn orphaned_records(&self) -> Vec<String> {
        let published = |id: &String| {
            self.persisted.roots.as_ref().is_some_and(|roots| roots.roots.iter().any(|root| root.id == *id))
        };
        self.persisted.records.iter().filter(|id| !published(id)).cloned().collect()
    }

    pub(super) fn first_change(&self) -> Change {
        let config = self.persisted.config.as_ref().unwrap_or(&self.initial);
        Change {
            provider: config.provider.clone(),
            settings: config.settings.clone(),
            force_without_cross_signing: config.force_without_cross_signing,
            leaf_life: self.initial_leaf_life,
            rotates: true,
        }
    }

    /// The first root, active from the beginning.
    pub(super) fn first_proposal(&self, mut root: CaRoot, record: Option<BuiltinCaState>) -> Proposal {
        root.active = true;
        let mut config = self.persisted.config.clone().unwrap_or_else(|| self.initial.clone());
        Progress { longest_leaf_life: self.initial_leaf_life.as_secs(), ..Progress::default() }
            .store(&mut config);
        let roots = CaRoots {
            active_root_id: root.id.clone(),
            trust_domain: self.trust_domain.clone(),
            roots: vec![root],
            index: 0,
        };
        self.proposal(roots, config, record)
    }

    /// Another configuration under the same root.
    pub(super) fn reconfiguration(&self, change: &Change, record: Option<BuiltinCaState>) -> Proposal {
        let (roots, mut config) = self.current();
        let mut progress = self.progress();
        progress.longest_leaf_life = progress.longest_leaf_life.max(change.leaf_life.as_secs());
        change.apply(&mut config);
        progress.store(&mut config);
        self.proposal(roots, config, record)
    }

    /// Whether the active root has expired, and with it all that it signed.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        let active = self.persisted.roots.as_ref().and_then(CaRoots::active);
        active.is_some_and(|root| root.not_after < now)
    }

    /// Publishes the new root beside the old one, not active.
    pub(super) fn stage(
        &self,
        now: Timestamp,
        change: &Change,
        mut root: CaRoot,
        record: Option<BuiltinCaState>,
        cross_signed: Option<String>,
    ) -> Proposal {
        let (mut roots, mut config) = self.current();
        let wait = match &cross_signed {
            // Nobody has a valid certificate any more: there is nothing to wait for.
            _ if self.is_over(now) => Duration::ZERO,
            Some(_) => DISTRIBUTION_WAIT_MAX,
            None => DISTRIBUTION_WAIT_FORCED,
        };
        let mut intermediates: Vec<String> = cross_signed.into_iter().collect();
        if !intermediates.is_empty() {
            intermediates.extend(carried(now, &roots));
        }
        intermediates.append(&mut root.intermediate_certs);
        root.intermediate_certs = intermediates;
        (root.active, root.rotated_out_at) = (false, None);
        let mut progress = self.progress();
        progress.retire_at.remove(&root.id);
        progress.pending = Some(Pending {
            root_id: root.id.clone(),
            provider: change.provider.clone(),
            settings: change.settings.clone(),
            force_without_cross_signing: change.force_without_cross_signing,
            leaf_life: change.leaf_life.as_secs(),
            confirm_by: now.plus(wait),
        });
        progress.store(&mut config);
        // A root that was rotated out and comes back takes its old place.
        roots.roots.retain(|own| own.id != root.id);
        roots.roots.push(root);
        self.proposal(roots, config, record)
    }

    /// Makes the staged root the active one, with its configuration.
    pub(super) fn activation(&self, now: Timestamp) -> Option<Proposal> {
        let (mut roots, mut config) = self.current();
        let mut progress = self.progress();
        let pending = progress.pending.take()?;
        self.staged(&pending.root_id)?;
        for root in &mut roots.roots {
            if root.active {
                (root.active, root.rotated_out_at) = (false, Some(now));
                let longest = Duration::from_secs(progress.longest_leaf_life.max(pending.leaf_life));
                progress.retire_at.insert(root.id.clone(), now.plus(longest * PRUNE_AFTER_LEAF_LIVES));
            }
            if root.id == pending.root_id {
                (root.active, root.rotated_out_at) = (true, None);
            }
        }
        roots.active_root_id = pending.root_id;
        progress.longest_leaf_life = pending.leaf_life;
        config.provider = pending.provider;
        config.settings = pending.settings;
        config.force_without_cross_signing = pending.force_without_cross_signing;
        config.state.clear();
        progress.store(&mut config);
        Some(self.proposal(roots, config, None))
    }

    /// Removes roots whose leaves have all expired, if there are any.
    pub(super) fn pruning(&self, now: Timestamp) -> Option<Proposal> {
        let (mut roots, mut config) = self.current();
        let mut progress = self.progress();
        let longest = Duration::from_secs(progress.longest_leaf_life);
        let is_due = |root: &CaRoot| match (root.active, root.rotated_out_at) {
            (true, _) => false,
            // Staged by a rotation nobody knows of.
            (false, None) => true,
            (false, Some(out)) => {
                let default = out.plus(longest * PRUNE_AFTER_LEAF_LIVES);
                *progress.retire_at.get(&root.id).unwrap_or(&default) <= now
            }
        };
        let (gone, kept): (Vec<CaRoot>, Vec<CaRoot>) = roots.roots.into_iter().partition(is_due);
        if gone.is_empty() {
            return None;
        }
        roots.roots = kept;
        for root in &mut roots.roots {
            drop_signatures_of(&gone, root);
        }
        progress.retire_at.retain(|id, _| !gone.iter().any(|root| root.id == *id));
        progress.store(&mut config);
        Some(self.proposal(roots, config, None))
    }

    /// Records that are there once the first root is.
    fn current(&self) -> (CaRoots, CaConfig) {
        let roots = self.persisted.roots.clone().expect("asked for only after the first root");
        let config = self.persisted.config.clone().expect("stored together with the first root");
        (roots, config)
    }

    fn proposal(&self, roots: CaRoots, config: CaConfig, record: Option<BuiltinCaState>) -> Proposal {
        let roots_cas = self.persisted.roots.as_ref().map_or(0, |roots| roots.index);
        let config_cas = self.persisted.config.as_ref().map_or(0, |config| config.stamp.modify);
        Proposal { roots, roots_cas, config, config_cas, record }
    }
}

impl Change {
    fn apply(&self, config: &mut CaConfig) {
        config.provider.clone_from(&self.provider);
        config.settings = self.settings.clone();
        config.force_without_cross_signing = self.force_without_cross_signing;
    }
}

/// Signatures of earlier roots over the active one that are still valid: those who know only such a
/// root follow from it to the active one and on to the next.
fn carried(now: Timestamp, roots: &CaRoots) -> Vec<String> {
    let Some(active) = roots.active() else {
        return Vec::new();
    };
    let still_valid = |text: &&String| {
        Certificate::parse_pem(text).is_ok_and(|certificate| {
            certificate.is_valid_at(now) && roots.roots.iter().any(|root| issued(root, &certificate))
        })
    };
    active.intermediate_certs.iter().filter(still_valid).take(CARRIED_CROSS_SIGNATURES_MAX).cloned().collect()
}

/// Takes the signatures of roots that are gone out of a root's chain; they lead nowhere.
fn drop_signatures_of(gone: &[CaRoot], root: &mut CaRoot) {
    root.intermediate_certs.retain(|text| {
        !Certificate::parse_pem(text)
            .is_ok_and(|certificate| gone.iter().any(|root| issued(root, &certificate)))
    });
}

fn issued(root: &CaRoot, certificate: &Certificate) -> bool {
    Certificate::parse_pem(&root.root_cert).is_ok_and(|root| {
        root.subject() == certificate.issuer() && certificate.is_signed_by(root.public_key())
    })
}
