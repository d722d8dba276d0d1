//! Endpoints of the agent itself: information about it, its members, its registrations.

use std::collections::BTreeMap;

use concord_api::agent::{AgentSelf, CheckUpdate, Member, Reloaded};
use concord_api::health::HealthCheck;
use concord_api::proxy_status::{EntryDelivery, ProxyStatuses};
use concord_api::service::AgentService;
use concord_model::Secret;
use http::Method;
use serde::Serialize;

use crate::Client;
use crate::call::Call;
use crate::error::Error;
use crate::pieces::Pieces;
use crate::query::{Answer, QueryOptions};

/// Reports for a TTL check that have their own endpoints.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TtlVerdict {
    /// The service is healthy.
    Pass,
    /// The service needs attention.
    Warn,
    /// The service must not be used.
    Fail,
}

/// It has no `Debug`, because it holds a secret.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AgentToken<'a> {
    token: &'a str,
}

impl TtlVerdict {
    fn segment(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// A request about a maintenance mode.
fn maintenance<'a>(call: Call<'a>, enable: bool, reason: &str) -> Call<'a> {
    let call = call.parameter("enable", enable.to_string());
    if reason.is_empty() { call } else { call.parameter("reason", reason) }
}

impl Client {
    /// Information about the agent.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn agent_self(&self, options: &QueryOptions) -> Result<Answer<AgentSelf>, Error> {
        self.get(&["agent", "self"], options).fetch().await
    }

    /// Follows the agent's log; lines of this level and above.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn agent_monitor(
        &self,
        level: &str,
        json: bool,
        options: &QueryOptions,
    ) -> Result<Pieces, Error> {
        let mut call = self.get(&["agent", "monitor"], options).parameter("loglevel", level);
        if json {
            call = call.parameter("logjson", "");
        }
        call.follow().await
    }

    /// The proxies that are attached to the agent; `only`: the one with this id.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn agent_proxies(
        &self,
        only: Option<&str>,
        options: &QueryOptions,
    ) -> Result<Answer<ProxyStatuses>, Error> {
        let call = self.get(&["agent", "proxies"], options);
        only.into_iter().fold(call, |call, id| call.parameter("proxy-id", id)).fetch().await
    }

    /// How far an entry came with the proxies that are attached to the agent.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn agent_proxies_entry(
        &self,
        kind: &str,
        name: &str,
        options: &QueryOptions,
    ) -> Result<Answer<EntryDelivery>, Error> {
        self.get(&["agent", "proxies", "entry", kind, name], options).fetch().await
    }

    /// Members of the agent's gossip pool, or of the pool between datacenters. `segment` is empty for the agent's
    /// own.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn agent_members(
        &self,
        wan: bool,
        segment: &str,
        options: &QueryOptions,
    ) -> Result<Answer<Vec<Member>>, Error> {
        let mut call = self.get(&["agent", "members"], options);
        if wan {
            call = call.parameter("wan", "1");
        }
        if !segment.is_empty() {
            call = call.parameter("segment", segment);
        }
        call.fetch::<Option<_>>().await.map(Answer::or_empty)
    }

    /// Makes the agent leave its cluster and stop.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn agent_leave(&self, options: &QueryOptions) -> Result<(), Error> {
        self.put(&["agent", "leave"], options).done().await
    }

    /// Makes the agent read its configuration files again. Returns which changes are in force.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn agent_reload(&self, options: &QueryOptions) -> Result<Reloaded, Error> {
        let reply = self.put(&["agent", "reload"], options).send().await?;
        // Consul returns no body.
        if reply.body.is_empty() { Ok(Reloaded::default()) } else { Ok(reply.decode()?.value) }
    }

    /// Changes one of the agent's own tokens, by its name in the API. An empty token removes it.
    ///
    /// # Errors
    /// Any [`Error`]; 401 without ACLs.
    pub async fn agent_token_set(
        &self,
        kind: &str,
        token: &Secret,
        options: &QueryOptions,
    ) -> Result<(), Error> {
        let body = AgentToken { token: token.expose() };
        self.put(&["agent", "token", kind], options).json(&body).done().await
    }

    /// The agent's own services by id.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn agent_services(
        &self,
        options: &QueryOptions,
    ) -> Result<Answer<BTreeMap<String, AgentService>>, Error> {
        self.get(&["agent", "services"], options).fetch().await
    }

    /// One of the agent's services. Hash-based blocking: pass the options through [`QueryOptions::after`] to wait for
    /// the next change.
    ///
    /// # Errors
    /// Any [`Error`]; 404 if there is none.
    pub async fn agent_service(
        &self,
        id: &str,
        options: &QueryOptions,
    ) -> Result<Answer<AgentService>, Error> {
        self.get(&["agent", "service", id], options).fetch().await
    }

    /// Registers a service: a definition in either key style.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn service_register(
        &self,
        definition: &(impl Serialize + ?Sized),
        replace_existing_checks: bool,
        options: &QueryOptions,
    ) -> Result<(), Error> {
        let mut call = self.put(&["agent", "service", "register"], options).json(definition);
        if replace_existing_checks {
            call = call.parameter("replace-existing-checks", "true");
        }
        call.done().await
    }

    /// Deregisters a service and the sidecar that was registered with it.
    ///
    /// # Errors
    /// Any [`Error`]; 404 if there is none.
    pub async fn service_deregister(&self, id: &str, options: &QueryOptions) -> Result<(), Error> {
        self.put(&["agent", "service", "deregister", id], options).done().await
    }

    /// The agent's own checks by id.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn agent_checks(
        &self,
        options: &QueryOptions,
    ) -> Result<Answer<BTreeMap<String, HealthCheck>>, Error> {
        self.get(&["agent", "checks"], options).fetch().await
    }

    /// Begins or ends maintenance mode of the node.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn agent_maintenance(
        &self,
        enable: bool,
        reason: &str,
        options: &QueryOptions,
    ) -> Result<(), Error> {
        maintenance(self.put(&["agent", "maintenance"], options), enable, reason).done().await
    }

    /// Begins or ends maintenance mode of one of the agent's services.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn service_maintenance(
        &self,
        id: &str,
        enable: bool,
        reason: &str,
        options: &QueryOptions,
    ) -> Result<(), Error> {
        maintenance(self.put(&["agent", "service", "maintenance", id], options), enable, reason).done().await
    }

    /// Registers a check: a definition in either key style.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn check_register(
        &self,
        definition: &(impl Serialize + ?Sized),
        options: &QueryOptions,
    ) -> Result<(), Error> {
        self.put(&["agent", "check", "register"], options).json(definition).done().await
    }

    /// Deregisters a check.
    ///
    /// # Errors
    /// Any [`Error`]; 404 if there is none.
    pub async fn check_deregister(&self, id: &str, options: &QueryOptions) -> Result<(), Error> {
        self.put(&["agent", "check", "deregister", id], options).done().await
    }

    /// Reports a status for a TTL check, with a note that becomes its output.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn check_ttl(
        &self,
        id: &str,
        verdict: TtlVerdict,
        note: &str,
        options: &QueryOptions,
    ) -> Result<(), Error> {
        let mut call = self.put(&["agent", "check", verdict.segment(), id], options);
        if !note.is_empty() {
            call = call.parameter("note", note);
        }
        call.done().await
    }

    /// Reports a TTL check with its status and output.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn check_update(
        &self,
        id: &str,
        update: &CheckUpdate,
        options: &QueryOptions,
    ) -> Result<(), Error> {
        self.put(&["agent", "check", "update", id], options).json(update).done().await
    }

    /// Address of the leader, empty if there is none.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn status_leader(&self, options: &QueryOptions) -> Result<Answer<String>, Error> {
        self.get(&["status", "leader"], options).fetch().await
    }

    /// Addresses of the voting servers.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn status_peers(&self, options: &QueryOptions) -> Result<Answer<Vec<String>>, Error> {
        self.call(Method::GET, &["status", "peers"]).options(options).fetch().await
    }
}
