//! `connect envoy`: from flags and the registration to Envoy's bootstrap, which is printed or given to Envoy.
//!
//! ```text
//! flags ─► which proxy? ─► its registration ─┐
//!          where is gRPC? ───────────────────┼─► xds::bootstrap ─► print, or become Envoy (launch)
//!          access logs of proxy-defaults ────┘
//! ```

mod endpoint;
mod flags;
mod forms;
mod launch;
mod registration;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use concord_client::{Client, QueryOptions};
use concord_model::proxy::AccessLogs;
use concord_xds::access_log;
use concord_xds::bootstrap::{self, Admin, Bootstrap, BootstrapError, Node, Settings};
use serde_json::Value;

use self::flags::Asked;
use self::registration::Own;
use crate::cli::http;
use crate::cli::{Exit, Failure, Invocation, Io, Outcome};

/// Runs until the process has become Envoy, or the bootstrap is printed.
pub(crate) async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    if let Some(path) = launch::pipe_to_feed(&call.values.arguments) {
        return launch::feed(path, &call.values.arguments, io).await;
    }
    let asked = flags::read(call)?;
    for remark in asked.remarks(call) {
        io.remark(remark)?;
    }
    let mut steps = Steps { told: call.values.switch("enable-config-gen-logging") };
    let id = registration::id(&asked, client).await?;
    steps.tell(io, format_args!("the proxy is {id}"))?;
    if let Some(gateway) = &asked.register {
        registration::register(gateway, &id, client).await?;
        steps.tell(io, "it is registered")?;
        if !asked.print {
            io.line(format_args!("Registered service: {}", gateway.service))?;
        }
    }
    let made = input(&asked, &id, call, client, io, &mut steps).await?;
    let text = bootstrap::json(&made).map_err(wrong)?;
    let text = serde_json::to_string_pretty(&text).map_err(|error| Failure::input(error.to_string()))?;
    if asked.print {
        steps.tell(io, "the bootstrap is printed")?;
        io.line(text)?;
        return Ok(Exit::SUCCESS);
    }
    launch::start(&asked.launch, &text, io).await
}

/// The steps of making a bootstrap, for those who ask for them.
#[derive(Debug)]
struct Steps {
    told: bool,
}

impl Steps {
    fn tell(&mut self, io: &mut Io, step: impl std::fmt::Display) -> Result<(), Failure> {
        if self.told { io.remark(format_args!("bootstrap: {step}")) } else { Ok(()) }
    }
}

fn wrong(error: BootstrapError) -> Failure {
    Failure::input(error.to_string())
}

async fn input(
    asked: &Asked,
    id: &str,
    call: &Invocation<'_>,
    client: &Client,
    io: &mut Io,
    steps: &mut Steps,
) -> Result<Bootstrap, Failure> {
    let config = http::config(&call.values, call.env)?;
    let (agent, tls) = endpoint::of_agent(call, client, &config.tls, io).await?;
    steps.tell(
        io,
        format_args!(
            "its configuration comes from {agent:?}, {} TLS",
            if tls.is_some() { "with" } else { "without" }
        ),
    )?;
    if !asked.print {
        endpoint::try_it(&agent, io)?;
    }
    let own = registration::find(asked, id, client, io).await?;
    steps.tell(io, format_args!("it serves {} in {}", own.service, own.datacenter))?;
    let settings = if asked.no_central_config {
        Settings::default()
    } else {
        Settings::read(&own.config, &variable).map_err(wrong)?
    };
    let logs = access_logs(asked, client, io).await?;
    steps.tell(io, format_args!("the admin interface has {} access logs of proxy-defaults", logs.len()))?;
    Ok(Bootstrap {
        node: Node {
            id: id.to_owned(),
            service: own.service.clone(),
            node_name: asked.node_name.clone(),
            datacenter: own.datacenter.clone(),
        },
        agent,
        tls,
        token: config.token,
        admin: Admin { bind: asked.admin, access_logs: logs, log_path: asked.log_path.clone() },
        prometheus: asked.prometheus.clone(),
        ready: asked.ready.or_else(|| ready_of_gateway(&own, asked)),
        omit_deprecated_tags: asked.omit_deprecated_tags,
        settings,
    })
}

/// Envoy's environment is that of this process.
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name)?.into_string().ok()
}

/// An ingress gateway answers its health check before it has listeners of its own.
fn ready_of_gateway(own: &Own, asked: &Asked) -> Option<SocketAddr> {
    (own.kind == "ingress-gateway").then_some(asked.own_address)
}

/// The access logs of `proxy-defaults`. A token that may not read them has none.
async fn access_logs(asked: &Asked, client: &Client, io: &mut Io) -> Result<Vec<Value>, Failure> {
    let found = client.config_entry::<Value>("proxy-defaults", "global", &QueryOptions::default()).await;
    let entry = match found {
        Ok(answer) => answer.value,
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        Err(error) if error.status().is_some() => {
            io.remark(format_args!(
                "Warning: cannot read proxy-defaults, so its access logs are left out: {error}"
            ))?;
            return Ok(Vec::new());
        }
        Err(error) => return Err(Failure::api("read proxy-defaults")(error)),
    };
    let logs = logs_of(&entry["AccessLogs"])?;
    if logs.enabled && asked.log_path != "/dev/null" {
        io.remark("Warning: -admin-access-log-path has no effect: proxy-defaults has access logs")?;
    }
    access_log::of_admin(&logs).map_err(|fault| wrong(fault.into()))
}

fn logs_of(shown: &Value) -> Result<AccessLogs, Failure> {
    let text = |key: &str| shown[key].as_str().unwrap_or_default().to_owned();
    let sink = serde_json::from_value(Value::from(text("Type")));
    let sink = sink.map_err(|error| Failure::input(format!("AccessLogs.Type of proxy-defaults: {error}")))?;
    Ok(AccessLogs {
        enabled: shown["Enabled"].as_bool().unwrap_or_default(),
        disable_listener_logs: shown["DisableListenerLogs"].as_bool().unwrap_or_default(),
        sink,
        path: text("Path"),
        json_format: text("JSONFormat"),
        text_format: text("TextFormat"),
    })
}
