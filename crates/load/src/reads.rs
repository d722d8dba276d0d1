//! The cost of reads over HTTP: a service's health, from the catalog and from the agent's cache, and an existing leaf.
//! Of two agents: one that indents its JSON (`-dev`), and one that does not.

use std::time::Duration;

use anyhow::{Result, ensure};
use concord_e2e::{World, eventually};
use serde_json::json;

use crate::agents::Kind;
use crate::figures::Figures;
use crate::requests::{Question, beside_bare};

/// Number of instances of the service.
const INSTANCES: usize = 3;

pub(crate) fn run(lasting: Duration) -> Result<Figures> {
    let mut figures = Figures::default();
    for kind in Kind::ALL {
        one(kind, lasting, &mut figures)?;
    }
    Ok(figures)
}

fn one(kind: Kind, lasting: Duration, figures: &mut Figures) -> Result<()> {
    let world = World::new();
    let mut agent = kind.start(&world);
    let http = agent.http();
    for number in 0..INSTANCES {
        let body = json!({ "Name": "web", "ID": format!("web-{number}"), "Port": 8080, "Check": { "TTL": "1h", "Status": "passing" } });
        let reply = http.put("/v1/agent/service/register", &body);
        ensure!(reply.status == 200, "registering: {} {}", reply.status, reply.body);
    }
    eventually("all instances are in the catalog", || {
        let health = http.get("/v1/health/service/web?passing").json();
        (health.as_array()?.len() == INSTANCES).then_some(())
    });
    for (what, path) in [
        ("health of a service", "/v1/health/service/web"),
        ("health of a service, cached", "/v1/health/service/web?cached"),
        ("leaf of a service", "/v1/agent/connect/ca/leaf/web"),
    ] {
        let question =
            Question { method: "GET", path: path.to_owned(), body: None, expected: "web".to_owned() };
        let what = format!("{}: {what}", kind.name());
        beside_bare(&what, (&world, &mut agent), lasting, figures, |_| question.clone())?;
    }
    Ok(())
}
