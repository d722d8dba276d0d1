//! `connect expose`: a service behind an ingress gateway, with the intention that it needs.

use concord_client::{Cas, Client, QueryOptions};
use serde_json::{Value, json};

use crate::cli::Io;
use crate::cli::command::{Command, Invocation, Run};
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::flag::Flag;

const KIND: &str = "ingress-gateway";

pub(crate) static EXPOSE: Command = Command {
    name: "connect expose",
    synopsis: "Puts a service behind an ingress gateway",
    usage: &["[options] -ingress-gateway=<name> -service=<name>"],
    about: "Adds a service to a listener of an ingress gateway, and an intention that lets the gateway call it. The \
            listener and the gateway's entry are made if they are not there. A service that the listener has keeps its \
            other settings.",
    flags: &[
        Flag::text("ingress-gateway", "Name of the gateway.").placeholder("<name>"),
        Flag::text("service", "Name of the service.").placeholder("<name>"),
        Flag::unsigned("port", "Port of the gateway's listener."),
        Flag::text("protocol", "Protocol of the listener.").default("tcp"),
        Flag::list("host", "Host name by which the service is asked for; may be repeated.")
            .placeholder("<name>"),
    ],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

/// What is exposed.
struct Exposed<'a> {
    gateway: &'a str,
    service: &'a str,
    /// Port and protocol.
    listener: (u16, &'a str),
    hosts: &'a [String],
}

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let port = call.values.unsigned("port").unwrap_or(0);
    let port = u16::try_from(port).ok().filter(|port| *port > 0);
    let (gateway, service) = (plain(call, "ingress-gateway")?, plain(call, "service")?);
    let port = port.ok_or_else(|| call.usage("-port: expected 1 to 65535"))?;
    let own = Exposed {
        gateway,
        service,
        listener: (port, call.values.text("protocol")),
        hosts: call.values.list("host"),
    };
    write_entry(&own, client, call, io).await?;
    allow(&own, client, call, io).await?;
    Ok(Exit::SUCCESS)
}

/// A name, which may say that it is in the default partition and namespace.
fn plain<'a>(call: &'a Invocation<'_>, flag: &str) -> Result<&'a str, Failure> {
    let text = call.required(flag)?;
    let mut parts = text.rsplit('/');
    let name = parts.next().unwrap_or_default();
    if name.is_empty() || parts.any(|part| part != "default") {
        return Err(call.usage(format!(
            "-{flag}: {text:?} is not in the partition and namespace default; there is no other"
        )));
    }
    Ok(name)
}

async fn write_entry(
    own: &Exposed<'_>,
    client: &Client,
    call: &Invocation<'_>,
    io: &mut Io,
) -> Result<(), Failure> {
    let found = client.config_entry::<Value>(KIND, own.gateway, &QueryOptions::default()).await;
    let stored = match found {
        Ok(answer) => answer.value,
        Err(error) if error.is_not_found() => json!({}),
        Err(error) => return Err(Failure::api(format!("read the entry of {}", own.gateway))(error)),
    };
    let cas = Cas::IfModifiedAt(stored["ModifyIndex"].as_u64().unwrap_or(0));
    let (entry, updated) = with(stored, own)?;
    if updated {
        io.line(format_args!(
            "Updating service definition for {:?} on listener with port {}",
            own.service, own.listener.0
        ))?;
    }
    let written = client.config_entry_write(&entry, cas, &call.options()).await;
    if !written.map_err(Failure::api(format!("write the entry of {}", own.gateway)))? {
        return Err(Failure::input(
            "Ingress config entry was changed while attempting to update, please try again.",
        ));
    }
    io.line(format_args!("Successfully updated config entry for ingress service {:?}", own.gateway))
}

/// The entry with the service, and whether its listener had it before.
fn with(mut entry: Value, own: &Exposed<'_>) -> Result<(Value, bool), Failure> {
    (entry["Kind"], entry["Name"]) = (json!(KIND), json!(own.gateway));
    let mut service = json!({ "Name": own.service });
    if !own.hosts.is_empty() {
        service["Hosts"] = json!(own.hosts);
    }
    let mut listeners = entry["Listeners"].as_array().cloned().unwrap_or_default();
    let ((port, protocol), mut updated) = (own.listener, false);
    match listeners.iter_mut().find(|listener| listener["Port"] == port) {
        None => listeners.push(json!({ "Port": port, "Protocol": protocol, "Services": [service] })),
        Some(listener) => {
            let stored = listener["Protocol"].as_str().unwrap_or("tcp");
            if stored != protocol {
                return Err(Failure::input(format!(
                    "Listener on port {port} already configured with conflicting protocol {stored:?}; give it with -protocol"
                )));
            }
            let mut services = listener["Services"].as_array().cloned().unwrap_or_default();
            match services.iter_mut().find(|one| one["Name"] == own.service) {
                Some(one) => (one["Hosts"], updated) = (service["Hosts"].take(), true),
                None => services.push(service),
            }
            listener["Services"] = Value::Array(services);
        }
    }
    entry["Listeners"] = Value::Array(listeners);
    Ok((entry, updated))
}

async fn allow(
    own: &Exposed<'_>,
    client: &Client,
    call: &Invocation<'_>,
    io: &mut Io,
) -> Result<(), Failure> {
    let Exposed { gateway, service, .. } = own;
    match client.intention_exact(gateway, service, &QueryOptions::default()).await {
        Ok(found) if found.value.action == "allow" => {
            return io.line(format_args!("Intention already exists for {gateway:?} -> {service:?}"));
        }
        Ok(_) => {}
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(Failure::api("look up the intention")(error)),
    }
    let body = json!({ "SourceType": "consul", "Action": "allow" });
    let written = client.intention_write(gateway, service, &body, &call.options()).await;
    written.map_err(Failure::api("write the intention"))?;
    io.line(format_args!("Successfully set up intention for {gateway:?} -> {service:?}"))
}

#[cfg(test)]
mod tests {
    use concord_client::testing::{Scripted, Seen};

    use crate::cli::testing::{Bench, Ran};

    const ENTRY: &str = r#"{"Kind":"ingress-gateway","Name":"edge","ModifyIndex":7,"Listeners":[{"Port":80,"Protocol":"http",
        "Services":[{"Name":"web","Hosts":["old"],"RequestHeaders":{"Add":{"a":"b"}}}]}]}"#;

    fn expose(words: &[&str], intention: &'static str, written: &'static str) -> Ran {
        let script = move |seen: &Seen| match (seen.method.as_str(), seen.target.as_str()) {
            ("GET", target) if target.starts_with("/v1/config/ingress-gateway/edge") => Scripted::ok(ENTRY),
            ("GET", target) if target.contains("/intentions/") && !intention.is_empty() => {
                Scripted::ok(intention)
            }
            ("GET", _) => Scripted::status(404, "not there"),
            _ => Scripted::ok(written),
        };
        let all: Vec<_> = ["connect", "expose"].iter().chain(words).copied().collect();
        Bench::scripted(script).run(&all)
    }

    #[test]
    fn a_service_is_added_to_the_listener_and_the_gateway_may_call_it() {
        let ran =
            expose(&["-ingress-gateway=edge", "-service=api", "-port=80", "-protocol=http"], "", "true");
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.asked[1].starts_with("PUT /v1/config?cas=7 "), "{ran:?}");
        assert!(ran.asked[1].contains(r#""RequestHeaders":{"Add":{"a":"b"}}},{"Name":"api"}]"#), "{ran:?}");
        let last = r#"PUT /v1/connect/intentions/exact?source=edge&destination=api {"SourceType":"consul","Action":"allow"}"#;
        assert_eq!(ran.asked[3], last);
        assert!(
            ran.out.contains("Successfully updated config entry for ingress service \"edge\""),
            "{ran:?}"
        );
    }

    #[test]
    fn a_service_that_is_there_keeps_its_settings_and_an_intention_that_is_there_stays() {
        let words =
            ["-ingress-gateway=default/edge", "-service=web", "-port=80", "-protocol=http", "-host=new"];
        let ran = expose(&words, r#"{"SourceName":"edge","DestinationName":"web","Action":"allow"}"#, "true");
        assert!(
            ran.asked[1].contains(r#"{"Name":"web","Hosts":["new"],"RequestHeaders":{"Add":{"a":"b"}}}"#),
            "{ran:?}"
        );
        assert!(
            ran.out.contains("Updating service definition for \"web\" on listener with port 80"),
            "{ran:?}"
        );
        assert!(ran.out.contains("Intention already exists for \"edge\" -> \"web\""), "{ran:?}");
        assert_eq!(ran.asked.len(), 3);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (words, written, expected) in [
            (&["-service=a", "-port=1"][..], "true", "-ingress-gateway is needed"),
            (&["-ingress-gateway=g", "-port=1"], "true", "-service is needed"),
            (&["-ingress-gateway=g", "-service=a"], "true", "-port: expected 1 to 65535"),
            (&["-ingress-gateway=g", "-service=a", "-port=70000"], "true", "-port: expected 1 to 65535"),
            (
                &["-ingress-gateway=g", "-service=eu/a", "-port=1"],
                "true",
                "is not in the partition and namespace default",
            ),
            (&["-ingress-gateway=edge", "-service=a", "-port=80"], "true", "conflicting protocol \"http\""),
            (
                &["-ingress-gateway=g", "-service=a", "-port=80"],
                "false",
                "changed while attempting to update",
            ),
        ] {
            let ran = expose(words, "", written);
            assert_eq!(ran.code, 1, "{ran:?}");
            assert!(ran.err.contains(expected), "{words:?}: {}", ran.err);
        }
    }
}
