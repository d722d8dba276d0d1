//! The sections of the agent itself and of the server.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use concord_model::entry::Entry;
use concord_model::{Datacenter, NodeName, Secret, Uuid};
use concord_syntax::duration;

use super::Resolver;
use crate::flags::AgentFlags;
use crate::host::Host;
use crate::raw::Raw;
use crate::section::{
    AgentSection, CHECK_OUTPUT_BYTES_MAX, CheckSection, ProxySection, QuerySection, RaftSection, Role,
    ServerSection, XdsSection,
};

/// Largest factor of the consensus timings. Beyond it, a dead leader would go unnoticed for minutes.
const RAFT_MULTIPLIER_MAX: i64 = 10;
/// Heartbeat and election timeout before the factor is applied.
const RAFT_TIMEOUT_BASE: Duration = Duration::from_secs(1);
/// Leader lease before the factor is applied.
const RAFT_LEASE_BASE: Duration = Duration::from_millis(500);
/// How often the agent checks by default whether a snapshot is due.
const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(30);
/// Shortest such interval: a shorter one would be a busy loop.
const SNAPSHOT_INTERVAL_MIN: Duration = Duration::from_millis(5);

impl Resolver<'_> {
    pub(super) fn agent(&mut self, raw: &Raw, flags: &AgentFlags, host: &Host) -> AgentSection {
        let datacenter = self.datacenter(raw);
        let data_dir = raw.data_dir.clone().filter(|dir| !dir.is_empty());
        if data_dir.is_none() && !self.dev {
            let text = "data_dir cannot be empty; give a directory with -data-dir, or start with -dev";
            self.conflict("data_dir", text);
        }
        let bind = self.bind(raw);
        let serf_lan = self.port("ports.serf_lan", raw.ports.serf_lan, 8301, flags);
        AgentSection {
            dev: self.dev,
            primary_datacenter: self.primary_datacenter(raw, &datacenter),
            datacenter,
            domain: raw.domain.clone().unwrap_or_else(|| "consul.".to_owned()),
            alt_domain: raw.alt_domain.clone().filter(|domain| !domain.is_empty()),
            node_name: self.node_name(raw, host),
            node_id: self.node_id(raw),
            node_meta: self.node_meta(raw),
            data_dir,
            advertise: self.advertise(raw, bind),
            encrypt: self.encrypt(raw),
            bind,
            serf_lan,
            checks: CheckSection {
                output_bytes_max: self.check_output(raw),
                local_script_checks: raw.runs_local_scripts(),
                ..CheckSection::plain(&raw.checks)
            },
            proxies: ProxySection::plain(&raw.proxies),
            xds: XdsSection::plain(&raw.xds),
            sidecar_ports: self.port_range(
                "sidecar",
                (raw.ports.sidecar_min_port, raw.ports.sidecar_max_port),
                (21_000, 21_255),
            ),
            expose_ports: self.port_range(
                "expose",
                (raw.ports.expose_min_port, raw.ports.expose_max_port),
                (21_500, 21_755),
            ),
            pid_file: raw.pid_file.clone().filter(|file| !file.is_empty()),
        }
    }

    fn datacenter(&mut self, raw: &Raw) -> Datacenter {
        let text = raw.datacenter.as_deref().unwrap_or("dc1").to_lowercase();
        self.named("datacenter", &text, "dc1")
    }

    /// A datacenter name. While errors are collected, an invalid one is replaced by the default.
    fn named(&mut self, key: &str, text: &str, default: &str) -> Datacenter {
        Datacenter::parse(text).unwrap_or_else(|error| {
            self.fail(key, error.to_string());
            Datacenter::parse(default).expect("the default is a name")
        })
    }

    fn primary_datacenter(&mut self, raw: &Raw, own: &Datacenter) -> Datacenter {
        let Some(text) = raw.primary_datacenter.as_deref().filter(|text| !text.is_empty()) else {
            return own.clone();
        };
        let primary = self.named("primary_datacenter", &text.to_lowercase(), own.as_str());
        if primary != *own {
            let text = "not available yet: several datacenters; leave primary_datacenter out or name our own";
            self.conflict("primary_datacenter", text);
        }
        primary
    }

    fn node_name(&mut self, raw: &Raw, host: &Host) -> NodeName {
        let given = raw.node_name.as_deref().map(str::trim).filter(|name| !name.is_empty());
        let text = given.unwrap_or(&host.hostname);
        NodeName::parse(text).unwrap_or_else(|error| {
            self.fail("node_name", format!("node_name: {error}; set it with -node"));
            NodeName::parse("node").expect("a plain word is a name")
        })
    }

    fn node_id(&mut self, raw: &Raw) -> Option<Uuid> {
        let text = raw.node_id.as_deref().filter(|text| !text.is_empty())?;
        Uuid::parse(text).map_err(|error| self.fail("node_id", format!("node_id: {error}"))).ok()
    }

    /// The key for gossip. It is checked now, so that it is valid when gossip is built.
    fn encrypt(&mut self, raw: &Raw) -> Option<Secret> {
        let key = raw.encrypt.clone().filter(|key| !key.is_empty())?;
        let size = STANDARD.decode(key.expose()).map(|bytes| bytes.len());
        let wrong = match size {
            Ok(16 | 24 | 32) => {
                self.warn("encrypt", "encrypt has no effect: agents do not talk to each other yet");
                return Some(key);
            }
            Ok(size) => format!("it is {size} bytes long, and must be 16, 24 or 32"),
            Err(_) => "it is not base64".to_owned(),
        };
        self.fail("encrypt", format!("encrypt has invalid key: {wrong}"));
        None
    }

    fn node_meta(&mut self, raw: &Raw) -> std::collections::BTreeMap<String, String> {
        for fault in concord_api::definition::check_meta("node_meta", &raw.node_meta) {
            self.fail("node_meta", fault.to_string());
        }
        raw.node_meta.clone()
    }

    fn check_output(&mut self, raw: &Raw) -> usize {
        let Some(written) = raw.check_output_max_size else { return CHECK_OUTPUT_BYTES_MAX };
        usize::try_from(written).ok().filter(|size| *size > 0).unwrap_or_else(|| {
            let text = format!("check_output_max_size must be positive, not {written}; the default is {CHECK_OUTPUT_BYTES_MAX}");
            self.fail("check_output_max_size", text);
            CHECK_OUTPUT_BYTES_MAX
        })
    }

    /// The range between `ports.<name>_min_port` and `ports.<name>_max_port`. `None`: it is turned off.
    fn port_range(
        &mut self,
        name: &str,
        (min, max): (Option<i64>, Option<i64>),
        usual: (i64, i64),
    ) -> Option<std::ops::RangeInclusive<u16>> {
        let (min_key, max_key) = (format!("ports.{name}_min_port"), format!("ports.{name}_max_port"));
        let mut number = |key: &str, written: Option<i64>, default: i64| {
            let written = written.unwrap_or(default);
            u16::try_from(written.max(0)).unwrap_or_else(|_| {
                self.fail(key, format!("{written} is not a port; use 1 to 65535, or -1 to turn it off"));
                0
            })
        };
        let min = number(&min_key, min, usual.0);
        let max = number(&max_key, max, usual.1);
        if min == 0 || max == 0 {
            return None;
        }
        if min > max {
            let text = format!("{name}_min_port {min} is above {name}_max_port {max}; swap them");
            self.conflict(&min_key, text);
        }
        Some(min..=max)
    }

    pub(super) fn server(&mut self, raw: &Raw, entries: Vec<Entry>, flags: &AgentFlags) -> ServerSection {
        let enabled = raw.server.unwrap_or(false);
        let bootstrap = self.bootstrap(raw, enabled);
        ServerSection {
            role: if enabled { Role::Server { bootstrap } } else { Role::Client },
            port: self.port("ports.server", raw.ports.server, 8300, flags),
            raft: self.raft(raw),
            entries,
            queries: QuerySection::plain(&raw.queries),
        }
    }

    /// Whether the server may form a new cluster alone. Clusters of several servers, and client agents, are not
    /// available yet.
    fn bootstrap(&mut self, raw: &Raw, server: bool) -> bool {
        let (sole, expect) = (raw.bootstrap.unwrap_or(false), raw.bootstrap_expect.unwrap_or(0));
        if !server {
            if sole {
                self.conflict("bootstrap", "'bootstrap = true' requires 'server = true'; add -server");
            }
            if expect > 0 {
                self.conflict(
                    "bootstrap_expect",
                    "'bootstrap_expect > 0' requires 'server = true'; add -server",
                );
            }
            if !sole && expect <= 0 {
                let text =
                    "not available yet: client agents; start with -dev, or with -server -bootstrap-expect=1";
                self.conflict("server", text);
            }
        }
        match expect {
            ..0 => {
                let text =
                    format!("bootstrap_expect cannot be {expect}. Must be greater than or equal to zero");
                self.fail("bootstrap_expect", text);
            }
            // 1 is the same as `bootstrap`.
            2.. if self.dev => {
                self.conflict(
                    "bootstrap_expect",
                    "'bootstrap_expect > 0' not allowed in dev mode; drop one of them",
                );
            }
            2.. if sole => {
                let text = "'bootstrap_expect > 0' and 'bootstrap = true' are mutually exclusive; keep one";
                self.conflict("bootstrap_expect", text);
            }
            2.. => {
                let text =
                    format!("not available yet: clusters of {expect} servers; use bootstrap_expect = 1");
                self.conflict("bootstrap_expect", text);
            }
            0 if server && !sole && !self.dev => {
                let text = "not available yet: joining other servers; use -bootstrap-expect=1";
                self.conflict("bootstrap_expect", text);
            }
            0 | 1 => {}
        }
        server && (self.dev || sole || expect == 1)
    }

    fn raft(&mut self, raw: &Raw) -> RaftSection {
        let written = raw.performance.raft_multiplier.unwrap_or(5);
        let factor = u32::try_from(written).ok().filter(|_| (1..=RAFT_MULTIPLIER_MAX).contains(&written));
        let factor = factor.unwrap_or_else(|| {
            let text = format!(
                "performance.raft_multiplier cannot be {written}. Must be between 1 and {RAFT_MULTIPLIER_MAX}"
            );
            self.fail("performance.raft_multiplier", text);
            5
        });
        let interval = raw.raft_snapshot_interval.filter(|interval| !interval.is_zero());
        let snapshot_interval = interval.unwrap_or(SNAPSHOT_INTERVAL);
        if snapshot_interval < SNAPSHOT_INTERVAL_MIN {
            let text = format!(
                "raft_snapshot_interval cannot be {}; it is at least 5ms, and 30s by default",
                duration::format(snapshot_interval)
            );
            self.fail("raft_snapshot_interval", text);
        }
        RaftSection {
            heartbeat_timeout: RAFT_TIMEOUT_BASE * factor,
            election_timeout: RAFT_TIMEOUT_BASE * factor,
            leader_lease: RAFT_LEASE_BASE * factor,
            snapshot_interval,
            ..RaftSection::plain(&raw.raft)
        }
    }
}
