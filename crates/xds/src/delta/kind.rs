//! One type of resources on one stream: what Envoy asks for, what it has, what is on its way, what it refused.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use concord_envoy_proto::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use concord_envoy_proto::google::rpc::Status;

use super::batch::Batch;
use super::limits::WORDS_BYTES_MAX;
use crate::resource::{Name, Resource, ResourceSet, ResourceType, Version};

/// What Envoy has of a resource.
#[derive(Clone, Debug)]
pub(super) enum Has {
    /// Nothing, or something of unknown version. It waits for an answer.
    Nothing,
    /// This version, as it said when the stream began. What the resource names is not known.
    Version(Version),
    /// This resource.
    Resource(Arc<Resource>),
}

impl Has {
    /// Whether Envoy has this version.
    pub(super) fn is(&self, version: &Version) -> bool {
        match self {
            Self::Nothing => false,
            Self::Version(own) => own == version,
            Self::Resource(own) => own.version == *version,
        }
    }
}

/// Why Envoy does not take a resource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rejection {
    /// The version that it refused.
    pub version: Version,
    /// What it said.
    pub words: String,
}

/// The responses of one type, by their numbers on the stream; 0: none yet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Progress {
    /// The last one that was sent.
    pub delivered: u32,
    /// The last one that Envoy acknowledged.
    pub acknowledged: u32,
    /// The last one that Envoy refused.
    pub refused: u32,
}

/// How far Envoy is with a resource that it should have.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// Envoy has not asked for it.
    NotAsked,
    /// It waits for others, or for the answer to an earlier response.
    Waiting,
    /// It was sent, and Envoy has not answered.
    Delivered,
    /// Envoy has it.
    Acknowledged,
    /// Envoy refuses it, and keeps what it had.
    Refused,
}

/// What Envoy asked for.
#[derive(Debug, Default)]
enum Asked {
    /// Nothing yet.
    #[default]
    Never,
    /// All resources of the type. Names do not count then.
    All,
    /// These.
    Named(BTreeSet<Name>),
}

/// One type of resources.
#[derive(Debug, Default)]
pub(super) struct Kind {
    asked: Asked,
    has: BTreeMap<Name, Has>,
    in_flight: Option<(u32, Batch)>,
    progress: Progress,
    /// Were in a refused response with others; each is sent alone. Envoy may have taken some of them. Whether it had an
    /// earlier version.
    suspects: BTreeMap<Name, bool>,
    rejected: BTreeMap<Name, Rejection>,
    /// What Envoy lost before it first asked: what it then says that it has of these is out of date.
    lost: BTreeSet<Name>,
    /// Whether Envoy waits for its first response, which may be empty.
    owes_first: bool,
}

impl Kind {
    /// Takes an answer. Returns the names of a refused response, and what Envoy says of it.
    pub(super) fn answered(&mut self, nonce: &str, error: Option<&Status>) -> Option<(Vec<Name>, String)> {
        let (number, batch) = self.in_flight.take_if(|(own, _)| nonce_of(*own) == nonce)?;
        let Some(error) = error else {
            self.progress.acknowledged = number;
            self.accepted(batch);
            return None;
        };
        self.progress.refused = number;
        let words = shortened(&error.message);
        let names: Vec<Name> = batch.names().cloned().collect();
        if let [resource] = batch.updated.as_slice() {
            let rejection = Rejection { version: Arc::clone(&resource.version), words: words.clone() };
            if self.suspects.remove(&resource.name) == Some(false) {
                self.has.insert(resource.name.clone(), Has::Nothing);
            }
            self.rejected.insert(resource.name.clone(), rejection);
        } else {
            batch.updated.iter().for_each(|resource| self.suspect(&resource.name));
        }
        // Envoy does not refuse to forget a resource.
        for name in &batch.removed {
            self.has.remove(name);
        }
        Some((names, words))
    }

    fn suspect(&mut self, name: &Name) {
        let had = !matches!(self.has.get(name), None | Some(Has::Nothing));
        self.suspects.entry(Name::clone(name)).or_insert(had);
        self.has.insert(Name::clone(name), Has::Version("".into()));
    }

    fn accepted(&mut self, batch: Batch) {
        for name in &batch.removed {
            self.has.remove(name);
        }
        for resource in batch.updated {
            self.suspects.remove(&resource.name);
            self.rejected.remove(&resource.name);
            if self.is_asked(&resource.name) && !batch.forgotten.contains(&resource.name) {
                self.has.insert(resource.name.clone(), Has::Resource(resource));
            }
        }
    }

    /// Takes what a request asks for, or asks for no longer. The names of resources that are wanted are shared with
    /// them.
    ///
    /// Only clusters and listeners can be asked for as a whole.
    pub(super) fn subscribe(
        &mut self,
        kind: ResourceType,
        request: DeltaDiscoveryRequest,
        wanted: Option<&ResourceSet>,
    ) {
        let DeltaDiscoveryRequest {
            resource_names_subscribe: more,
            resource_names_unsubscribe: less,
            initial_resource_versions: initial,
            ..
        } = request;
        let shared = |name: String| match wanted.and_then(|wanted| wanted.find(kind, &name)) {
            Some(resource) => Name::clone(&resource.name),
            None => name.into(),
        };
        if !self.has_asked() {
            let can_be_all = matches!(kind, ResourceType::Cluster | ResourceType::Listener);
            let is_all = can_be_all && (more.is_empty() || more.iter().any(|name| name == "*"));
            self.asked = if is_all { Asked::All } else { Asked::Named(BTreeSet::new()) };
            self.owes_first = is_all && initial.is_empty();
            self.has = initial
                .into_iter()
                .map(|(name, version)| (shared(name), Has::Version(version.into())))
                .collect();
            for name in std::mem::take(&mut self.lost) {
                self.has.entry(name).and_modify(|has| *has = Has::Nothing);
            }
            if let Asked::Named(names) = &mut self.asked {
                names.extend(more.into_iter().map(shared));
                for name in &*names {
                    self.has.entry(name.clone()).or_insert(Has::Nothing);
                }
            }
            return;
        }
        let Asked::Named(names) = &mut self.asked else { return };
        for name in &less {
            names.remove(name.as_str());
            self.has.remove(name.as_str());
        }
        let more: Vec<_> = more.into_iter().map(shared).collect();
        names.extend(more.iter().cloned());
        more.iter().for_each(|name| self.forget(name));
    }

    /// Envoy has lost what it had of a resource, or never had it, and waits for it.
    pub(super) fn forget(&mut self, name: &Name) {
        if !self.has_asked() {
            self.lost.insert(Name::clone(name));
        }
        if !self.is_asked(name) {
            return;
        }
        self.has.insert(Name::clone(name), Has::Nothing);
        if let Some((_, batch)) = &mut self.in_flight {
            batch.forgotten.insert(Name::clone(name));
        }
    }

    /// Notes what is on its way.
    pub(super) fn sent(&mut self, number: u32, batch: Batch) {
        self.owes_first = false;
        self.progress.delivered = number;
        self.in_flight = Some((number, batch));
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress
    }

    /// How far Envoy is with a resource that it should have.
    pub(super) fn stage(&self, wanted: &Resource) -> Stage {
        let is_sent = self
            .in_flight
            .as_ref()
            .is_some_and(|(_, batch)| batch.updated.iter().any(|own| own.name == wanted.name));
        match self.has.get(&wanted.name) {
            _ if !self.is_asked(&wanted.name) => Stage::NotAsked,
            _ if is_sent => Stage::Delivered,
            _ if self.refuses(wanted) => Stage::Refused,
            Some(has) if has.is(&wanted.version) => Stage::Acknowledged,
            Some(_) | None => Stage::Waiting,
        }
    }

    /// Lets what was refused try again if it has changed.
    pub(super) fn forgive(&mut self, kind: ResourceType, wanted: &ResourceSet) {
        self.rejected.retain(|name, rejection| {
            wanted.find(kind, name).is_some_and(|resource| resource.version == rejection.version)
        });
        self.suspects.retain(|name, _| wanted.find(kind, name).is_some());
    }

    pub(super) fn rejections(&self) -> impl Iterator<Item = (&str, &Rejection)> {
        self.rejected.iter().map(|(name, rejection)| (&**name, rejection))
    }

    /// The number of names that it holds.
    pub(super) fn names(&self) -> usize {
        let asked = match &self.asked {
            Asked::Never | Asked::All => 0,
            Asked::Named(names) => names.len(),
        };
        asked.max(self.has.len())
    }

    pub(super) fn is_asked(&self, name: &str) -> bool {
        match &self.asked {
            Asked::Never => false,
            Asked::All => true,
            Asked::Named(names) => names.contains(name),
        }
    }

    pub(super) fn has_asked(&self) -> bool {
        !matches!(self.asked, Asked::Never)
    }

    pub(super) fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    pub(super) fn owes_first(&self) -> bool {
        self.owes_first
    }

    /// What Envoy has, by name.
    pub(super) fn has(&self) -> &BTreeMap<Name, Has> {
        &self.has
    }

    /// Whether Envoy has acknowledged a resource as it is wanted, or refuses it and has an earlier one.
    pub(super) fn is_there(&self, wanted: &Resource) -> bool {
        let is_on_its_way = || {
            self.in_flight.as_ref().is_some_and(|(_, batch)| batch.names().any(|name| *name == wanted.name))
        };
        match self.has.get(&wanted.name) {
            None | Some(Has::Nothing) => false,
            Some(has) => !is_on_its_way() && (has.is(&wanted.version) || self.refuses(wanted)),
        }
    }

    /// The resources that Envoy lacks in their wanted version, and does not refuse.
    pub(super) fn lacking<'a>(
        &'a self,
        kind: ResourceType,
        wanted: &'a ResourceSet,
    ) -> impl Iterator<Item = &'a Arc<Resource>> {
        let has =
            |resource: &Resource| self.has.get(&resource.name).is_some_and(|has| has.is(&resource.version));
        wanted.of(kind).filter(move |resource| {
            self.is_asked(&resource.name) && !has(resource) && !self.refuses(resource)
        })
    }

    /// The names that Envoy has and should not have.
    pub(super) fn surplus<'a>(
        &'a self,
        kind: ResourceType,
        wanted: &'a ResourceSet,
    ) -> impl Iterator<Item = &'a Name> {
        self.has.keys().filter(move |name| wanted.find(kind, name).is_none() && !wanted.awaits(kind, name))
    }

    pub(super) fn is_suspect(&self, name: &str) -> bool {
        self.suspects.contains_key(name)
    }

    /// Whether nothing is to be sent, and nothing waits for an answer.
    pub(super) fn is_settled(&self, kind: ResourceType, wanted: &ResourceSet) -> bool {
        !self.is_in_flight()
            && !self.owes_first
            && self.lacking(kind, wanted).next().is_none()
            && self.surplus(kind, wanted).next().is_none()
    }

    fn refuses(&self, resource: &Resource) -> bool {
        self.rejected.get(&resource.name).is_some_and(|rejection| rejection.version == resource.version)
    }
}

/// The nonce of a response.
pub(super) fn nonce_of(number: u32) -> String {
    format!("{number:08x}")
}

fn shortened(words: &str) -> String {
    let mut end = words.len().min(WORDS_BYTES_MAX);
    while !words.is_char_boundary(end) {
        end -= 1;
    }
    words[..end].to_owned()
}
