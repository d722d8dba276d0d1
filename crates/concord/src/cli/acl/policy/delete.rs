//! `acl policy delete`.

use concord_client::Client;

use super::{ID, NAME, id_of};
use crate::cli::Io;
use crate::cli::command::{Command, Invocation, Run};
use crate::cli::failure::{Exit, Failure, Outcome};

pub(crate) static DELETE: Command = Command {
    name: "acl policy delete",
    synopsis: "Deletes a policy",
    usage: &["[options] -id=<id>", "[options] -name=<name>"],
    about: "Deletes a policy. The tokens that have it lose it.",
    flags: &[ID, NAME],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let options = call.options();
    let id = id_of(call, client, &options).await?;
    client.acl_policy_delete(&id, &options).await.map_err(Failure::api("delete the policy"))?;
    io.line(format_args!("Policy {id:?} deleted successfully"))?;
    Ok(Exit::SUCCESS)
}
