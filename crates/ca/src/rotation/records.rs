//! The writes of each step: pure functions from the log's contents to its new contents.

use std::collections::BTreeSet;
use std::time::Duration;

use concord_model::Timestamp;
use concord_model::ca::{CaConfig, CaRoot, CaRoots, ProviderRecord};

use super::Machine;
use super::alarm::Alarm;
use super::event::{Change, Failure, Proposal};
use super::progress::{Pending, Progress};
use crate::limits::{
    CARRIED_CROSS_SIGNATURES_MAX, DISTRIBUTION_WAIT_FORCED, DISTRIBUTION_WAIT_MAX, INACTIVE_ROOTS_MAX,
    PRUNE_AFTER_LEAF_LIVES, ROOT_ALARM_PERCENT, ROOT_RENEW_PERCENT,
};
use crate::x509::Certificate;

impl Machine {
    pub(super) fn progress(&self) -> Progress {
        self.persisted.config.as_ref().map(Progress::of).unwrap_or_default()
    }

    pub(super) fn active_id(&self) -> Option<String> {
        Some(self.persisted.roots.as_ref()?.active()?.id.clone())
    }

    /// The published, inactive root of a rotation.
    pub(super) fn staged(&self, root_id: &str) -> Option<&CaRoot> {
        self.persisted.roots.as_ref()?.roots.iter().find(|root| root.id == root_id && !root.active)
    }

    /// Ids of providers' records whose root is gone.
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
            force_without_oldest_root: false,
            idle: BTreeSet::new(),
        }
    }

    /// The write of the first root, which is active at once.
    pub(super) fn first_proposal(&self, mut root: CaRoot, record: Option<ProviderRecord>) -> Proposal {
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

    /// The write of another configuration with the same root.
    pub(super) fn reconfiguration(&self, change: &Change, record: Option<ProviderRecord>) -> Proposal {
        let (roots, mut config) = self.current();
        let mut progress = self.progress();
        progress.longest_leaf_life = progress.longest_leaf_life.max(change.leaf_life.as_secs());
        change.apply(&mut config);
        progress.store(&mut config);
        self.proposal(roots, config, record)
    }

    fn active(&self) -> Option<&CaRoot> {
        self.persisted.roots.as_ref().and_then(CaRoots::active)
    }

    /// Whether the active root is valid now. If it is not (it has expired, or it was made when the clock was ahead),
    /// then nothing that it signed is valid.
    pub(super) fn is_valid(&self, now: Timestamp) -> bool {
        self.active().is_none_or(|root| root.not_before <= now && now <= root.not_after)
    }

    /// The current problem of the active root.
    pub(super) fn root_alarm(&self, now: Timestamp) -> Option<Alarm> {
        let root = self.active()?;
        let supplied = self.persisted.supplied;
        if now < root.not_before {
            return Some(Alarm::RootNotYetValid { not_before: root.not_before, supplied });
        }
        if root.not_after < now {
            return Some(Alarm::RootExpired { not_after: root.not_after, supplied });
        }
        is_used_up(root, now, ROOT_ALARM_PERCENT)
            .then_some(Alarm::RootEnding { not_after: root.not_after, supplied })
    }

    /// When the active root is old enough to be replaced.
    pub(super) fn renewal_due(&self) -> Option<Timestamp> {
        self.active().map(|root| used_up_at(root, ROOT_RENEW_PERCENT))
    }

    /// The change that replaces the active root, if that is due and the root is our own.
    pub(super) fn renewal(&self, now: Timestamp) -> Option<Change> {
        let (root, config) = (self.active()?, self.persisted.config.as_ref()?);
        let valid = self.is_valid(now);
        if self.persisted.supplied || valid && !is_used_up(root, now, ROOT_RENEW_PERCENT) {
            return None;
        }
        let change = Change {
            provider: config.provider.clone(),
            settings: config.settings.clone(),
            force_without_cross_signing: config.force_without_cross_signing,
            leaf_life: self.persisted.leaf_life.unwrap_or(self.initial_leaf_life),
            rotates: true,
            // Without a valid root nothing can be signed.
            force_without_oldest_root: !valid,
            idle: BTreeSet::new(),
        };
        self.leaving(now, &change).is_ok().then_some(change)
    }

    /// Inactive roots to remove for one more root: first those on which no leaf depends, then the oldest.
    pub(super) fn leaving(&self, now: Timestamp, change: &Change) -> Result<Vec<String>, Failure> {
        let progress = self.progress();
        let roots = self.persisted.roots.iter().flat_map(|roots| &roots.roots);
        let mut inactive: Vec<(bool, Timestamp, &CaRoot)> = roots
            .filter(|root| !root.active)
            .map(|root| {
                let free_at = progress.free_at(root);
                (free_at > now && !change.idle.contains(&root.id), free_at, root)
            })
            .collect();
        let surplus = (inactive.len() + 1).saturating_sub(INACTIVE_ROOTS_MAX);
        inactive.sort_by_key(|(needed, free_at, root)| (*needed, root.rotated_out_at, *free_at));
        let leaving = &inactive[..surplus.min(inactive.len())];
        match leaving.iter().filter(|(needed, ..)| *needed).map(|(_, free_at, _)| *free_at).max() {
            Some(free_at) if !change.force_without_oldest_root => Err(Failure::RootsInUse { free_at }),
            _ => Ok(leaving.iter().map(|(_, _, root)| root.id.clone()).collect()),
        }
    }

    /// The write that publishes the new root beside the old one, inactive.
    pub(super) fn stage(
        &self,
        now: Timestamp,
        change: &Change,
        mut root: CaRoot,
        record: Option<ProviderRecord>,
        cross_signed: Option<String>,
    ) -> Proposal {
        let (mut roots, mut config) = self.current();
        let wait = match &cross_signed {
            // No valid certificate exists any more, so there is nothing to wait for.
            _ if !self.is_valid(now) => Duration::ZERO,
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
        // A root that was rotated out and returns replaces its old entry.
        roots.roots.retain(|own| own.id != root.id);
        // `configure` or `renewal` has checked this; since then more roots can only have become free.
        let forced = Change { force_without_oldest_root: true, ..change.clone() };
        let leaving = self.leaving(now, &forced).unwrap_or_default();
        let (gone, mut kept): (Vec<CaRoot>, Vec<CaRoot>) =
            roots.roots.into_iter().partition(|own| leaving.contains(&own.id));
        kept.push(root);
        for own in &mut kept {
            drop_signatures_of(&gone, own);
            if !own.active {
                drop_ended(now, own);
            }
        }
        roots.roots = kept;
        self.proposal(roots, config, record)
    }

    /// The write that makes the staged root active and applies its configuration.
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

    /// The write that removes roots whose leaves have all expired, if there are such roots.
    pub(super) fn pruning(&self, now: Timestamp) -> Option<Proposal> {
        let (mut roots, mut config) = self.current();
        let mut progress = self.progress();
        let longest = Duration::from_secs(progress.longest_leaf_life);
        let is_due = |root: &CaRoot| match (root.active, root.rotated_out_at) {
            (true, _) => false,
            // Left over from a rotation that is no longer recorded.
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

    /// The roots and the configuration. They exist once the first root exists.
    fn current(&self) -> (CaRoots, CaConfig) {
        let roots = self.persisted.roots.clone().expect("asked for only after the first root");
        let config = self.persisted.config.clone().expect("stored together with the first root");
        (roots, config)
    }

    fn proposal(&self, roots: CaRoots, config: CaConfig, record: Option<ProviderRecord>) -> Proposal {
        let roots_cas = self.persisted.roots.as_ref().map_or(0, |roots| roots.index);
        let config_cas = self.persisted.config.as_ref().map_or(0, |config| config.stamp.modify);
        Proposal { roots, roots_cas, config, config_cas, record }
    }
}

/// Whether this share of the root's life has passed.
fn is_used_up(root: &CaRoot, now: Timestamp, percent: u32) -> bool {
    // A root made at the end of representable time has an empty life.
    root.not_before < root.not_after && used_up_at(root, percent) <= now
}

fn used_up_at(root: &CaRoot, percent: u32) -> Timestamp {
    root.not_before.plus(root.not_after.since(root.not_before) / 100 * percent)
}

impl Change {
    fn apply(&self, config: &mut CaConfig) {
        config.provider.clone_from(&self.provider);
        config.settings = self.settings.clone();
        config.force_without_cross_signing = self.force_without_cross_signing;
    }
}

/// Valid cross-signatures of earlier roots over the active one. Peers that know only such a root verify the active root
/// through them, and through the active root the next one.
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

/// Removes the certificates that removed roots have signed from a root's chain; nobody can verify them any more.
fn drop_signatures_of(gone: &[CaRoot], root: &mut CaRoot) {
    root.intermediate_certs.retain(|text| {
        !Certificate::parse_pem(text)
            .is_ok_and(|certificate| gone.iter().any(|root| issued(root, &certificate)))
    });
}

/// Removes expired certificates from a root's chain.
fn drop_ended(now: Timestamp, root: &mut CaRoot) {
    root.intermediate_certs
        .retain(|text| Certificate::parse_pem(text).is_ok_and(|certificate| now <= certificate.not_after()));
}

fn issued(root: &CaRoot, certificate: &Certificate) -> bool {
    Certificate::parse_pem(&root.root_cert).is_ok_and(|root| {
        root.subject() == certificate.issuer() && certificate.is_signed_by(root.public_key())
    })
}
