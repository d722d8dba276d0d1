//! Answers questions: decides whose name it is, reads what the answer needs, and puts it together.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use concord_model::Secret;
use concord_model::catalog::Node;
use concord_rpc::ServerApi;
use concord_rpc::request::InstanceHealth;
use concord_runtime::{Clock, Entropy, World, timeout};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{DNSClass, Name, RecordType};
use tokio::sync::Semaphore;

use crate::address::{Place as Address, of_node};
use crate::asked::{Asked, Place, ServiceAsked, asked, reversed};
use crate::catalog::{Catalog, Reading, Unanswered};
use crate::domain::{self, Ours, below};
use crate::fit::fit;
use crate::limits::{ALIAS_DEPTH, NAME_SERVERS, READ_TIMEOUT, REVERSE_QUESTIONS};
use crate::observed::{About, Observed};
use crate::order::shuffle;
use crate::question::{Question, Received, read};
use crate::records::{
    Sections, Style, Towards, address_record, address_records, alias_record, meta_records, name_server,
    node_name, ns_record, ptr_record, soa_record, srv_sections, towards,
};
use crate::recursor::Recursors;
use crate::reply::{Heading, message};
use crate::settings::Settings;
use crate::spelling::Spellings;
use crate::transport::Transport;

/// The token with which questions without one are answered.
pub type OwnToken = Arc<dyn Fn() -> Option<Secret> + Send + Sync>;

/// Answers questions.
pub struct Answerer {
    catalog: Catalog,
    settings: ArcSwap<Settings>,
    token: OwnToken,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) recursors: Arc<Recursors>,
    services: Spellings,
    nodes: Spellings,
    reverse: Semaphore,
    observed: Observed,
}

/// What was found for a name.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The records.
    pub(crate) sections: Sections,
    /// The name exists, but has no records of this type (RFC 2308 §2.2).
    pub(crate) is_empty: bool,
}

impl std::fmt::Debug for Answerer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answerer").field("settings", &self.settings.load()).finish_non_exhaustive()
    }
}

impl Answerer {
    /// Answers from these servers. `token` is asked for each question; `node` is our node, which metrics name.
    #[must_use]
    pub fn new(
        servers: Arc<dyn ServerApi>,
        settings: Settings,
        token: OwnToken,
        node: &str,
        world: &World,
    ) -> Self {
        let (clock, entropy) = (Arc::clone(&world.clock), Arc::clone(&world.entropy));
        Self {
            catalog: Catalog { servers, clock: Arc::clone(&clock) },
            settings: ArcSwap::from_pointee(settings),
            token,
            recursors: Arc::new(Recursors::new(Arc::clone(&clock), Arc::clone(&entropy))),
            services: Spellings::new(Arc::clone(&clock)),
            nodes: Spellings::new(Arc::clone(&clock)),
            reverse: Semaphore::new(REVERSE_QUESTIONS),
            observed: Observed::new(node.to_owned()),
            clock,
            entropy,
        }
    }

    /// Uses other settings from the next question on. Addresses and ports stay.
    pub fn configure(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// The answer to a message, with the rights of this token, or of our own if there is none. `None` if nothing is
    /// answered.
    pub async fn answer(&self, bytes: &[u8], via: Transport, token: Option<Secret>) -> Option<Vec<u8>> {
        let question = match read(bytes) {
            Received::Question(question) => question,
            Received::Refused(answer) => return Some(answer),
            Received::Nothing => return None,
        };
        let token = token.filter(|token| !token.is_empty()).or_else(|| (self.token)());
        let with = Reading { token, settings: self.settings() };
        let began = self.clock.now();
        let (answer, about) = self.answer_question(&question, via, &with).await;
        if let Some(about) = about {
            self.observed.record(about, question.kind(), self.clock.now() - began);
        }
        answer
    }

    async fn answer_question(
        &self,
        question: &Question,
        via: Transport,
        with: &Reading,
    ) -> (Option<Vec<u8>>, Option<About>) {
        let section = &with.settings.section;
        let refuse = |code, authoritative| {
            let heading = Heading { code, authoritative, recursion_available: false };
            fit(message(question, heading, Sections::default()), question, via, section)
        };
        if question.edns.is_some_and(|edns| edns.version > 0) {
            return (refuse(ResponseCode::BADVERS, false), None);
        }
        if !matches!(question.query.query_class, DNSClass::IN | DNSClass::ANY) {
            return (refuse(ResponseCode::Refused, false), None);
        }
        let place = with.settings.domains.place(question.name());
        if matches!(question.kind(), RecordType::AXFR | RecordType::IXFR) && place != domain::Place::Foreign {
            return (refuse(ResponseCode::NotImp, true), Some(About::Ours));
        }
        match place {
            domain::Place::Ours(ours) => (self.ours(question, via, with, &ours).await, Some(About::Ours)),
            domain::Place::Reverse => (self.reverse(question, via, with).await, Some(About::Reverse)),
            domain::Place::Foreign if section.recursors.is_empty() => {
                (refuse(ResponseCode::Refused, false), None)
            }
            domain::Place::Foreign => (self.foreign(question, via, with).await, None),
        }
    }

    /// A name of others.
    async fn foreign(&self, question: &Question, via: Transport, with: &Reading) -> Option<Vec<u8>> {
        let section = &with.settings.section;
        if let Some(answer) = self.recursors.forward(question, via, section).await {
            let room =
                question.edns.map_or(crate::limits::UDP_ANSWER_BYTES, |edns| usize::from(edns.payload));
            return match via == Transport::Udp && answer.len() > room {
                true => crate::sparing::cut(&answer),
                false => Some(answer),
            };
        }
        let heading =
            Heading { code: ResponseCode::ServFail, authoritative: false, recursion_available: true };
        fit(message(question, heading, Sections::default()), question, via, section)
    }

    /// A name in one of our domains.
    async fn ours(
        &self,
        question: &Question,
        via: Transport,
        with: &Reading,
        ours: &Ours,
    ) -> Option<Vec<u8>> {
        let section = &with.settings.section;
        let found = match question.kind() {
            RecordType::SOA => {
                let mut servers = self.name_servers(with, &ours.domain).await;
                servers.authorities = std::mem::take(&mut servers.answers);
                servers.answers.extend(self.soa(with, &ours.zone));
                Ok(Found { sections: servers, is_empty: false })
            }
            RecordType::NS => {
                Ok(Found { sections: self.name_servers(with, &ours.domain).await, is_empty: false })
            }
            kind => {
                let has_extension = question.edns.is_some();
                self.resolve(with, question.name(), kind, ours, has_extension, ALIAS_DEPTH).await
            }
        };
        let (code, mut sections, is_negative) = match found {
            Ok(found) => (ResponseCode::NoError, found.sections, found.is_empty),
            Err(Unanswered::NoName) => (ResponseCode::NXDomain, Sections::default(), true),
            Err(Unanswered::Failed) => (ResponseCode::ServFail, Sections::default(), false),
        };
        if is_negative {
            sections.authorities.extend(self.soa(with, &ours.zone));
        }
        let recursion_available = !section.recursors.is_empty();
        let heading = Heading { code, authoritative: true, recursion_available };
        fit(message(question, heading, sections), question, via, section)
    }

    fn soa(&self, with: &Reading, zone: &Name) -> Option<hickory_proto::rr::Record> {
        let seconds = self.clock.wall_nanos() / 1_000_000_000;
        soa_record(zone, with.settings.section.soa, u32::try_from(seconds).unwrap_or_default())
    }

    /// Some of our servers as name servers, with their addresses.
    async fn name_servers(&self, with: &Reading, domain: &Name) -> Sections {
        let mut servers = self.catalog.servers(with).await.unwrap_or_default();
        shuffle(&mut servers, &*self.entropy);
        let (mut own, ttl) = (Sections::default(), with.settings.node_ttl());
        for server in servers {
            let Some(name) = name_server(&server.node, domain) else { continue };
            let glue = self.node_records(with, &server.node, RecordType::ANY, &name, ALIAS_DEPTH).await;
            own.answers.push(ns_record(domain, name, ttl));
            own.additionals.extend(glue);
            if own.answers.len() >= NAME_SERVERS {
                break;
            }
        }
        own
    }

    /// The records of a name in one of our domains.
    pub(crate) async fn resolve(
        &self,
        with: &Reading,
        name: &Name,
        kind: RecordType,
        ours: &Ours,
        has_extension: bool,
        depth: usize,
    ) -> Result<Found, Unanswered> {
        let labels = ours.labels.as_ref().ok_or(Unanswered::NoName)?;
        match asked(labels, kind) {
            Asked::Service(service) => {
                let ttl = with.settings.service_ttl(&service.service);
                let style = Style { name, kind, domain: &ours.domain, ttl };
                self.service(with, &service, style, has_extension, depth).await
            }
            Asked::Node { node, place } => self.node(with, &node, &place, kind, name, depth).await,
            Asked::Virtual { service, peer } => {
                let texts = self.catalog.virtual_addresses(with, &service, peer.as_deref()).await?;
                let name = below(&labels.join("."), &ours.domain).ok_or(Unanswered::NoName)?;
                let addresses = texts.iter().filter_map(|text| text.parse().ok());
                let ttl = with.settings.node_ttl();
                // Whatever type was asked for, as in Consul.
                let record = |address| address_record(RecordType::ANY, address, &name, ttl);
                let answers = addresses.filter_map(record).collect();
                Ok(Found { sections: Sections { answers, ..Sections::default() }, is_empty: false })
            }
            Asked::Address(address) => {
                let name = below(&labels.join("."), &ours.domain).ok_or(Unanswered::NoName)?;
                Ok(Found {
                    sections: of_address(address, kind, &name, with.settings.node_ttl()),
                    is_empty: false,
                })
            }
            // There are no prepared queries yet, so none has this name.
            Asked::Query | Asked::Nothing => Err(Unanswered::NoName),
        }
    }

    async fn service(
        &self,
        with: &Reading,
        asked: &ServiceAsked,
        style: Style<'_>,
        has_extension: bool,
        depth: usize,
    ) -> Result<Found, Unanswered> {
        let mut instances = self.instances(with, asked).await?;
        if instances.is_empty() {
            return Err(Unanswered::NoName);
        }
        shuffle(&mut instances, &*self.entropy);
        let targets: Vec<(&InstanceHealth, Towards)> =
            instances.iter().map(|instance| (instance, towards(instance, style))).collect();
        let aliases = self.aliases(with, &targets, style, has_extension, depth).await;
        let alias = |host: &str| aliases.get(host).cloned();
        let section = &with.settings.section;
        let sections = match style.kind {
            RecordType::SRV => srv_sections(&targets, alias, section.node_meta_txt, style),
            _ => Sections {
                answers: address_records(&targets, alias, section.a_record_limit, style),
                ..Sections::default()
            },
        };
        Ok(Found { is_empty: sections.answers.is_empty(), sections })
    }

    /// The instances of a service, in whatever case its name is written in the catalog.
    async fn instances(
        &self,
        with: &Reading,
        asked: &ServiceAsked,
    ) -> Result<Vec<InstanceHealth>, Unanswered> {
        let ServiceAsked { service, tag, through, place } = asked;
        let at = (place.datacenter.as_deref(), place.peer.as_deref());
        let read = |name: String| async move {
            self.catalog.instances(with, &name, tag.as_deref(), *through, at).await
        };
        let mut found = read(service.clone()).await?;
        if found.is_empty() && place.is_here(with) {
            self.services.renew(self.catalog.services(with)).await;
        }
        for spelling in self.services.of(service) {
            found.extend(read(spelling).await?);
        }
        Ok(found)
    }

    async fn node(
        &self,
        with: &Reading,
        node: &str,
        place: &Place,
        kind: RecordType,
        name: &Name,
        depth: usize,
    ) -> Result<Found, Unanswered> {
        // As in Consul, other questions have no answer, whether or not there is such a node.
        if !matches!(kind, RecordType::A | RecordType::AAAA | RecordType::ANY | RecordType::TXT) {
            return Ok(Found::default());
        }
        let found = self.find_node(with, node, place).await?.ok_or(Unanswered::NoName)?;
        let mut sections = Sections::default();
        if kind != RecordType::TXT {
            sections.answers = self.node_records(with, &found, kind, name, depth).await;
        }
        let meta = meta_records(&found, name, with.settings.node_ttl());
        match kind {
            RecordType::TXT | RecordType::ANY => sections.answers.extend(meta),
            _ if with.settings.section.node_meta_txt => sections.additionals.extend(meta),
            _ => {}
        }
        Ok(Found { sections, is_empty: false })
    }

    async fn find_node(&self, with: &Reading, node: &str, place: &Place) -> Result<Option<Node>, Unanswered> {
        let at = (place.datacenter.as_deref(), place.peer.as_deref());
        if let Some(found) = self.catalog.node(with, node, at).await? {
            return Ok(Some(found));
        }
        if place.is_here(with) {
            let all = async {
                let nodes = self.catalog.nodes(with).await?;
                Ok::<_, Unanswered>(nodes.into_iter().map(|node| node.name.to_string()).collect())
            };
            self.nodes.renew(all).await;
        }
        for spelling in self.nodes.of(node) {
            if let Some(found) = self.catalog.node(with, &spelling, at).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The address of a node, or the host that it is.
    async fn node_records(
        &self,
        with: &Reading,
        node: &Node,
        kind: RecordType,
        name: &Name,
        depth: usize,
    ) -> Vec<hickory_proto::rr::Record> {
        let ttl = with.settings.node_ttl();
        match of_node(node, kind) {
            Address::Ip(address) => address_record(kind, address, name, ttl).into_iter().collect(),
            Address::Host(host) => {
                let Some(target) = domain::absolute(&host) else { return Vec::new() };
                let records = self.hosts_records(with, &target, depth).await;
                std::iter::once(alias_record(name, &target, ttl)).chain(records).collect()
            }
            Address::Missing => Vec::new(),
        }
    }

    /// The name of an address: of a node, or else of a service.
    async fn reverse(&self, question: &Question, via: Transport, with: &Reading) -> Option<Vec<u8>> {
        let section = &with.settings.section;
        let found = match reversed(question.name()) {
            Some(address) => self.name_of(with, address).await,
            None => Ok(None),
        };
        let recursion_available = !section.recursors.is_empty();
        let mut sections = Sections::default();
        let zone = with.settings.domains.zone();
        let code = match found {
            Ok(Some(name)) => {
                sections.answers.push(ptr_record(question.name(), name));
                ResponseCode::NoError
            }
            Ok(None) | Err(_) if recursion_available => return self.foreign(question, via, with).await,
            // Consul says that there is no such name even if its servers do not answer.
            Err(Unanswered::Failed) => ResponseCode::ServFail,
            Ok(None) | Err(Unanswered::NoName) => {
                sections.authorities.extend(self.soa(with, &zone));
                ResponseCode::NXDomain
            }
        };
        if question.kind() == RecordType::SOA && code != ResponseCode::ServFail {
            sections.authorities.extend(self.soa(with, &zone));
        }
        let heading = Heading { code, authoritative: true, recursion_available };
        fit(message(question, heading, sections), question, via, section)
    }

    async fn name_of(&self, with: &Reading, address: IpAddr) -> Result<Option<Name>, Unanswered> {
        let turn = timeout(&*self.clock, READ_TIMEOUT, self.reverse.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(Unanswered::Failed) };
        let zone = with.settings.domains.zone();
        let is_it = |text: &str| text.parse() == Ok(address);
        let nodes = self.catalog.nodes(with).await?;
        let named = nodes.iter().filter(|node| is_it(&node.address)).min_by_key(|node| node.name.clone());
        if let Some(name) = named.and_then(|node| node_name(node, &zone)) {
            return Ok(Some(name));
        }
        let instances = self.catalog.all_instances(with).await?;
        let instances = instances.iter().filter(|instance| is_it(&instance.service.address));
        let first =
            instances.min_by_key(|instance| (instance.node.name.clone(), instance.service.id.clone()));
        Ok(first.and_then(|instance| {
            let text = format!("{}.service.{}", instance.service.service, instance.node.datacenter);
            below(&text, &zone)
        }))
    }
}

impl Place {
    /// Whether it is our own cluster.
    fn is_here(&self, with: &Reading) -> bool {
        let own = with.settings.datacenter.as_str();
        self.peer.is_none() && self.datacenter.as_deref().is_none_or(|named| named == own)
    }
}

/// The records of the name of an address. If another type was asked for, the address is added to the answer.
fn of_address(address: IpAddr, kind: RecordType, name: &Name, ttl: u32) -> Sections {
    let record = address_record(RecordType::ANY, address, name, ttl);
    let own = if address.is_ipv4() { RecordType::A } else { RecordType::AAAA };
    let mut sections = Sections::default();
    match kind == own || kind == RecordType::ANY {
        true => sections.answers.extend(record),
        false => sections.additionals.extend(record),
    }
    sections
}
