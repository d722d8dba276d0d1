//! The frame of the demo: its parts, its start and its end. The steps are in separate files.

mod change;
mod start;
mod survive;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use concord_api::connect::Root;
use concord_client::{Address, Client, Config, QueryOptions};
use concord_runtime::{Clock, Scope};
use serde_json::Value;

use super::child::{Child, Recipe};
use super::http::get;
use super::limits::{LOOK, READY_WITHIN, REQUEST_WITHIN, SEEN_WITHIN, WATCH};
use super::log::{self, LogReader};
use super::place::{Ports, PrivateDirectory};
use super::teller::{Teller, seconds};
use super::trouble::Trouble;

/// The calling service, and the called one.
const WEB: &str = "web";
const API: &str = "api";
const AGENT: &str = "agent";
const WEB_SIDECAR: &str = "web-sidecar";
const API_SIDECAR: &str = "api-sidecar";

/// Everything that the demo has started, and its addresses.
#[derive(Debug)]
pub(super) struct Story<'a> {
    teller: Teller<'a>,
    scope: Scope,
    clock: Arc<dyn Clock>,
    client: Client,
    program: PathBuf,
    ports: Ports,
    /// In the order of their start.
    parts: Vec<Part>,
    told: bool,
    /// Must be the last field, because the parts use the directory until they have ended.
    place: PrivateDirectory,
}

/// A part of the demo; without a child while it is killed.
#[derive(Debug)]
struct Part {
    recipe: Recipe,
    child: Option<Child>,
}

impl Part {
    /// Its name, if it has ended by itself.
    fn ended(&mut self) -> Option<&'static str> {
        let name = self.recipe.name;
        self.child.as_mut().and_then(|child| child.running().err()).map(|_| name)
    }
}

/// The running mesh.
#[derive(Debug)]
struct Mesh {
    /// The address of web.
    web: SocketAddr,
    /// The direct address of api, outside of the mesh; used only to read its count.
    api: SocketAddr,
    /// The address at which web's sidecar accepts connections to api.
    upstream: SocketAddr,
    /// The log of web's sidecar.
    web_log: LogReader,
    /// The log of api's sidecar.
    api_log: LogReader,
    trust_domain: String,
    datacenter: String,
}

impl Mesh {
    /// The identity that a service of this mesh must have.
    fn identity(&self, service: &str) -> String {
        format!("spiffe://{}/ns/default/dc/{}/svc/{service}", self.trust_domain, self.datacenter)
    }
}

impl<'a> Story<'a> {
    /// Finds a directory and ports. Starts nothing yet.
    pub(super) fn prepare(teller: Teller<'a>, scope: Scope, http_port: Option<u16>) -> Result<Self, Trouble> {
        let program = std::env::current_exe().map_err(Trouble::system("find this program's own file"))?;
        let ports = Ports::find(http_port)?;
        let address = Address::Http { host: Ipv4Addr::LOCALHOST.to_string(), port: ports.http };
        let config = Config { answer_timeout: REQUEST_WITHIN, ..Config::new(address) };
        let client = Client::new(config, &scope).map_err(Trouble::api("make a client"))?;
        let (place, clock) = (PrivateDirectory::make()?, Arc::clone(scope.clock()));
        Ok(Self { teller, scope, clock, client, program, ports, parts: Vec::new(), told: false, place })
    }

    /// Runs all steps. Without `exit`, it then continues until a part ends.
    pub(super) async fn tell(&mut self, exit: bool) -> Result<(), Trouble> {
        self.teller.title("A small mesh on this machine")?;
        self.teller.line(
            "One agent, two services and their two sidecars, each a process, meeting at their ports.",
        )?;
        let mut mesh = self.start().await?;
        self.request(&mut mesh).await?;
        self.deny(&mut mesh).await?;
        self.allow(&mut mesh).await?;
        self.rotate(&mut mesh).await?;
        self.kill(&mut mesh).await?;
        self.told = true;
        let elapsed = seconds(self.teller.elapsed());
        self.teller.line("")?;
        self.teller.title(&format!("All of it was seen, in {elapsed}."))?;
        if exit {
            return Ok(());
        }
        self.invite(&mesh)?;
        self.watch().await
    }

    /// Whether all steps have been run.
    pub(super) fn is_told(&self) -> bool {
        self.told
    }

    /// The error, its step, and the last log lines of the parts: of those that have ended, or else of all.
    pub(super) fn report(&mut self, trouble: &Trouble) -> String {
        let place = if self.told { "after its story".to_owned() } else { self.teller.current() };
        let mut text = format!("the demo failed {place}: {trouble}");
        let mut ended: Vec<&str> = self.parts.iter_mut().filter_map(Part::ended).collect();
        if let Trouble::Ended { part, .. } = trouble {
            ended.push(part);
        }
        for part in &self.parts {
            let Recipe { name, log, .. } = &part.recipe;
            if ended.is_empty() || ended.contains(name) {
                let state = if ended.is_empty() { "said last" } else { "has ended; it said last" };
                text.push_str(&format!("\n\n  {name} {state}:\n    {}", log::tail(log)));
            }
        }
        text
    }

    /// Ends all parts, the last one first, and removes the demo's files.
    pub(super) async fn end(mut self) -> Result<(), Trouble> {
        let mut first = Ok(());
        while let Some(part) = self.parts.pop() {
            if let Some(child) = part.child {
                first = first.and(child.end(&*self.clock).await);
            }
        }
        first
    }

    /// Starts a part and waits until it serves. Returns the addresses that it reports.
    async fn start_part(&mut self, name: &'static str, words: Vec<String>) -> Result<Value, Trouble> {
        let ready = self.place.file(&format!("{name}.ready"));
        let log = self.place.file(&format!("{name}.log"));
        self.parts.push(Part { recipe: Recipe { name, words, ready, log }, child: None });
        self.start_again(name).await
    }

    /// Starts a part again, exactly as before.
    async fn start_again(&mut self, name: &'static str) -> Result<Value, Trouble> {
        let (program, clock) = (self.program.clone(), Arc::clone(&self.clock));
        let part = self.part(name);
        let (child, bound) = part.recipe.start(&program, &*clock, READY_WITHIN).await?;
        part.child = Some(child);
        Ok(bound)
    }

    fn part(&mut self, name: &'static str) -> &mut Part {
        let found = self.parts.iter_mut().find(|part| part.recipe.name == name);
        found.expect("steps name only parts that an earlier step started")
    }

    fn ready_file(&self, name: &str) -> String {
        self.place.file(&format!("{name}.ready")).display().to_string()
    }

    /// The active root, once there is one.
    async fn active_root(&self) -> Result<(Root, usize, String), Trouble> {
        let since = self.clock.now();
        loop {
            match self.client.ca_roots(&QueryOptions::default()).await {
                Ok(answer) => {
                    let roots = answer.value;
                    let count = roots.roots.len();
                    if let Some(root) = roots.roots.into_iter().find(|root| root.active) {
                        return Ok((root, count, roots.trust_domain));
                    }
                }
                // A new server answers before its certificate authority has created a root.
                Err(error) if error.is_retryable() && self.clock.now() - since <= SEEN_WITHIN => {}
                Err(error) => return Err(Trouble::api("ask for the roots")(error)),
            }
            self.unless_late(since, "an active root")?;
            self.clock.sleep(LOOK).await;
        }
    }

    /// Sends requests to web until an answer is as `wanted`. Returns that answer.
    async fn ask_until(
        &self,
        mesh: &Mesh,
        what: &str,
        wanted: impl Fn(&Result<String, super::http::HttpError>) -> bool,
    ) -> Result<Result<String, super::http::HttpError>, Trouble> {
        let since = self.clock.now();
        loop {
            let answer = get(mesh.web, "/", &self.scope).await;
            if wanted(&answer) {
                return Ok(answer);
            }
            if self.clock.now() - since > SEEN_WITHIN {
                let last = answer.unwrap_or_else(|error| error.to_string());
                return Err(Trouble::NotSeen { what: format!("{what} (last: {last})"), within: SEEN_WITHIN });
            }
            self.clock.sleep(LOOK).await;
        }
    }

    fn unless_late(&self, since: concord_runtime::Instant, what: &str) -> Result<(), Trouble> {
        if self.clock.now() - since > SEEN_WITHIN {
            return Err(Trouble::NotSeen { what: what.to_owned(), within: SEEN_WITHIN });
        }
        Ok(())
    }

    /// Prints what the user can do now.
    fn invite(&mut self, mesh: &Mesh) -> Result<(), Trouble> {
        let directory = self.program.parent().map_or_else(String::new, |path| path.display().to_string());
        let log = self.place.file("api-sidecar.log").display().to_string();
        let (http, web) = (self.client.address().clone(), mesh.web);
        self.teller.line("")?;
        self.teller.line(format_args!(
            "The API listens at {http}. It stays up until Ctrl-C. In another terminal:"
        ))?;
        self.teller.line("")?;
        for command in [
            format!("export CONCORD_HTTP_ADDR={http} PATH=\"{directory}:$PATH\""),
            "concord members".to_owned(),
            "concord intention list".to_owned(),
            "concord explain web api".to_owned(),
            format!("curl http://{web}/                    # web asks api"),
            "concord intention create -replace -deny web api".to_owned(),
            format!("tail -f {log}   # what api's sidecar decides"),
        ] {
            self.teller.line(format_args!("   {command}"))?;
        }
        Ok(())
    }

    /// Completes when a part has ended by itself.
    async fn watch(&mut self) -> Result<(), Trouble> {
        loop {
            for child in self.parts.iter_mut().filter_map(|part| part.child.as_mut()) {
                child.running()?;
            }
            self.clock.sleep(WATCH).await;
        }
    }
}
