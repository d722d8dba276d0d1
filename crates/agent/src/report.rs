//! What the agent reports about itself: `agent/self` and `agent/members`.

use std::collections::BTreeMap;
use std::sync::Arc;

use concord_acl::{Labelled, Level, Right};
use concord_api::agent::{AgentSelf, Member, MemberStatus, SelfConfig, SelfXds, XdsPorts};
use concord_rpc::{Caller, RpcError};

use crate::answer::Listed;
use crate::cache::Cache;
use crate::config::{About, AgentConfig};
use crate::local::LocalView;
use crate::site::Site;

/// Reports the agent itself.
#[derive(Clone, Debug)]
pub struct SelfReport {
    pub(crate) site: Site,
    pub(crate) local: LocalView,
    pub(crate) cache: Arc<Cache>,
}

impl SelfReport {
    /// `agent/self`. Needs `agent:read` on the node.
    pub fn about(&self, caller: &Caller) -> Result<AgentSelf, RpcError> {
        let config = &*self.site.now();
        caller.require(&Right::named(Labelled::Agent, config.node.as_str(), Level::Read))?;
        let AgentConfig { node, node_id, datacenter, primary_datacenter, meta, about, .. } = config;
        Ok(AgentSelf {
            config: SelfConfig {
                datacenter: datacenter.to_string(),
                primary_datacenter: primary_datacenter.as_ref().unwrap_or(datacenter).to_string(),
                node_name: node.to_string(),
                node_id: node_id.map(|id| id.to_string()).unwrap_or_default(),
                revision: about.revision.clone(),
                server: about.role.is_server(),
                version: about.version.clone(),
                build_date: about.build_date.clone(),
            },
            debug_config: about.debug_config.clone(),
            coord: None,
            member: member(config),
            stats: self.stats(about),
            meta: meta.clone(),
            xds: xds(about),
        })
    }

    /// `agent/members`: the members of the gossip pool that the caller may see. A single server is a pool of one.
    pub fn members(&self, caller: &Caller) -> Listed<Vec<Member>> {
        let config = &*self.site.now();
        let sees = caller.sees().node(&config.node);
        let value = if sees { vec![member(config)] } else { Vec::new() };
        Listed { value, filtered: !sees }
    }

    fn stats(&self, about: &About) -> BTreeMap<String, BTreeMap<String, String>> {
        let (services, checks) = self.local.look(|local| (local.services.len(), local.checks.len()));
        let (entries, bytes) = self.cache.load();
        let counts = |pairs: &[(&str, usize)]| {
            pairs.iter().map(|(name, count)| ((*name).to_owned(), count.to_string())).collect()
        };
        let texts = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
        };
        let build = texts(&[
            ("version", &about.version),
            ("revision", &about.revision),
            ("build_date", &about.build_date),
        ]);
        let threads = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let runtime = texts(&[
            ("os", std::env::consts::OS),
            ("arch", std::env::consts::ARCH),
            ("cpu_count", &threads.to_string()),
        ]);
        BTreeMap::from([
            ("agent".to_owned(), counts(&[("services", services), ("checks", checks)])),
            ("build".to_owned(), build),
            ("runtime".to_owned(), runtime),
            ("cache".to_owned(), counts(&[("entries", entries), ("bytes", bytes)])),
        ])
    }
}

fn xds(about: &About) -> Option<SelfXds> {
    let ports = XdsPorts { plaintext: about.grpc_port, tls: about.grpc_tls_port };
    let port = if ports.tls > 0 { ports.tls } else { ports.plaintext };
    let envoy = about.envoy_versions.clone();
    (port > 0).then(|| SelfXds {
        supported_proxies: BTreeMap::from([("envoy".to_owned(), envoy)]),
        port,
        ports,
    })
}

/// The agent as a member of its pool, with the tags that Consul's clients read.
fn member(config: &AgentConfig) -> Member {
    let about = &config.about;
    let mut tags = BTreeMap::from([
        ("dc".to_owned(), config.datacenter.to_string()),
        ("role".to_owned(), if about.role.is_server() { "consul" } else { "node" }.to_owned()),
        ("build".to_owned(), format!("{}:{}", about.version, about.revision)),
        ("id".to_owned(), config.node_id.map(|id| id.to_string()).unwrap_or_default()),
        ("segment".to_owned(), String::new()),
        ("vsn".to_owned(), "2".to_owned()),
        ("vsn_min".to_owned(), "2".to_owned()),
        ("vsn_max".to_owned(), "3".to_owned()),
    ]);
    if about.role.is_server() {
        tags.insert("port".to_owned(), about.server_port.to_string());
        tags.insert("raft_vsn".to_owned(), "3".to_owned());
        tags.insert("acls".to_owned(), if config.acl.enabled { "1" } else { "0" }.to_owned());
        tags.insert("grpc_port".to_owned(), about.grpc_port.to_string());
        tags.insert("grpc_tls_port".to_owned(), about.grpc_tls_port.to_string());
        if about.role.may_bootstrap() {
            tags.insert("bootstrap".to_owned(), "1".to_owned());
        }
    }
    Member {
        name: config.node.to_string(),
        addr: config.address.clone(),
        port: about.serf_port,
        tags,
        status: MemberStatus::Alive as u8,
        protocol_min: 1,
        protocol_max: 5,
        protocol_cur: 2,
        delegate_min: 2,
        delegate_max: 5,
        delegate_cur: 4,
    }
}
