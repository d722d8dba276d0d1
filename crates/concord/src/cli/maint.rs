//! `maint`: begins or ends maintenance mode of the node or of one of its services.

use concord_client::Client;

use super::Io;
use super::command::{Command, Invocation, Run};
use super::failure::{Exit, Failure, Outcome};
use super::flag::Flag;
use super::print;

/// The id of the node's maintenance check, and the prefix of those of services, as in Consul.
const OF_THE_NODE: &str = "_node_maintenance";
/// See [`OF_THE_NODE`].
const OF_A_SERVICE: &str = "_service_maintenance:";

pub(crate) static MAINT: Command = Command {
    name: "maint",
    synopsis: "Takes the node or a service out of use, and back",
    usage: &["[options]", "-enable [-service=<id>] [-reason=<text>]", "-disable [-service=<id>]"],
    about: "Takes the agent's node, or one of its services, out of use, or puts it back: a check that is critical until \
            somebody ends it. Without -enable and -disable prints what is out of use, and why.",
    flags: &[
        Flag::switch("enable", "Take it out of use."),
        Flag::switch("disable", "Put it back into use."),
        Flag::text("reason", "Why, in the notes of the check. Goes with -enable."),
        Flag::text("service", "Id of a service; the node if it is left out.").placeholder("<id>"),
    ],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let values = &call.values;
    let (enable, disable) = (values.switch("enable"), values.switch("disable"));
    let (reason, service) = (values.text("reason"), values.text("service"));
    if enable && disable {
        return Err(call.usage("Only one of -enable or -disable may be provided"));
    }
    if !enable && !reason.is_empty() {
        return Err(call.usage("Reason may only be provided with -enable"));
    }
    if !enable && !disable {
        return match service {
            "" => list(call, client, io).await,
            _ => Err(call.usage("Service requires either -enable or -disable")),
        };
    }
    let turned = if enable { "enabled" } else { "disabled" };
    let options = call.options();
    if service.is_empty() {
        let done = client.agent_maintenance(enable, reason, &options).await;
        done.map_err(Failure::api("change the maintenance of the node"))?;
        io.line(format_args!("Node maintenance is now {turned}"))?;
    } else {
        let done = client.service_maintenance(service, enable, reason, &options).await;
        done.map_err(Failure::api(format!("change the maintenance of the service {service}")))?;
        io.line(format_args!("Service maintenance is now {turned} for {service:?}"))?;
    }
    Ok(Exit::SUCCESS)
}

async fn list(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    let checks =
        client.agent_checks(&call.options()).await.map_err(Failure::api("list the agent's checks"))?;
    for check in checks.value.values() {
        // Keep an agent's text on its line.
        let notes = print::safe(&check.notes);
        if check.check_id == OF_THE_NODE {
            io.text(&format!("Node:\n  Name:   {}\n  Reason: {notes}\n\n", check.node))?;
        } else if check.check_id.starts_with(OF_A_SERVICE) {
            io.text(&format!("Service:\n  ID:     {}\n  Reason: {notes}\n\n", check.service_id))?;
        }
    }
    Ok(Exit::SUCCESS)
}
