//! Sections: a snapshot's parts, replaced one by one on the way to a proxy (D15).
//!
//! The first message of a stream is a whole snapshot; then come sections, each whole in itself.
//! Sections of one change carry one version, and all but the last say that more follow: a proxy
//! applies them as they come and goes by the outcome once nothing more follows.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_model::ca::CaRoots;
use serde::{Deserialize, Serialize};

use super::{IntentionSection, ProxySnapshot, Versioned};
use crate::registration::ProxySection;
use crate::upstream::{UpstreamId, UpstreamSection};

/// The name of a section.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// What the proxy is.
    Proxy,
    /// The roots of trust.
    Roots,
    /// Who may call.
    Intentions,
    /// One upstream.
    Upstream(UpstreamId),
}

/// One section, replaced or gone.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SectionUpdate {
    /// Version of the snapshot it leads to.
    pub version: u64,
    /// Whether more sections of this version follow.
    #[serde(default)]
    pub more: bool,
    /// What to replace.
    pub body: SectionBody,
}

/// What a section says now.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SectionBody {
    /// What the proxy is.
    Proxy(Versioned<ProxySection>),
    /// The roots of trust.
    Roots(Versioned<CaRoots>),
    /// Who may call.
    Intentions(Versioned<IntentionSection>),
    /// One upstream, new or changed.
    Upstream(Versioned<UpstreamSection>),
    /// One upstream is no more.
    UpstreamGone(UpstreamId),
}

/// Why an update cannot be applied. Ask for a whole snapshot.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ApplyError {
    /// It is older than what is there.
    #[error("the update leads to version {got}, but version {have} is here already")]
    Stale {
        /// The version that is here.
        have: u64,
        /// The version the update leads to.
        got: u64,
    },
}

impl SectionUpdate {
    /// The section's name.
    pub fn section(&self) -> Section {
        match &self.body {
            SectionBody::Proxy(_) => Section::Proxy,
            SectionBody::Roots(_) => Section::Roots,
            SectionBody::Intentions(_) => Section::Intentions,
            SectionBody::Upstream(upstream) => Section::Upstream(upstream.id.clone()),
            SectionBody::UpstreamGone(id) => Section::Upstream(id.clone()),
        }
    }
}

impl ProxySnapshot {
    /// What leads from `old` to this snapshot, both of one proxy: every section that differs. Applied
    /// in order, they make `old` equal to this snapshot, but for the leaf, which does not travel.
    ///
    /// Empty only if the version is the same. Where a change came and went between the two, there is
    /// no section left to carry the new version, and the first is sent again to carry it.
    pub fn diff(&self, old: &Self) -> Vec<SectionUpdate> {
        let mut bodies = self.differing(old);
        if bodies.is_empty() && self.version != old.version {
            bodies.push(SectionBody::Proxy(self.proxy.clone()));
        }
        let count = bodies.len();
        let update = |(i, body)| SectionUpdate { version: self.version, more: i + 1 < count, body };
        bodies.into_iter().enumerate().map(update).collect()
    }

    /// The sections that are not as in `old`.
    pub(crate) fn differing(&self, old: &Self) -> Vec<SectionBody> {
        let mut bodies = Vec::new();
        if differ(&self.proxy, &old.proxy) {
            bodies.push(SectionBody::Proxy(self.proxy.clone()));
        }
        if differ(&self.roots, &old.roots) {
            bodies.push(SectionBody::Roots(self.roots.clone()));
        }
        if differ(&self.intentions, &old.intentions) {
            bodies.push(SectionBody::Intentions(self.intentions.clone()));
        }
        bodies.extend(gone(&self.upstreams, &old.upstreams).cloned().map(SectionBody::UpstreamGone));
        for (id, upstream) in &self.upstreams {
            if old.upstreams.get(id).is_none_or(|old| differ(upstream, old)) {
                bodies.push(SectionBody::Upstream(upstream.clone()));
            }
        }
        bodies
    }

    /// Puts a section in its place. After an error the snapshot is as before.
    pub fn apply(&mut self, update: SectionUpdate) -> Result<(), ApplyError> {
        let SectionUpdate { version, more: _, body } = update;
        if version < self.version {
            return Err(ApplyError::Stale { have: self.version, got: version });
        }
        self.version = version;
        match body {
            SectionBody::Proxy(proxy) => self.proxy = proxy,
            SectionBody::Roots(roots) => self.roots = roots,
            SectionBody::Intentions(intentions) => self.intentions = intentions,
            SectionBody::Upstream(upstream) => {
                self.upstreams.insert(upstream.id.clone(), upstream);
            }
            SectionBody::UpstreamGone(id) => {
                self.upstreams.remove(&id);
            }
        }
        Ok(())
    }
}

fn differ<T: PartialEq>(new: &Versioned<T>, old: &Versioned<T>) -> bool {
    new.version != old.version || !(Arc::ptr_eq(&new.value, &old.value) || new.value == old.value)
}

fn gone<'a, T>(
    new: &BTreeMap<UpstreamId, T>,
    old: &'a BTreeMap<UpstreamId, T>,
) -> impl Iterator<Item = &'a UpstreamId> {
    old.keys().filter(|id| !new.contains_key(*id))
}
