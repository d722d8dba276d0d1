//! The section of DNS.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use concord_syntax::duration;

use super::Resolver;
use crate::address::ListenHost;
use crate::flags::AgentFlags;
use crate::raw::{DnsConfig, Raw, Soa};
use crate::section::{DnsSection, RecursorStrategy, SoaSection};

/// Consul's port of DNS.
const DNS_PORT: i64 = 8600;
/// The port of DNS servers of which only the address is written.
const RECURSOR_PORT: u16 = 53;
/// Recursors that are asked for one question, one after the other, at most.
const RECURSORS_MAX: usize = 16;

impl Resolver<'_> {
    pub(super) fn dns(&mut self, raw: &Raw, clients: &[IpAddr], flags: &AgentFlags) -> DnsSection {
        let DnsConfig { plain, udp_answer_limit, a_record_limit, service_ttl, soa, recursor_strategy } =
            &raw.dns_config;
        let section = DnsSection::plain(plain);
        DnsSection {
            addresses: self.dns_addresses(raw, clients),
            port: self.port("ports.dns", raw.ports.dns, DNS_PORT, flags),
            asked_for: raw.ports.dns.is_some(),
            udp_answer_limit: self.dns_limit("udp_answer_limit", *udp_answer_limit, section.udp_answer_limit),
            a_record_limit: self.dns_limit("a_record_limit", *a_record_limit, section.a_record_limit),
            service_ttl: self.service_ttl(service_ttl),
            soa: self.soa(soa),
            recursor_strategy: self.recursor_strategy(recursor_strategy.as_deref().unwrap_or_default()),
            recursors: self.recursors(&raw.recursors),
            ..section
        }
    }

    fn dns_addresses(&mut self, raw: &Raw, clients: &[IpAddr]) -> Vec<IpAddr> {
        const KEY: &str = "addresses.dns";
        let mut own = Vec::new();
        for place in self.places(KEY, raw.addresses.dns.as_deref(), clients) {
            match place {
                ListenHost::Ip(address) => own.push(address),
                ListenHost::Unix(_) => self.fail(KEY, "DNS address cannot be a unix socket"),
            }
        }
        own
    }

    fn dns_limit(&mut self, key: &str, written: Option<i64>, default: usize) -> usize {
        let Some(number) = written else { return default };
        usize::try_from(number).unwrap_or_else(|_| {
            let key = format!("dns_config.{key}");
            self.fail(&key, format!("{key} cannot be {number}. Must be greater than or equal to zero"));
            default
        })
    }

    fn service_ttl(&mut self, written: &BTreeMap<String, String>) -> BTreeMap<String, Duration> {
        let mut own = BTreeMap::new();
        for (name, text) in written {
            match duration::parse(text) {
                Ok(ttl) => drop(own.insert(name.clone(), ttl)),
                Err(error) => {
                    self.fail("dns_config.service_ttl", format!("dns_config.service_ttl[{name:?}]: {error}"));
                }
            }
        }
        own
    }

    fn soa(&mut self, written: &Soa) -> SoaSection {
        let Soa { refresh, retry, expire, min_ttl } = written;
        let usual = SoaSection::default();
        let mut seconds = |key: &str, number: &Option<i64>, usual: u32| {
            let Some(number) = number else { return usual };
            u32::try_from(*number).unwrap_or_else(|_| {
                let key = format!("dns_config.soa.{key}");
                self.fail(&key, format!("{key}: {number} is not a number of seconds"));
                usual
            })
        };
        SoaSection {
            refresh: seconds("refresh", refresh, usual.refresh),
            retry: seconds("retry", retry, usual.retry),
            expire: seconds("expire", expire, usual.expire),
            min_ttl: seconds("min_ttl", min_ttl, usual.min_ttl),
        }
    }

    fn recursor_strategy(&mut self, written: &str) -> RecursorStrategy {
        match written {
            "" | "sequential" => RecursorStrategy::Sequential,
            "random" => RecursorStrategy::Random,
            _ => {
                let key = "dns_config.recursor_strategy";
                self.fail(key, format!("{key}: invalid strategy: {written:?}; use sequential or random"));
                RecursorStrategy::Sequential
            }
        }
    }

    fn recursors(&mut self, written: &[String]) -> Vec<SocketAddr> {
        const KEY: &str = "recursors";
        let mut own = Vec::new();
        for text in written {
            match recursor(text) {
                Some(address) if address.ip().is_unspecified() => {
                    self.fail(KEY, "DNS recursor address cannot be 0.0.0.0, :: or [::]");
                }
                Some(address) if !own.contains(&address) => own.push(address),
                Some(_) => {}
                None => self.fail(
                    KEY,
                    format!(
                        "recursors: {text:?} is no address; write it as 10.0.0.2, 10.0.0.2:53 or [fd00::2]:53"
                    ),
                ),
            }
        }
        if own.len() > RECURSORS_MAX {
            self.fail(
                KEY,
                format!("recursors: {} are too many; at most {RECURSORS_MAX} are asked", own.len()),
            );
        }
        own
    }
}

/// An address, with or without a port.
fn recursor(text: &str) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let alone = || bare.parse().ok().map(|address: IpAddr| SocketAddr::new(address, RECURSOR_PORT));
    text.parse().ok().or_else(alone)
}
