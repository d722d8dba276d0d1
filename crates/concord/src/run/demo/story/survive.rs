//! Steps that a mesh must survive while requests flow: a new root, and a crash of the agent.

use std::collections::{BTreeMap, BTreeSet};

use concord_api::intention::Intention;
use concord_api::service::AgentService;
use concord_client::QueryOptions;
use serde_json::json;

use super::super::limits::TRAFFIC_LEAST;
use super::super::log::Event;
use super::super::teller::seconds;
use super::super::traffic::{Flowed, Traffic};
use super::super::trouble::Trouble;
use super::start::shown;
use super::{AGENT, Mesh, Story};

impl Story<'_> {
    /// Replaces the root by one with another kind of key. Both sidecars follow, and no request fails.
    pub(super) async fn rotate(&mut self, mesh: &mut Mesh) -> Result<(), Trouble> {
        self.teller.step("The root of the certificate authority is rotated while requests flow")?;
        let (old, _, _) = self.active_root().await?;
        let traffic = Traffic::start(mesh.web, mesh.upstream, &self.scope).await?;
        traffic.more(TRAFFIC_LEAST).await?;
        mesh.api_log.skip()?;
        mesh.web_log.skip()?;
        let began = self.clock.now();
        let wanted =
            json!({ "Provider": "consul", "Config": { "PrivateKeyType": "ec", "PrivateKeyBits": 384 } });
        let changed = self.client.ca_config_set(&wanted, &QueryOptions::default()).await;
        changed.map_err(Trouble::api("change the certificate authority's configuration"))?;
        let (new, roots, _) = self.active_root().await?;
        if new.id == old.id {
            let seen = "the same as before".to_owned();
            return Err(Trouble::Differs { what: "the active root", expected: "another".to_owned(), seen });
        }
        let key = new.signing_key_id.as_str();
        let of_web = |event: &Event| event.is("connection decided") && event.text("authority") == key;
        let of_api = |event: &Event| event.is("upstream reached") && event.text("authority") == key;
        mesh.api_log.find(&*self.clock, "a certificate of web under the new root", of_web).await?;
        mesh.web_log.find(&*self.clock, "a certificate of api under the new root", of_api).await?;
        let took = seconds(self.clock.now() - began);
        traffic.more(TRAFFIC_LEAST).await?;
        let flowed = traffic.stop().await?;
        self.teller.fact("was", shown(&old))?;
        self.teller.fact("is", shown(&new))?;
        self.teller.fact("published", format_args!("{roots} roots, so that nobody is left behind"))?;
        self.teller.fact(
            "both sidecars",
            format_args!("saw the other's certificate of the new root within {took}"),
        )?;
        self.tell_flow(flowed)?;
        self.teller.done()
    }

    /// Kills the agent and starts it again with all its data. Requests flow meanwhile.
    pub(super) async fn kill(&mut self, mesh: &mut Mesh) -> Result<(), Trouble> {
        self.teller.step("The agent is killed (SIGKILL) and started again while requests flow")?;
        let before = self.known().await?;
        let traffic = Traffic::start(mesh.web, mesh.upstream, &self.scope).await?;
        traffic.more(TRAFFIC_LEAST).await?;
        if let Some(child) = self.part(AGENT).child.take() {
            let status = child.kill().await?;
            self.teller.fact("agent", format_args!("ended by {status}"))?;
        }
        let gone = self.clock.now();
        self.is_away().await?;
        let at = traffic.passed();
        traffic.more(TRAFFIC_LEAST).await?;
        self.is_away().await?;
        self.teller.fact("without agent", format_args!("{} requests answered", traffic.passed() - at))?;
        self.start_again(AGENT).await?;
        let back = seconds(self.clock.now() - gone);
        self.teller.fact("agent", format_args!("back after {back}; a consistent read succeeds"))?;
        let after = self.known().await?;
        Trouble::unless_same("what the agent knows after its restart", &before, &after)?;
        traffic.more(TRAFFIC_LEAST).await?;
        let flowed = traffic.stop().await?;
        let Known { services, catalog, intentions, .. } = after;
        let (services, catalog, intentions) = (services.len(), catalog.len(), intentions.len());
        let kept = format!(
            "{services} registrations, {catalog} names in the catalog, {intentions} intention, the root"
        );
        self.teller.fact("still there", kept)?;
        self.tell_flow(flowed)?;
        self.rules_again(mesh).await?;
        self.teller.done()
    }

    /// The restarted agent decides again: a denial reaches the sidecar, and so does its removal.
    async fn rules_again(&mut self, mesh: &Mesh) -> Result<(), Trouble> {
        let began = self.clock.now();
        self.decide("deny").await?;
        self.ask_until(mesh, "a refusal", Result::is_err).await?.err();
        let denied = seconds(self.clock.now() - began);
        self.decide("allow").await?;
        self.ask_until(mesh, "an answer through the mesh", Result::is_ok)
            .await?
            .map_err(Trouble::request("web"))?;
        self.teller
            .fact("it rules again", format_args!("a deny took hold in {denied}, and an allow after it"))
    }

    fn tell_flow(&mut self, flowed: Flowed) -> Result<(), Trouble> {
        let Flowed { fresh, kept, slowest } = flowed;
        let slowest = seconds(slowest);
        let fact = format!("{fresh} on new connections, {kept} on a kept one: 0 failed, slowest {slowest}");
        self.teller.fact("requests", fact)
    }

    /// Returns an error if the API still answers.
    async fn is_away(&self) -> Result<(), Trouble> {
        match self.client.status_leader(&QueryOptions::default()).await {
            Err(concord_client::Error::Connect { .. }) => Ok(()),
            answer => Err(Trouble::Differs {
                what: "the API of a killed agent",
                expected: "nobody there".to_owned(),
                seen: format!("{answer:?}"),
            }),
        }
    }

    /// The data that the agent must not lose.
    async fn known(&self) -> Result<Known, Trouble> {
        let options = QueryOptions::default();
        let services =
            self.client.agent_services(&options).await.map_err(Trouble::api("list the services"))?;
        let catalog =
            self.client.catalog_services(&options).await.map_err(Trouble::api("list the catalog"))?;
        let intentions =
            self.client.intentions(&options).await.map_err(Trouble::api("list the intentions"))?;
        let (root, _, trust_domain) = self.active_root().await?;
        Ok(Known {
            services: services.value,
            catalog: catalog.value.into_keys().collect(),
            intentions: intentions.value,
            root: root.id,
            trust_domain,
        })
    }
}

/// The data that the agent must not lose.
#[derive(Debug, PartialEq)]
struct Known {
    /// The services registered with the agent.
    services: BTreeMap<String, AgentService>,
    /// Service names in the catalog.
    catalog: BTreeSet<String>,
    /// With the indexes of their writes.
    intentions: Vec<Intention>,
    root: String,
    trust_domain: String,
}
