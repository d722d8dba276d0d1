//! Addresses that are names of hosts, and what they stand for.

use std::collections::HashMap;

use concord_rpc::request::InstanceHealth;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::answer::Answerer;
use crate::catalog::Reading;
use crate::domain::{Place, absolute};
use crate::limits::{ALIAS_RECORDS, ALIAS_RECORDS_MAX, ALIASES};
use crate::records::{Alias, Style, Towards};

/// The hosts of one answer, by the text that was registered.
pub(crate) type Aliases = HashMap<String, Alias>;

impl Answerer {
    /// Resolves the hosts among the targets of instances: those that the answer will name.
    pub(crate) async fn aliases(
        &self,
        with: &Reading,
        instances: &[(&InstanceHealth, Towards)],
        style: Style<'_>,
        has_extension: bool,
        depth: usize,
    ) -> Aliases {
        let mut own = Aliases::new();
        // Addresses win over aliases, and of aliases only the first is told.
        let is_srv = style.kind == RecordType::SRV;
        let has_address = |(_, towards): &(&InstanceHealth, Towards)| match towards {
            Towards::Node(address) | Towards::Ip(address) => {
                crate::records::address_record(style.kind, *address, style.name, style.ttl).is_some()
            }
            Towards::Host(_) | Towards::Nowhere => false,
        };
        if !is_srv && instances.iter().any(has_address) {
            return own;
        }
        for (_, towards) in instances {
            let Towards::Host(host) = towards else { continue };
            if own.contains_key(host) {
                continue;
            }
            let Some(target) = absolute(host) else { continue };
            let found = match own.len() < ALIASES {
                true => self.hosts_records(with, &target, depth).await,
                false => Vec::new(),
            };
            let most = if has_extension { ALIAS_RECORDS_MAX } else { ALIAS_RECORDS };
            let is_kept =
                |record: &Record| matches!(record.data, RData::CNAME(_) | RData::A(_) | RData::AAAA(_));
            let mut records: Vec<_> = found.into_iter().filter(is_kept).take(most).collect();
            // As in Consul, the answer about the service says how long it holds.
            records.iter_mut().for_each(|record| record.ttl = style.ttl);
            own.insert(host.clone(), Alias { target, records });
            if !is_srv {
                break;
            }
        }
        own
    }

    /// The records of a host: from our own answers if the name is ours, else from other servers.
    pub(crate) async fn hosts_records(&self, with: &Reading, host: &Name, depth: usize) -> Vec<Record> {
        match with.settings.domains.place(host) {
            Place::Ours(_) if depth == 0 => Vec::new(),
            Place::Ours(ours) => {
                let found =
                    Box::pin(self.resolve(with, host, RecordType::ANY, &ours, false, depth - 1)).await;
                found.map(|found| found.sections.answers).unwrap_or_default()
            }
            Place::Reverse | Place::Foreign if with.settings.section.recursors.is_empty() => Vec::new(),
            Place::Reverse | Place::Foreign => self.recursors.addresses(host, &with.settings.section).await,
        }
    }
}
