//! The memory of an agent: idle, and with a thousand services.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use concord_e2e::{World, eventually};
use serde_json::json;

use crate::agents::Kind;
use crate::figures::Figures;
use crate::usage::Group;

/// Number of services that are registered.
const SERVICES: usize = 1_000;
/// Time until a started process is idle.
const REST: Duration = Duration::from_secs(3);

pub(crate) fn run() -> Result<Figures> {
    let mut figures = Figures::default();
    for kind in Kind::ALL {
        one(kind, &mut figures)?;
    }
    Ok(figures)
}

fn one(kind: Kind, figures: &mut Figures) -> Result<()> {
    let world = World::new();
    let (mut agent, kind) = (kind.start(&world), kind.name());
    let process = Group::new([agent.process().pid()]);
    thread::sleep(REST);
    figures.add(format!("{kind}: resident, idle"), process.rss()? / 1e6, "MB");
    figures.add(format!("{kind}: of it written by the process, idle"), process.rss_own()? / 1e6, "MB");
    figures.add(format!("{kind}: of it pages of the program, idle"), process.rss_files()? / 1e6, "MB");

    let http = agent.http();
    let mut conn = http.connect()?;
    for number in 0..SERVICES {
        let body = json!({
            "Name": format!("service-{number}"),
            "Address": "127.0.0.1",
            "Port": 8080,
            "Tags": ["v1"],
            "Meta": { "version": "1" },
            "Check": { "TTL": "1h", "Status": "passing" },
        });
        let reply = conn.send("PUT", "/v1/agent/service/register", Some(&body.to_string()))?;
        ensure!(reply.status == 200, "registering: {} {}", reply.status, reply.body);
    }
    eventually("all services are in the catalog", || {
        let services = http.get("/v1/catalog/services").json();
        (services.as_object()?.len() > SERVICES).then_some(())
    });
    thread::sleep(REST);
    figures.add(format!("{kind}: resident with {SERVICES} services"), process.rss()? / 1e6, "MB");
    Ok(())
}
