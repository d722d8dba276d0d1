//! SIGHUP, `reload` and PUT agent/reload: the configuration is read again, and everything that can change is applied.
//!
//! No table lists what can change. Each part of the program gets its own settings. The settings that it applies are
//! in force, and only these are reported as reloaded. All other differences need a restart, and are reported as such.

use std::sync::Arc;

use concord_agent::Agent;
use concord_api::agent::Reloaded;
use concord_config::section::{
    AclSection, AgentSection, Config, DnsSection, HttpSection, LogSection, RaftSection, ServerSection,
    TelemetrySection,
};
use concord_config::{Host, changed};
use concord_dns::Answerer;
use concord_front::http::Ctx;
use concord_front::http::listener::Http;
use concord_model::Timestamp;
use concord_rpc::RpcError;
use concord_runtime::Clock;
use concord_server::Server;
use tracing::{error, info, warn};

use super::settings::{Listening, debug_config, dns_settings, live_settings};
use super::telemetry::Metrics;
use super::tls::{Presenting, Read, text};
use super::{logs, node};
use crate::cli::agent::configuration::{self, Configuration};
use crate::cli::{Failure, Invocation};

/// The command line, from which the configuration is read at the start and on each reload.
#[derive(Debug)]
pub(super) struct AgentCommand<'a> {
    pub(super) call: &'a Invocation<'a>,
    pub(super) host: Host,
}

impl AgentCommand<'_> {
    /// Reads and checks the configuration. Reports all errors at once.
    pub(super) fn load(&self) -> Result<Configuration, Failure> {
        configuration::read(&self.call.values, &self.host)
    }
}

/// The running parts, and the configuration that they use.
#[derive(Debug)]
pub(super) struct Running {
    /// The configuration of the start, with the changes that reloads have applied.
    pub(super) in_force: Config,
    pub(super) agent: Agent,
    pub(super) server: Server,
    pub(super) http: Arc<Http<Ctx>>,
    pub(super) dns: Arc<Answerer>,
    pub(super) presenting: Presenting,
    pub(super) metrics: Option<Arc<Metrics>>,
    pub(super) listening: Listening,
    pub(super) clock: Arc<dyn Clock>,
}

impl Running {
    /// Reads the configuration again. If it is invalid, nothing changes.
    pub(super) async fn reload(&mut self, command: &AgentCommand<'_>) -> Result<Reloaded, RpcError> {
        let Configuration { loaded, .. } = command.load().map_err(|failure| {
            let text = failure.cause();
            warn!(%text, "the configuration was not reloaded");
            RpcError::Invalid(text)
        })?;
        for warning in &loaded.warnings {
            warn!("{warning}");
        }
        let before = self.in_force.clone();
        let mut renewed = Vec::new();
        let outcome = self.take(&loaded.config, &mut renewed).await;
        let mut reloaded = changed(&before, &self.in_force);
        // Files with the same names but new content.
        renewed.retain(|block| !reloaded.iter().any(|key| key.starts_with(block)));
        reloaded.extend(renewed);
        let after_restart = changed(&self.in_force, &loaded.config);
        for key in &reloaded {
            info!(key, "reloaded");
        }
        if let Err(error) = outcome {
            error!(%error, "the configuration was not reloaded as a whole");
            return Err(error);
        }
        for key in &after_restart {
            warn!(key, "changed in the configuration, but takes effect only after a restart");
        }
        let owned = |keys: Vec<&str>| keys.into_iter().map(str::to_owned).collect();
        Ok(Reloaded { reloaded: owned(reloaded), after_restart: owned(after_restart) })
    }

    /// Gives each part its own settings. Steps that may fail come first, so that a failure changes nothing.
    async fn take(&mut self, read: &Config, renewed: &mut Vec<&'static str>) -> Result<(), RpcError> {
        let Config { agent, server, http, https, tls, acl, telemetry, log, definitions, dns, .. } = read;
        let AgentSection { node_meta: meta, .. } = agent;
        let ServerSection { entries, raft, .. } = server;
        let RaftSection { snapshot_threshold, snapshot_interval, .. } = raft;
        let AclSection { tokens, .. } = acl;
        let HttpSection { connections_per_client_max, .. } = http;
        let (LogSection { level, .. }, TelemetrySection { filter, .. }) = (log, telemetry);

        let now = Timestamp::from_nanos(self.clock.wall_nanos());
        let presented = Read::files(read, now).map_err(|faults| RpcError::Invalid(text(&faults)))?;
        self.agent.reloads.definitions(definitions).await?;
        self.in_force.definitions = definitions.clone();
        renewed.extend(self.presenting.take(presented, read));
        self.in_force.tls = tls.clone();
        self.presenting.https.limit_handshakes(https.handshake_timeout);
        self.in_force.https.handshake_timeout = https.handshake_timeout;
        self.agent.own_tokens.reload(tokens.clone()).await;
        self.in_force.acl.tokens = tokens.clone();
        self.http.limit_connections_per_client(*connections_per_client_max);
        self.in_force.http.connections_per_client_max = *connections_per_client_max;
        // Addresses and port stay.
        let DnsSection { addresses, port, asked_for, .. } = self.in_force.dns.clone();
        self.in_force.dns = DnsSection { addresses, port, asked_for, ..dns.clone() };
        self.dns.configure(dns_settings(&self.in_force, &self.listening.dns));
        if let Some(metrics) = &self.metrics {
            metrics.reload(filter.clone());
            self.in_force.telemetry.filter = filter.clone();
        }
        self.in_force.log.level = logs::set_level(self.in_force.log.level, *level);

        self.server.plan_snapshots(*snapshot_threshold, *snapshot_interval);
        self.in_force.server.raft.snapshot_threshold = *snapshot_threshold;
        self.in_force.server.raft.snapshot_interval = *snapshot_interval;

        // The agent and the server both write the node to the catalog, so they must use the same metadata.
        let written = self.server.reload(live_settings(read)).await;
        self.in_force.agent.node_meta = meta.clone();
        if written.is_ok() {
            self.in_force.server.entries = entries.clone();
        }
        let shown = debug_config(&self.in_force, &self.listening);
        self.agent.reloads.node(node::meta(&self.in_force), shown);
        written
    }
}
