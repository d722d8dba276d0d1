//! `services deregister`: one instance by its id, or all instances in files.

use concord_client::Client;

use super::{ID, from_files};
use crate::cli::Io;
use crate::cli::command::{Command, Invocation, Run};
use crate::cli::failure::{Exit, Failure, Outcome};

pub(crate) static DEREGISTER: Command = Command {
    name: "services deregister",
    synopsis: "Deregisters services from the agent",
    usage: &["[options] -id=<id>", "[options] FILE..."],
    about: "Deregisters one instance by its id, or every service in the files, which are those it was registered \
            from. The sidecars that were registered with them go too.",
    flags: &[ID],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    if call.values.arguments.is_empty() {
        return deregister(call.required("id")?, call, client, io).await;
    }
    if call.values.origin("id").is_some() {
        return Err(call.usage("-id names one instance and cannot stand beside files"));
    }
    for service in from_files(&call.values.arguments, io)? {
        let id = if service.id.is_empty() { &service.name } else { &service.id };
        deregister(id, call, client, io).await?;
    }
    Ok(Exit::SUCCESS)
}

async fn deregister(id: &str, call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    client
        .service_deregister(id, &call.options())
        .await
        .map_err(Failure::api(format!("deregister the service {id}")))?;
    io.line(format_args!("Deregistered service: {id}"))?;
    Ok(Exit::SUCCESS)
}
