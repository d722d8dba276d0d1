//! Queries about configuration entries and intentions.
//!
//! An entry changes with each of its sources, and so does every answer that shows its index. So reading a source also
//! reads the head of its entry.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_mesh::entry::{Lookup, providers_of, providers_of_source};
use concord_model::entry::{Entry, EntryKind, EntryName};
use concord_model::intention::{Destination, ServiceIntentions, Source, SourceIntention};
use concord_model::{Pattern, ServiceRef, Stamp, Timestamp, Uuid};

use crate::apply::cluster::rule_set;
use crate::key::part::{Local, Shown};
use crate::keys;
use crate::read::Reader;
use crate::row::{EntryRow, IntentionHead, IntentionRef};
use crate::tables::Tables;
use crate::view::View;

impl Reader {
    /// One entry, complete.
    pub fn entry(&mut self, name: &EntryName) -> Option<Arc<Entry>> {
        let row = self.entry_row(name)?;
        Some(self.whole_entry(&row))
    }

    /// When an entry changed, and the leader's clock at that change; the latter is `None` if it was under a rule set
    /// that did not keep it.
    pub fn entry_time(&mut self, name: &EntryName) -> Option<(Stamp, Option<Timestamp>)> {
        let (row, time) = (self.entry_row(name), self.row(keys::entry_times::row(name)));
        Some((row?.stamp(), time.map(|time| time.at)))
    }

    /// All entries of a kind, without the sources of intentions.
    pub fn entry_rows(&mut self, kind: EntryKind) -> Vec<Arc<EntryRow>> {
        self.rows(keys::entries::of_kind(kind))
    }

    /// A row as a complete entry.
    pub fn whole_entry(&self, row: &EntryRow) -> Arc<Entry> {
        match row {
            EntryRow::Intentions(head) => Arc::new(Entry::ServiceIntentions(self.whole(head))),
            EntryRow::Whole(entry) => Arc::clone(entry),
        }
    }

    fn entry_row(&mut self, name: &EntryName) -> Option<Arc<EntryRow>> {
        self.row(keys::entries::row(name))
    }

    /// All entries that hold intentions.
    pub fn intentions(&mut self) -> Vec<ServiceIntentions> {
        self.intention_heads().iter().map(|head| self.whole(head)).collect()
    }

    /// All entries that hold intentions, without their sources.
    pub fn intention_heads(&mut self) -> Vec<Arc<IntentionHead>> {
        let rows = self.entry_rows(EntryKind::ServiceIntentions);
        rows.iter().filter_map(|row| row.intentions().cloned()).collect()
    }

    /// The entry of a destination, without its sources.
    pub fn intention_head(&mut self, destination: &Destination) -> Option<Arc<IntentionHead>> {
        self.entry_row(&EntryName::intentions(destination))?.intentions().cloned()
    }

    /// An entry with all its sources, in order of precedence.
    pub fn whole(&self, head: &IntentionHead) -> ServiceIntentions {
        let all = self.sources(head, &keys::intentions::of(&head.destination));
        head.with(all.map(|(_, own)| SourceIntention::clone(own)).collect())
    }

    /// An entry with only those of its sources that are written like this; `None` if it has none of them.
    pub fn part(&self, head: &IntentionHead, sources: &[Source]) -> Option<ServiceIntentions> {
        let found = sources.iter().filter_map(|source| self.source(head, source));
        let found: Vec<_> = found.map(|own| SourceIntention::clone(own)).collect();
        (!found.is_empty()).then(|| head.with(found))
    }

    /// An entry with only its sources that stand for every service: of one namespace, or of all.
    pub fn about_any(&self, head: &IntentionHead) -> ServiceIntentions {
        let parts = [1, 2].map(|wildcards| keys::intentions::wild(&head.destination, wildcards));
        let wild = parts.iter().flat_map(|part| self.sources(head, part));
        let any = |own: &&Arc<SourceIntention>| own.source.peer.is_none() && own.source.name == Pattern::Any;
        head.with(wild.map(|(_, own)| own).filter(any).map(|own| SourceIntention::clone(own)).collect())
    }

    /// The intention of one source of a destination.
    pub fn intention(&mut self, destination: &Destination, source: &Source) -> Option<Arc<SourceIntention>> {
        let head = self.intention_head(destination)?;
        self.source(&head, source).cloned()
    }

    /// How many sources of a destination come before this one.
    pub fn position(&mut self, destination: &Destination, source: &Source) -> usize {
        let Some(head) = self.intention_head(destination) else { return 0 };
        let own = keys::intentions::key(destination, Shown(source));
        self.sources(&head, &keys::intentions::of(destination)).take_while(|(key, _)| **key < own).count()
    }

    /// The intention with this id of the older API: its entry with only that source.
    pub fn intention_by_id(&mut self, id: Uuid) -> Option<ServiceIntentions> {
        let found = self.rows(keys::intention_ids::of_id(id));
        let IntentionRef { destination, source } = IntentionRef::clone(found.first()?);
        let head = self.intention_head(&destination)?;
        self.part(&head, &[source])
    }

    /// The entries whose destination covers a service: its own and those with wildcards, the most specific first. A
    /// destination in a peered cluster has none here.
    pub fn intentions_to(&mut self, destination: &ServiceRef) -> Vec<ServiceIntentions> {
        self.heads_to(destination).iter().map(|head| self.whole(head)).collect()
    }

    /// The entries whose destination covers a service, without their sources.
    pub fn heads_to(&mut self, destination: &ServiceRef) -> Vec<Arc<IntentionHead>> {
        if destination.peer.is_some() {
            return Vec::new();
        }
        let partition = &destination.partition;
        let named = keys::patterns(destination);
        let named =
            named.map(|(namespace, name)| Destination { partition: partition.clone(), namespace, name });
        named.iter().filter_map(|to| self.intention_head(to)).collect()
    }

    /// The entries with an intention whose source covers a service. Each entry occurs once, ordered by destination,
    /// with only those sources.
    pub fn intentions_from(&mut self, source: &ServiceRef) -> Vec<ServiceIntentions> {
        let sources = covering(source);
        let mut found = BTreeMap::new();
        for source in &sources {
            for row in self.rows(keys::intention_sources::from(source)) {
                let Some(head) = self.intention_head(&row.destination) else { continue };
                found.insert(head.destination.clone(), head);
            }
        }
        found.values().filter_map(|head| self.part(head, &sources)).collect()
    }

    fn source(&self, head: &IntentionHead, source: &Source) -> Option<&Arc<SourceIntention>> {
        let key = keys::intentions::key(&head.destination, Shown(source));
        self.sources(head, &key).map(|(_, own)| own).next()
    }
}

impl Lookup for View {
    fn rule_set(&self) -> u32 {
        rule_set(&self.tables)
    }

    fn asks_for_tokens_of(&self, provider: &str) -> Option<Destination> {
        self.tables.asks_for_tokens_of(provider)
    }

    fn entry(&self, name: &EntryName) -> Option<Arc<Entry>> {
        Lookup::entry(&*self.tables, name)
    }

    fn links_to(&self, service: &ServiceRef) -> Vec<EntryName> {
        self.tables.links_to(service)
    }

    fn linked_by(&self, kind: EntryKind) -> Vec<ServiceRef> {
        self.tables.linked_by(kind)
    }

    fn named(&self, kind: EntryKind) -> Vec<EntryName> {
        self.tables.named(kind)
    }
}

impl Lookup for Tables {
    fn rule_set(&self) -> u32 {
        rule_set(self)
    }

    /// Looks through all intentions: issuers are few, and seldom removed.
    fn asks_for_tokens_of(&self, provider: &str) -> Option<Destination> {
        let heads = self.entries.scan(&keys::entries::of_kind(EntryKind::ServiceIntentions));
        let heads = heads.filter_map(|(_, row)| row.intentions());
        heads
            .map(|head| &**head)
            .find(|head| names(self, head, provider))
            .map(|head| head.destination.clone())
    }

    fn entry(&self, name: &EntryName) -> Option<Arc<Entry>> {
        match &**self.entries.get(&keys::entries::row(name))? {
            EntryRow::Whole(entry) => Some(Arc::clone(entry)),
            EntryRow::Intentions(_) => None,
        }
    }

    fn links_to(&self, service: &ServiceRef) -> Vec<EntryName> {
        self.entry_links
            .scan(&keys::entry_links::to(Local(service)))
            .map(|(_, link)| link.from.clone())
            .collect()
    }

    fn linked_by(&self, kind: EntryKind) -> Vec<ServiceRef> {
        let of_kind = self.entry_links.iter().filter(|(_, link)| link.from.kind == kind);
        of_kind.map(|(_, link)| link.to.clone()).collect()
    }

    fn named(&self, kind: EntryKind) -> Vec<EntryName> {
        self.entries.scan(&keys::entries::of_kind(kind)).map(|(_, row)| row.name()).collect()
    }
}

/// Whether intentions of a destination ask for tokens of an issuer.
fn names(tables: &Tables, head: &IntentionHead, provider: &str) -> bool {
    let whole = head.jwt.iter().flat_map(providers_of).any(|own| own == provider);
    let sources = || tables.intentions.scan(&keys::intentions::of(&head.destination));
    let by_request = || sources().any(|(_, own)| providers_of_source(own).any(|own| own == provider));
    whole || (head.by_request > 0 && by_request())
}

/// The forms in which a source that covers a service can be written, the most specific first.
pub fn covering(service: &ServiceRef) -> [Source; 4] {
    keys::patterns(service).map(|(namespace, name)| Source {
        partition: service.partition.clone(),
        namespace,
        peer: service.peer.clone(),
        name,
    })
}
