//! What DNS is told by the configuration.

use std::time::Duration;

use concord_config::section::DnsSection;
use concord_model::Datacenter;

use crate::domain::Domains;

/// The settings of DNS.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The section of the configuration.
    pub section: DnsSection,
    /// Our datacenter.
    pub datacenter: Datacenter,
    /// The domains that are ours.
    pub(crate) domains: Domains,
}

impl Settings {
    /// The settings of an agent with these domains, such as `consul.`.
    #[must_use]
    pub fn new(section: DnsSection, datacenter: Datacenter, domain: &str, alt_domain: Option<&str>) -> Self {
        Self { section, datacenter, domains: Domains::new(domain, alt_domain) }
    }

    /// How long answers about a service may be kept: by its name, or by the longest beginning of it.
    pub(crate) fn service_ttl(&self, service: &str) -> u32 {
        let ttls = &self.section.service_ttl;
        let begins = |(pattern, ttl): (&String, &Duration)| {
            let beginning = pattern.strip_suffix('*')?;
            service.starts_with(beginning).then_some((beginning.len(), *ttl))
        };
        let by_beginning = || ttls.iter().filter_map(begins).max_by_key(|(length, _)| *length);
        seconds(ttls.get(service).copied().or_else(|| by_beginning().map(|(_, ttl)| ttl)).unwrap_or_default())
    }

    /// How long answers about nodes and addresses may be kept.
    pub(crate) fn node_ttl(&self) -> u32 {
        seconds(self.section.node_ttl)
    }
}

/// Whole seconds; a TTL has 31 bits (RFC 2181 §8).
fn seconds(time: Duration) -> u32 {
    const MAX: u32 = i32::MAX.unsigned_abs();
    u32::try_from(time.as_secs()).map_or(MAX, |seconds| seconds.min(MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_beginning_decides_unless_the_name_is_written() {
        let ttls = [("*", 1), ("db*", 2), ("db-main*", 3), ("db-main", 4)];
        let service_ttl =
            ttls.map(|(name, seconds)| (name.to_owned(), Duration::from_secs(seconds))).into_iter().collect();
        let section = DnsSection { service_ttl, ..DnsSection::default() };
        let own = Settings::new(section, Datacenter::parse("dc1").expect("a name"), "consul.", None);
        let expected = [("web", 1), ("db", 2), ("db-main", 4), ("db-main-2", 3)];
        for (name, ttl) in expected {
            assert_eq!(own.service_ttl(name), ttl, "{name}");
        }
        let none = Settings::new(DnsSection::default(), own.datacenter, "consul.", None);
        assert_eq!((none.service_ttl("web"), none.node_ttl()), (0, 0));
        assert_eq!(seconds(Duration::from_secs(u64::MAX)), u32::MAX >> 1);
    }
}
