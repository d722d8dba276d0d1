//! The records of nodes, instances and addresses. Pure: aliases have been resolved before.

use std::collections::HashSet;
use std::net::IpAddr;

use concord_config::section::SoaSection;
use concord_model::catalog::{CheckStatus, Node};
use concord_rpc::request::InstanceHealth;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use crate::address::{Place, hexadecimal, meta_texts, of_instance, of_node};
use crate::domain::{absolute, below};

/// The sections of an answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sections {
    /// What answers the question.
    pub(crate) answers: Vec<Record>,
    /// Who is responsible.
    pub(crate) authorities: Vec<Record>,
    /// What belongs to the answers.
    pub(crate) additionals: Vec<Record>,
}

/// What stands in each record of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style<'a> {
    /// The name that was asked for, as the client spells it.
    pub(crate) name: &'a Name,
    /// The type that was asked for.
    pub(crate) kind: RecordType,
    /// Our domain, as the client spells it.
    pub(crate) domain: &'a Name,
    /// How long the answer may be kept, in seconds.
    pub(crate) ttl: u32,
}

/// A host name among addresses, and what it stands for.
#[derive(Clone, Debug)]
pub(crate) struct Alias {
    /// The name.
    pub(crate) target: Name,
    /// Records of the target.
    pub(crate) records: Vec<Record>,
}

/// Where the traffic of one instance goes.
#[derive(Clone, Debug)]
pub(crate) enum Towards {
    /// To the address of the node, which has the name of the node.
    Node(IpAddr),
    /// To an address of its own.
    Ip(IpAddr),
    /// To a host.
    Host(String),
    /// Nowhere that could be told.
    Nowhere,
}

// === of addresses ===

/// The record of an address. `None` if this type of question does not ask for its family.
pub(crate) fn address_record(kind: RecordType, address: IpAddr, name: &Name, ttl: u32) -> Option<Record> {
    let any = matches!(kind, RecordType::SRV | RecordType::ANY | RecordType::NS | RecordType::TXT);
    let data = match address.to_canonical() {
        IpAddr::V4(own) if any || kind == RecordType::A => RData::A(A(own)),
        IpAddr::V6(own) if any || kind == RecordType::AAAA => RData::AAAA(AAAA(own)),
        IpAddr::V4(_) | IpAddr::V6(_) => return None,
    };
    Some(Record::from_rdata(name.clone(), ttl, data))
}

/// The record of an alias.
pub(crate) fn alias_record(name: &Name, target: &Name, ttl: u32) -> Record {
    Record::from_rdata(name.clone(), ttl, RData::CNAME(CNAME(target.clone())))
}

// === of nodes ===

/// The name of a node. `None` if it cannot be one.
pub(crate) fn node_name(node: &Node, domain: &Name) -> Option<Name> {
    match &node.scope.peer {
        Some(peer) => below(&format!("{}.node.{peer}.peer", node.name), domain),
        None => below(&format!("{}.node.{}", node.name, node.datacenter), domain),
    }
}

/// The metadata of a node.
pub(crate) fn meta_records(node: &Node, name: &Name, ttl: u32) -> impl Iterator<Item = Record> {
    let texts: Vec<String> = meta_texts(&node.meta).collect();
    let name = name.clone();
    texts.into_iter().map(move |text| Record::from_rdata(name.clone(), ttl, RData::TXT(text_data(&text))))
}

/// One text. A piece of it has 255 bytes at most.
fn text_data(text: &str) -> TXT {
    const PIECE_BYTES: usize = 255;
    match text.is_empty() {
        true => TXT::from_bytes(vec![b""]),
        false => TXT::from_bytes(text.as_bytes().chunks(PIECE_BYTES).collect()),
    }
}

// === of instances ===

/// Where the traffic of an instance goes: to its address, or else to that of its node. An address that is the very
/// name that was asked for is none.
pub(crate) fn towards(instance: &InstanceHealth, style: Style<'_>) -> Towards {
    let node = of_node(&instance.node, style.kind);
    match of_instance(&instance.service, style.kind) {
        Place::Ip(address) => Towards::Ip(address),
        Place::Host(host) => match node {
            Place::Ip(address) if absolute(&host).is_some_and(|host| host == *style.name) => {
                Towards::Node(address)
            }
            _ => Towards::Host(host),
        },
        Place::Missing => match node {
            // An address that was chosen by its family is not that of the node's name.
            Place::Ip(address) if instance.node.address.parse() != Ok(address) => Towards::Ip(address),
            Place::Ip(address) => Towards::Node(address),
            Place::Host(host) => Towards::Host(host),
            Place::Missing => Towards::Nowhere,
        },
    }
}

/// The name of an instance's address.
fn address_name(instance: &InstanceHealth, address: IpAddr, domain: &Name) -> Option<Name> {
    let digits = hexadecimal(address);
    match &instance.node.scope.peer {
        Some(_) => below(&format!("{digits}.addr"), domain),
        None => below(&format!("{digits}.addr.{}", instance.node.datacenter), domain),
    }
}

/// The SRV record of an instance (RFC 2782).
fn srv_record(instance: &InstanceHealth, target: Name, style: Style<'_>) -> Record {
    let weights = &instance.service.weights;
    let weight = match instance.status() {
        CheckStatus::Passing => weights.passing,
        CheckStatus::Warning => weights.warning,
        CheckStatus::Critical => 0,
    };
    let weight = u16::try_from(weight).unwrap_or(u16::MAX);
    let data = SRV::new(1, weight, instance.service.port, target);
    Record::from_rdata(style.name.clone(), style.ttl, RData::SRV(data))
}

/// The SRV records of instances, in their order, with the addresses of their targets.
pub(crate) fn srv_sections(
    instances: &[(&InstanceHealth, Towards)],
    aliases: impl Fn(&str) -> Option<Alias>,
    meta: bool,
    style: Style<'_>,
) -> Sections {
    let mut own = Sections::default();
    let mut seen = HashSet::new();
    for (instance, towards) in instances {
        let service = &instance.service;
        if !seen.insert((instance.node.name.as_str(), told(service, style.kind), service.port)) {
            continue;
        }
        let target = match towards {
            Towards::Nowhere => None,
            Towards::Node(address) => {
                node_name(&instance.node, style.domain).map(|name| (name, Some(*address)))
            }
            Towards::Ip(address) => {
                address_name(instance, *address, style.domain).map(|name| (name, Some(*address)))
            }
            Towards::Host(host) => aliases(host).map(|alias| {
                own.additionals.extend(alias.records);
                (alias.target, None)
            }),
        };
        let Some((target, address)) = target else { continue };
        let of_target =
            address.and_then(|address| address_record(RecordType::SRV, address, &target, style.ttl));
        own.answers.push(srv_record(instance, target, style));
        own.additionals.extend(of_target);
        if meta && let Some(name) = node_name(&instance.node, style.domain) {
            own.additionals.extend(meta_records(&instance.node, &name, style.ttl));
        }
    }
    own
}

fn told(service: &concord_model::catalog::ServiceInstance, kind: RecordType) -> String {
    match of_instance(service, kind) {
        Place::Ip(address) => address.to_string(),
        Place::Host(host) => host,
        Place::Missing => String::new(),
    }
}

/// The addresses of instances, in their order, at most `limit` of them (0: all). If there are none, the first alias
/// answers: a name has one alias or several addresses (RFC 1034 §3.6.2).
pub(crate) fn address_records(
    instances: &[(&InstanceHealth, Towards)],
    aliases: impl Fn(&str) -> Option<Alias>,
    limit: usize,
    style: Style<'_>,
) -> Vec<Record> {
    let mut own = Vec::new();
    let mut seen = HashSet::new();
    for (_, towards) in instances {
        let (Towards::Node(address) | Towards::Ip(address)) = towards else { continue };
        let Some(record) = address_record(style.kind, *address, style.name, style.ttl) else { continue };
        if seen.insert(*address) {
            own.push(record);
            if own.len() == limit {
                break;
            }
        }
    }
    if !own.is_empty() {
        return own;
    }
    let hosts = instances.iter().filter_map(|(_, towards)| match towards {
        Towards::Host(host) => aliases(host),
        Towards::Node(_) | Towards::Ip(_) | Towards::Nowhere => None,
    });
    let Some(Alias { target, records }) = hosts.into_iter().next() else { return own };
    own.push(alias_record(style.name, &target, style.ttl));
    own.extend(records);
    own
}

// === of the domain ===

/// The record that says who is responsible for a domain.
pub(crate) fn soa_record(zone: &Name, soa: SoaSection, serial: u32) -> Option<Record> {
    let SoaSection { refresh, retry, expire, min_ttl } = soa;
    let signed = |seconds: u32| i32::try_from(seconds).unwrap_or(i32::MAX);
    let (server, mailbox) = (below("ns", zone)?, below("hostmaster", zone)?);
    let data = SOA::new(server, mailbox, serial, signed(refresh), signed(retry), signed(expire), min_ttl);
    // The negative answer may be kept for as long as it says itself (RFC 2308 §5).
    Some(Record::from_rdata(zone.clone(), min_ttl, RData::SOA(data)))
}

/// The name of a server as a name server, in lower case. `None` if its name cannot be one.
pub(crate) fn name_server(node: &Node, domain: &Name) -> Option<Name> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '\\';
    let is_name = node.name.as_str().chars().all(is_plain);
    is_name.then(|| node_name(node, domain)).flatten().map(|name| name.to_lowercase())
}

/// The record of a name server.
pub(crate) fn ns_record(domain: &Name, server: Name, ttl: u32) -> Record {
    Record::from_rdata(domain.clone(), ttl, RData::NS(NS(server)))
}

/// The record of the name of an address. It may not be kept, as in Consul.
pub(crate) fn ptr_record(asked: &Name, name: Name) -> Record {
    Record::from_rdata(asked.clone(), 0, RData::PTR(PTR(name)))
}
