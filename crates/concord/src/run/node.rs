//! The node's identity for others: its id, its address, its metadata.

use std::collections::BTreeMap;
use std::net::{IpAddr, UdpSocket};

use concord_config::Host;
use concord_config::section::Config;
use concord_model::Uuid;
use concord_runtime::World;

use super::interfaces;
use crate::cli::{CONSUL_LEVEL, Failure};

/// The facts about the machine that configuration may use.
pub(crate) fn host() -> Host {
    Host {
        hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        interfaces: interfaces::of_machine(),
    }
}

/// The node's permanent id: configured, stored in the data directory, or generated now.
pub(super) fn id(config: &Config, world: &World) -> Result<Uuid, Failure> {
    const FILE: &str = "node-id";
    if let Some(id) = config.agent.node_id {
        return Ok(id);
    }
    let failed = |error: &dyn std::fmt::Display| Failure::input(format!("{FILE}: {error}"));
    if world.disk.exists(FILE).map_err(|error| failed(&error))? {
        let bytes = world.disk.read(FILE).map_err(|error| failed(&error))?;
        return Uuid::parse(String::from_utf8_lossy(&bytes).trim()).map_err(|error| failed(&error));
    }
    let mut bits = [0u8; 16];
    world.entropy.fill(&mut bits);
    let id = Uuid(bits);
    world.disk.write_atomic(FILE, id.to_string().as_bytes()).map_err(|error| failed(&error))?;
    Ok(id)
}

/// The address that others are told: configured, or the address from which this machine reaches others.
pub(super) fn address(config: &Config) -> String {
    let agent = &config.agent;
    let specific = Some(agent.bind).filter(|bind| !bind.is_unspecified());
    let found = || {
        // This sends nothing: connecting a datagram socket only looks up the route.
        let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
        socket.connect("192.0.2.1:9").ok()?;
        socket.local_addr().ok().map(|address| address.ip())
    };
    let address = agent.advertise.or(specific).or_else(found).unwrap_or_else(|| IpAddr::from([127, 0, 0, 1]));
    address.to_string()
}

/// The node's address under the names that Consul uses.
pub(super) fn tagged_addresses(address: &str) -> BTreeMap<String, String> {
    let tags = match address.parse() {
        Ok(IpAddr::V6(_)) => ["lan", "lan_ipv6", "wan", "wan_ipv6"],
        Ok(IpAddr::V4(_)) | Err(_) => ["lan", "lan_ipv4", "wan", "wan_ipv4"],
    };
    tags.map(|tag| (tag.to_owned(), address.to_owned())).into()
}

/// The node's metadata: the configured pairs, and those that Consul's tools expect.
pub(super) fn meta(config: &Config) -> BTreeMap<String, String> {
    let mut meta = config.agent.node_meta.clone();
    meta.insert("consul-version".to_owned(), CONSUL_LEVEL.to_owned());
    // There are no network segments; an empty value says so.
    meta.insert("consul-network-segment".to_owned(), String::new());
    meta
}

#[cfg(test)]
mod tests {
    use concord_config::AgentFlags;

    use super::*;

    #[test]
    fn a_nodes_id_is_made_at_random_and_kept() {
        let config = |id: Option<&str>| {
            let flags = AgentFlags { dev: true, node_id: id.map(str::to_owned), ..AgentFlags::default() };
            let host = Host { hostname: "the-same".to_owned(), ..Host::default() };
            concord_config::load(&[], &flags, &host).expect("it can be started with").config
        };
        let (one, other) = (World::tokio(), World::tokio());
        let made =
            |id: Option<&str>, world: &World| super::id(&config(id), world).expect("an id").to_string();
        let id = made(None, &one);
        assert_eq!(made(None, &one), id, "it is kept");
        assert_ne!(made(None, &other), id, "the host has no part in it");
        let own = "11111111-0000-4000-8000-000000000001";
        assert_eq!(made(Some(own), &one), own);
    }

    #[test]
    fn programs_find_the_keys_in_a_nodes_metadata_that_they_look_for() {
        let flags = AgentFlags { dev: true, ..AgentFlags::default() };
        let loaded = concord_config::load(&[], &flags, &host()).expect("it can be started with");
        let found = meta(&loaded.config);
        assert_eq!(found["consul-network-segment"], "");
        assert!(found.contains_key("consul-version"));
    }

    #[test]
    fn a_nodes_address_is_tagged_by_its_kind() {
        let tags = |address: &str| tagged_addresses(address).into_keys().collect::<Vec<_>>();
        assert_eq!(tags("10.0.0.1"), ["lan", "lan_ipv4", "wan", "wan_ipv4"]);
        assert_eq!(tags("2001:db8::1"), ["lan", "lan_ipv6", "wan", "wan_ipv6"]);
    }
}
