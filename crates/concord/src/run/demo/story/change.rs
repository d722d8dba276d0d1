//! Steps in which the user's intention changes: from allow to deny, and back.

use concord_runtime::timeout;
use tokio::process::Command;

use super::super::http::{Connection, get};
use super::super::limits::{BODY_BYTES_MAX, REFUSALS, REQUEST_WITHIN, SEEN_WITHIN};
use super::super::log::Event;
use super::super::service::SERVED;
use super::super::teller::seconds;
use super::super::trouble::Trouble;
use super::{API, Mesh, Story, WEB};

impl Story<'_> {
    /// The intention denies: the open connection is closed, and new ones are refused.
    pub(super) async fn deny(&mut self, mesh: &mut Mesh) -> Result<(), Trouble> {
        self.teller.step("An intention written through the API denies it")?;
        let open = Connection::open(mesh.upstream, &self.scope).await;
        let mut open = open.map_err(Trouble::request("the connection to keep open"))?;
        open.get("/").await.map_err(Trouble::request("the connection to keep open"))?;
        mesh.api_log.skip()?;
        self.decide("deny").await?;
        let written = self.clock.now();
        timeout(&*self.clock, SEEN_WITHIN, open.closed()).await.map_err(|_| Trouble::NotSeen {
            what: "the open connection closed".to_owned(),
            within: SEEN_WITHIN,
        })?;
        let closed = self.clock.now() - written;
        let cut = |event: &Event| event.is("connection ended") && event.text("why").starts_with("cut");
        let event = mesh.api_log.find(&*self.clock, "the cut", cut).await?;
        let closed = format!("closed {} after the write; {}", seconds(closed), event.text("why"));
        self.teller.fact("the open connection", closed)?;
        self.ask_until(mesh, "a refusal", Result::is_err).await?.err();
        let served = self.served(mesh).await?;
        for _ in 0..REFUSALS {
            if let Ok(answer) = get(mesh.web, "/", &self.scope).await {
                return Err(Trouble::Differs {
                    what: "a denied request",
                    expected: "none".to_owned(),
                    seen: answer,
                });
            }
        }
        Trouble::unless_same("requests that reached api", &served, &self.served(mesh).await?)?;
        let denied = |event: &Event| event.is("connection decided") && event.text("verdict") == "deny";
        let event = mesh.api_log.find(&*self.clock, "a denial", denied).await?;
        Trouble::unless_same("the identity denied", &mesh.identity(WEB).as_str(), &event.text("identity"))?;
        self.teller
            .fact("new connections", format_args!("{REFUSALS} of {REFUSALS} refused; none reached api"))?;
        self.teller.fact("api's sidecar", format_args!("deny: {}", event.text("rule")))?;
        let explained = self.explain().await?;
        self.teller.fact("concord explain", "web api")?;
        self.teller.quote(&explained)?;
        self.teller.done()
    }

    /// The intention allows again.
    pub(super) async fn allow(&mut self, mesh: &mut Mesh) -> Result<(), Trouble> {
        self.teller.step("The allow comes back")?;
        self.decide("allow").await?;
        let written = self.clock.now();
        let heard = self.ask_until(mesh, "an answer through the mesh", Result::is_ok).await?;
        let heard = heard.map_err(Trouble::request("web"))?;
        let took = seconds(self.clock.now() - written);
        self.teller.fact("answer", format_args!("\"{heard}\", {took} after the write"))?;
        self.teller.done()
    }

    /// The number of requests that api has answered, by its own count.
    async fn served(&self, mesh: &Mesh) -> Result<String, Trouble> {
        get(mesh.api, SERVED, &self.scope).await.map_err(Trouble::request("api's count"))
    }

    /// Runs `explain` of the command line about the denial.
    async fn explain(&self) -> Result<String, Trouble> {
        let mut command = Command::new(&self.program);
        command.arg("explain").arg(format!("-http-addr={}", self.client.address())).args([WEB, API]);
        let running = command.env_clear().kill_on_drop(true).output();
        let output = timeout(&*self.clock, REQUEST_WITHIN, running)
            .await
            .map_err(|_| Trouble::NotSeen { what: "an explanation".to_owned(), within: REQUEST_WITHIN })?
            .map_err(Trouble::system("run concord explain"))?;
        let text =
            String::from_utf8_lossy(&output.stdout[..output.stdout.len().min(BODY_BYTES_MAX)]).into_owned();
        if output.status.success() && text.starts_with("Denied") {
            return Ok(text);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Trouble::Differs {
            what: "concord explain",
            expected: "a denial".to_owned(),
            seen: format!("{}, {text}{said}", output.status),
        })
    }
}
