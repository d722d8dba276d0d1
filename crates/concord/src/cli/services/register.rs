//! `services register`: one service from flags, or all services in files.

use std::net::IpAddr;

use concord_client::Client;
use serde_json::{Map, Value, json};

use super::{ID, from_files};
use crate::cli::Io;
use crate::cli::command::{Command, Invocation, Run};
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::flag::Flag;

/// Flags that describe a service; they are refused together with files.
const DESCRIBING: [&str; 9] =
    ["id", "name", "address", "kind", "port", "socket", "meta", "tag", "tagged-address"];

pub(crate) static REGISTER: Command = Command {
    name: "services register",
    synopsis: "Registers services with the agent",
    usage: &["[options] -name=<name>", "[options] FILE..."],
    about: "Registers one service by flags, or every service in files and directories of HCL or JSON, which are read as the \
            agent's configuration is; - stands for the standard input.\n\nA service stays registered until it is \
            deregistered. Give it a check with deregister_critical_service_after if nobody may be there to do so.",
    flags: &[
        ID,
        Flag::text("name", "Name of the service."),
        Flag::text("address", "Address of the service; the agent's if it is left out."),
        Flag::text("kind", "What it is instead of a service: connect-proxy or a kind of gateway."),
        Flag::unsigned("port", "Port of the service."),
        Flag::text("socket", "Unix socket of the service, instead of address and port.")
            .placeholder("<path>"),
        Flag::pairs("meta", "Metadata of the instance."),
        Flag::list("tag", "Tag of the instance."),
        Flag::pairs("tagged-address", "Further address of the instance under a name, such as lan or wan.")
            .placeholder("<name=address[:port]>"),
    ],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    if call.values.arguments.is_empty() {
        let name = call.required("name")?;
        return register(&from_flags(call)?, name, call, client, io).await;
    }
    if let Some(flag) = DESCRIBING.into_iter().find(|flag| call.values.origin(flag).is_some()) {
        return Err(call.usage(format!("-{flag} describes one service and cannot stand beside files")));
    }
    for service in from_files(&call.values.arguments, io)? {
        register(&service.to_body(), &service.name, call, client, io).await?;
    }
    Ok(Exit::SUCCESS)
}

async fn register(body: &Value, name: &str, call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    client
        .service_register(body, false, &call.options())
        .await
        .map_err(Failure::api(format!("register the service {name}")))?;
    io.line(format_args!("Registered service: {name}"))?;
    Ok(Exit::SUCCESS)
}

fn from_flags(call: &Invocation<'_>) -> Result<Value, Failure> {
    let values = &call.values;
    if !values.text("socket").is_empty()
        && (values.origin("address").is_some() || values.origin("port").is_some())
    {
        return Err(call.usage("-socket stands instead of -address and -port"));
    }
    let mut body = Map::new();
    for (key, flag) in
        [("ID", "id"), ("Name", "name"), ("Address", "address"), ("Kind", "kind"), ("SocketPath", "socket")]
    {
        if let Some(value) = values.optional(flag).filter(|value| !value.is_empty()) {
            body.insert(key.to_owned(), json!(value));
        }
    }
    if let Some(port) = values.unsigned("port") {
        body.insert("Port".to_owned(), json!(port));
    }
    if !values.list("tag").is_empty() {
        body.insert("Tags".to_owned(), json!(values.list("tag")));
    }
    if !values.list("meta").is_empty() {
        body.insert("Meta".to_owned(), json!(values.pairs("meta")));
    }
    let tagged = values.pairs("tagged-address").into_iter().map(|(name, text)| {
        let (address, port) = tagged_address(&text)
            .ok_or_else(|| call.usage(format!("-tagged-address: {text:?} is not address[:port]")))?;
        Ok((name, json!({ "Address": address, "Port": port })))
    });
    let tagged = tagged.collect::<Result<Map<_, _>, Failure>>()?;
    if !tagged.is_empty() {
        body.insert("TaggedAddresses".to_owned(), Value::Object(tagged));
    }
    Ok(Value::Object(body))
}

/// An address and its port; 0 if there is none.
fn tagged_address(text: &str) -> Option<(&str, u16)> {
    if text.parse::<IpAddr>().is_ok() {
        return Some((text, 0));
    }
    match text.rsplit_once(':') {
        None => Some((text, 0)),
        Some((address, port)) => {
            let address =
                address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
            Some((address, port.parse().ok()?))
        }
    }
    .filter(|(address, _)| !address.is_empty())
}
