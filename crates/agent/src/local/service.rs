//! One registered service.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use concord_mesh::defaults::{self, Central, Question};
use concord_model::catalog::{NodeScope, ServiceAddress, ServiceInstance};
use concord_model::proxy::ProxyConfig;
use concord_model::registration::LocalService;
use concord_model::{CheckId, InstanceId};
use concord_rpc::MergedEntries;

use super::mark::{Mark, Source};

/// A service with its state in the catalog.
#[derive(Clone, Debug)]
pub(crate) struct ServiceRecord {
    /// The service, with its inline checks.
    pub(crate) registration: Arc<LocalService>,
    /// Where it was registered.
    pub(crate) source: Source,
    /// Whether the catalog has the current state.
    pub(crate) mark: Mark,
    /// The revision of its last change.
    pub(crate) version: u64,
    /// The tags of its definition. The catalog may have replaced them.
    defined_tags: Vec<String>,
    /// What the entries say, if they concern it.
    entries: Entries,
    /// Its settings as a proxy, merged with the entries.
    merged: Option<Arc<ProxyConfig>>,
}

/// Whether it is known what the entries say.
#[derive(Clone, Debug)]
enum Entries {
    /// None concerns the service.
    None,
    /// Not yet.
    Awaited,
    /// It is known.
    Said(Settled),
}

/// What the entries say about a proxy.
#[derive(Clone, Debug)]
pub(crate) enum Settled {
    /// This, up to an index.
    By(Arc<Central>, u64),
    /// It may not read them, so its registration stands alone.
    Alone,
}

impl ServiceRecord {
    /// Builds the record that replaces `last`. With `use_entries`, a proxy waits for what the entries say, unless `last`
    /// asked the same. If a reload finds the same definition in a file, the tags that were
    /// set through the catalog in the meantime stay.
    pub(super) fn new(
        mut registration: LocalService,
        source: Source,
        version: u64,
        use_entries: bool,
        last: Option<&Self>,
    ) -> Self {
        tag_addresses(&mut registration.service);
        let defined_tags = registration.service.tags.clone();
        let again = last.filter(|last| {
            let overridden = |one: &ServiceInstance| one.enable_tag_override;
            (last.source, source) == (Source::File, Source::File)
                && overridden(&last.registration.service)
                && overridden(&registration.service)
                && last.defined_tags == defined_tags
        });
        if let Some(last) = again {
            registration.service.tags.clone_from(&last.registration.service.tags);
        }
        let mut record = Self {
            registration: Arc::new(registration),
            source,
            mark: Mark::Pending,
            version,
            defined_tags,
            entries: Entries::None,
            merged: None,
        };
        if use_entries && let Some(question) = record.question() {
            let same = last.filter(|last| last.question().as_ref() == Some(&question));
            record.entries = same.map_or(Entries::Awaited, |last| last.entries.clone());
            record.merge();
        }
        record
    }

    /// The service as it is: a proxy with what the entries say.
    pub(crate) fn service(&self) -> Cow<'_, ServiceInstance> {
        let own = &self.registration.service;
        match &self.merged {
            None => Cow::Borrowed(own),
            Some(merged) => {
                Cow::Owned(ServiceInstance { proxy: Some(ProxyConfig::clone(merged)), ..own.clone() })
            }
        }
    }

    /// What has to be asked about the entries; `None` if they do not concern it.
    pub(crate) fn question(&self) -> Option<Question> {
        defaults::question(&self.registration.service, &NodeScope::default())
    }

    /// Whether it is a proxy for which it is unknown what the entries say.
    pub(crate) fn is_awaiting_entries(&self) -> bool {
        matches!(self.entries, Entries::Awaited)
    }

    /// Whether the catalog has to be told about it now.
    pub(super) fn is_to_be_sent(&self) -> bool {
        self.mark == Mark::Pending && !self.is_awaiting_entries()
    }

    /// Takes over what the entries say. Returns whether something has changed. A proxy that loses the right to read
    /// them keeps what they said last.
    pub(super) fn settle(&mut self, settled: &Settled, version: u64) -> bool {
        match (&self.entries, settled) {
            (Entries::None, _) | (Entries::Said(_), Settled::Alone) => return false,
            (Entries::Awaited, _) | (Entries::Said(_), Settled::By(..)) => {}
        }
        let (awaited, before, index) = (self.is_awaiting_entries(), self.merged.clone(), self.index());
        self.entries = Entries::Said(settled.clone());
        self.merge();
        let changed = self.merged != before;
        if changed {
            self.mark = Mark::Pending;
        }
        if changed || awaited {
            self.version = version;
        }
        changed || awaited || index != self.index()
    }

    /// Up to which index it contains the entries.
    fn index(&self) -> Option<u64> {
        match &self.entries {
            Entries::Said(Settled::By(_, index)) => Some(*index),
            Entries::Said(Settled::Alone) | Entries::None | Entries::Awaited => None,
        }
    }

    /// The entries that are merged with the registration, and up to which index.
    pub(crate) fn merged_from(&self) -> Option<MergedEntries> {
        let Entries::Said(Settled::By(central, index)) = &self.entries else { return None };
        let entries = central.merged(&self.question()?.service).into();
        Some(MergedEntries { index: *index, entries })
    }

    fn merge(&mut self) {
        let Entries::Said(Settled::By(central, _)) = &self.entries else { return };
        let merged = defaults::merge(&self.registration.service, &NodeScope::default(), central).proxy;
        self.merged =
            merged.filter(|merged| Some(merged) != self.registration.service.proxy.as_ref()).map(Arc::new);
    }

    /// The instance's id.
    pub(crate) fn id(&self) -> &InstanceId {
        &self.registration.service.id
    }

    /// Removes a check from the inline checks. Returns whether it was one.
    pub(super) fn forget_inline(&mut self, check: &CheckId) -> bool {
        let had = self.registration.checks.iter().any(|inline| inline.id == *check);
        if had {
            Arc::make_mut(&mut self.registration).checks.retain(|inline| inline.id != *check);
        }
        had
    }

    /// Takes over the catalog's tags, if the service allows that.
    pub(crate) fn take_tags(&mut self, tags: &[String]) -> bool {
        let own = &self.registration.service;
        if !own.enable_tag_override || own.tags == tags {
            return false;
        }
        tags.clone_into(&mut Arc::make_mut(&mut self.registration).service.tags);
        true
    }
}

/// If the service's address is an IP address, adds the missing tagged addresses of that IP version, as Consul's
/// agents do.
fn tag_addresses(service: &mut ServiceInstance) {
    let Ok(ip) = service.address.parse::<IpAddr>() else { return };
    let tags = match ip.to_canonical() {
        IpAddr::V4(_) => ["lan_ipv4", "wan_ipv4"],
        IpAddr::V6(_) => ["lan_ipv6", "wan_ipv6"],
    };
    for tag in tags {
        let own = ServiceAddress { address: service.address.clone(), port: service.port };
        service.tagged_addresses.entry(tag.to_owned()).or_insert(own);
    }
}
