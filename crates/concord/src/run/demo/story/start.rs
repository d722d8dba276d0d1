//! The first steps: the agent, the services with their sidecars, and the first request.

use std::fs;
use std::net::SocketAddr;

use concord_api::connect::Root;
use concord_client::QueryOptions;
use serde_json::{Value, json};

use super::super::limits::ROTATION_JITTER;
use super::super::log::LogReader;
use super::super::part;
use super::super::trouble::Trouble;
use super::{AGENT, API, API_SIDECAR, Mesh, Story, WEB, WEB_SIDECAR};
use crate::cli::OWN_VERSION;

/// No service may call another without an intention.
const CONFIGURATION: &str = "default_intention_policy = \"deny\"\n";

impl Story<'_> {
    /// Starts everything until the mesh runs.
    pub(super) async fn start(&mut self) -> Result<Mesh, Trouble> {
        let (trust_domain, datacenter) = self.start_agent().await?;
        self.start_services(trust_domain, datacenter).await
    }

    async fn start_agent(&mut self) -> Result<(String, String), Trouble> {
        self.teller.step("The agent starts: a server with its state on disk, and a certificate authority")?;
        let file = self.place.file("demo.hcl");
        fs::write(&file, CONFIGURATION).map_err(Trouble::system("write the agent's configuration"))?;
        let words = vec![
            "agent".to_owned(),
            "-server".to_owned(),
            "-bootstrap-expect=1".to_owned(),
            "-node=demo".to_owned(),
            format!("-data-dir={}", self.place.file("data").display()),
            "-bind=127.0.0.1".to_owned(),
            "-client=127.0.0.1".to_owned(),
            format!("-http-port={}", self.ports.http),
            format!("-grpc-port={}", self.ports.grpc),
            format!("-config-file={}", file.display()),
            format!("-ready-file={}", self.ready_file(AGENT)),
            "-log-json".to_owned(),
        ];
        let bound = self.start_part(AGENT, words).await?;
        let about = self.client.agent_self(&QueryOptions::default()).await;
        let about = about.map_err(Trouble::api("ask the agent about itself"))?.value;
        let (root, _, trust_domain) = self.active_root().await?;
        self.teller.fact("HTTP API", format_args!("{}, version {OWN_VERSION}", self.client.address()))?;
        self.teller.fact("gRPC for sidecars", joined(&bound["grpc"]))?;
        let node = &about.config;
        self.teller.fact("node", format_args!("{}, datacenter {}", node.node_name, node.datacenter))?;
        self.teller.fact("root certificate", shown(&root))?;
        self.teller.done()?;
        Ok((trust_domain, about.config.datacenter))
    }

    async fn start_services(&mut self, trust_domain: String, datacenter: String) -> Result<Mesh, Trouble> {
        self.teller.step("Two services join, each behind a sidecar; one intention lets web call api")?;
        let upstream = SocketAddr::from(([127, 0, 0, 1], self.ports.upstream));
        let api = self.start_service(API, None).await?;
        let web = self.start_service(WEB, Some(upstream)).await?;
        let none = json!([]);
        let to_api = json!([{ "DestinationName": API, "LocalBindPort": upstream.port() }]);
        self.register(API, api, self.ports.api_sidecar, &none).await?;
        self.register(WEB, web, self.ports.web_sidecar, &to_api).await?;
        self.decide("allow").await?;
        self.start_sidecar(API, API_SIDECAR).await?;
        self.start_sidecar(WEB, WEB_SIDECAR).await?;
        self.teller.fact("intention", "web => api: allow. Anything else: deny, by default")?;
        self.teller.done()?;
        let log = |name: &str| LogReader::new(self.place.file(&format!("{name}.log")));
        let (web_log, api_log) = (log(WEB_SIDECAR), log(API_SIDECAR));
        Ok(Mesh { web, api, upstream, web_log, api_log, trust_domain, datacenter })
    }

    async fn start_service(
        &mut self,
        name: &'static str,
        upstream: Option<SocketAddr>,
    ) -> Result<SocketAddr, Trouble> {
        let mut words = vec![part::SERVICE.to_owned(), name.to_owned(), self.ready_file(name)];
        words.extend(upstream.map(|address| address.to_string()));
        let bound = self.start_part(name, words).await?;
        let address = bound["address"].as_str().unwrap_or_default();
        address.parse().map_err(|_| Trouble::Differs {
            what: "the address a service tells",
            expected: "address:port".to_owned(),
            seen: bound.to_string(),
        })
    }

    /// Registers a service with its sidecar, as any definition does.
    async fn register(
        &self,
        name: &str,
        at: SocketAddr,
        sidecar: u16,
        upstreams: &Value,
    ) -> Result<(), Trouble> {
        // The checks begin as passing. With the default (critical until the first run), the mesh would wait for them
        // now and again after the agent's restart.
        let listens = |what: &str, port: u16| {
            json!({
                "Name": format!("{what} listens"),
                "TCP": format!("127.0.0.1:{port}"),
                "Interval": "10s",
                "Status": "passing",
            })
        };
        let definition = json!({
            "Name": name,
            "Address": "127.0.0.1",
            "Port": at.port(),
            "Check": listens(name, at.port()),
            "Connect": { "SidecarService": {
                "Port": sidecar,
                "Proxy": { "Upstreams": upstreams },
                "Check": listens(&format!("{name}'s sidecar"), sidecar),
            } },
        });
        let registered = self.client.service_register(&definition, false, &QueryOptions::default()).await;
        registered.map_err(Trouble::api("register a service"))
    }

    async fn start_sidecar(&mut self, service: &'static str, name: &'static str) -> Result<(), Trouble> {
        let words = vec![
            "connect".to_owned(),
            "proxy".to_owned(),
            format!("-sidecar-for={service}"),
            format!("-http-addr={}", self.client.address()),
            format!("-ready-file={}", self.ready_file(name)),
            format!("-rotation-jitter={}ms", ROTATION_JITTER.as_millis()),
            "-log-json".to_owned(),
        ];
        let bound = self.start_part(name, words).await?;
        let public = bound["public"].as_str().unwrap_or_default();
        let mut fact = format!("its sidecar takes the mesh at {public}");
        if let Some(upstreams) = bound["upstreams"].as_object().filter(|all| !all.is_empty()) {
            let at: Vec<&str> = upstreams.values().filter_map(Value::as_str).collect();
            fact.push_str(&format!(", connections to api at {}", at.join(", ")));
        }
        self.teller.fact(service, fact)
    }

    /// Writes the intention from web to api.
    pub(super) async fn decide(&self, action: &str) -> Result<(), Trouble> {
        let body = json!({ "Action": action });
        let written = self.client.intention_write(WEB, API, &body, &QueryOptions::default()).await;
        written.map_err(Trouble::api("write the intention"))
    }

    /// Sends one request, and prints what both sidecars log about it.
    pub(super) async fn request(&mut self, mesh: &mut Mesh) -> Result<(), Trouble> {
        self.teller.step("web asks api; the connection between them is mutual TLS")?;
        // The first request may have to wait until the sidecars know of each other.
        self.ask_until(mesh, "an answer through the mesh", Result::is_ok)
            .await?
            .map_err(Trouble::request("web"))?;
        mesh.api_log.skip()?;
        mesh.web_log.skip()?;
        let heard = super::get(mesh.web, "/", &self.scope).await.map_err(Trouble::request("web"))?;
        let of_web =
            mesh.api_log.find(&*self.clock, "a decision", |event| event.is("connection decided")).await?;
        let of_api =
            mesh.web_log.find(&*self.clock, "an identity", |event| event.is("upstream reached")).await?;
        let (web, api) = (of_web.text("identity").to_owned(), of_api.text("identity").to_owned());
        Trouble::unless_same("the identity api's sidecar saw", &mesh.identity(WEB), &web)?;
        Trouble::unless_same("the identity web's sidecar saw", &mesh.identity(API), &api)?;
        Trouble::unless_same("the verdict", &"allow", &of_web.text("verdict"))?;
        self.teller.fact("answer", format_args!("\"{heard}\""))?;
        self.teller.fact("api's sidecar saw", web)?;
        self.teller.fact("web's sidecar saw", api)?;
        self.teller.fact("verdict", format_args!("{}: {}", of_web.text("verdict"), of_web.text("rule")))?;
        self.teller.done()
    }
}

/// A short form of a root that tells it from others.
pub(super) fn shown(root: &Root) -> String {
    let key = format!("{} {}", root.private_key_type.to_uppercase(), root.private_key_bits);
    format!("{} ({key}), id {}", root.name, root.id.get(..11).unwrap_or(&root.id))
}

fn joined(list: &Value) -> String {
    let texts = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    texts.collect::<Vec<_>>().join(", ")
}
