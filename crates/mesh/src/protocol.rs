//! The protocol of a service, and which entry decides it. Chains, rules between entries, settings of proxies and
//! explanations all ask here.

use concord_model::ServiceRef;
use concord_model::chain::Origin;
use concord_model::entry::{Entry, EntryKind, EntryName, Protocol, ProxyDefaults};
use concord_model::proxy::Settings;
use serde::Deserialize;
use serde_json::Value;

/// What the `service-defaults` of a service mean that leave `Protocol` out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unsaid {
    /// The protocol is TCP. Chains are compiled so, and the rules between entries follow the chains.
    IsTcp,
    /// `proxy-defaults` decides. Proxies are configured so.
    IsInherited,
}

/// A protocol and what decides it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Spoken {
    /// The protocol.
    pub protocol: Protocol,
    /// The field that says it. `None` if none does; then the protocol is TCP.
    pub origin: Option<Origin>,
}

/// The protocol of a service: from its `service-defaults`, else from `proxy-defaults`.
///
/// `own` is what its `service-defaults` say; `None` if it has none.
pub fn protocol(
    service: &ServiceRef,
    own: Option<Protocol>,
    all: Option<&ProxyDefaults>,
    unsaid: Unsaid,
) -> Spoken {
    match own {
        None => of_all(all),
        Some(Protocol::Unset) if unsaid == Unsaid::IsInherited => of_all(all),
        Some(Protocol::Unset) => Spoken::default(),
        Some(protocol) => {
            let entry = EntryName::of_service(EntryKind::ServiceDefaults, service);
            Spoken { protocol, origin: Some(Origin { entry, field: "Protocol".to_owned() }) }
        }
    }
}

/// The same by the entries.
pub fn protocol_by(service: &ServiceRef, own: Option<&Entry>, all: Option<&Entry>, unsaid: Unsaid) -> Spoken {
    let own = own.and_then(|own| match own {
        Entry::ServiceDefaults(own) => Some(own.said.protocol),
        _ => None,
    });
    protocol(service, own, said_by(all), unsaid)
}

/// Why the proxy of a service and its discovery chain have different protocols, in one sentence. `None` if they do not.
pub fn disagreement(service: &ServiceRef, own: Option<&Entry>, all: Option<&Entry>) -> Option<String> {
    let proxy = protocol_by(service, own, all, Unsaid::IsInherited);
    let chain = protocol_by(service, own, all, Unsaid::IsTcp).protocol;
    let origin = proxy.origin.filter(|_| proxy.protocol != chain)?;
    let entry = EntryName::of_service(EntryKind::ServiceDefaults, service);
    let (protocol, chain) = (proxy.protocol.as_str(), chain.as_str());
    Some(format!(
        "its proxy takes it as {protocol}, by {origin}, but its discovery chain says {chain}, because {entry} leaves Protocol out"
    ))
}

/// The protocol of services that have no defaults of their own.
pub fn of_proxies(all: Option<&Entry>) -> Spoken {
    of_all(said_by(all))
}

fn said_by(all: Option<&Entry>) -> Option<&ProxyDefaults> {
    match all {
        Some(Entry::ProxyDefaults(all)) => Some(&all.said),
        _ => None,
    }
}

fn of_all(all: Option<&ProxyDefaults>) -> Spoken {
    let said = all.and_then(|all| said_in(&all.config));
    let protocol = said.and_then(|(key, value)| Some((key, Protocol::deserialize(value).ok()?)));
    match protocol {
        None | Some((_, Protocol::Unset)) => Spoken::default(),
        Some((key, protocol)) => {
            let entry = EntryName::only(EntryKind::ProxyDefaults);
            Spoken { protocol, origin: Some(Origin { entry, field: format!("Config.{key}") }) }
        }
    }
}

/// What the settings of all proxies say about the protocol, and by which key. Consul reads it in any case of letters.
pub(crate) fn said_in(config: &Settings) -> Option<(&String, &Value)> {
    let is = |wanted: fn(&str) -> bool| config.iter().find(|(key, _)| wanted(key));
    is(|key| key == "protocol").or_else(|| is(|key| key.eq_ignore_ascii_case("protocol")))
}

impl Default for Spoken {
    /// The protocol of a service of which nothing is said.
    fn default() -> Self {
        Self { protocol: Protocol::Tcp, origin: None }
    }
}
