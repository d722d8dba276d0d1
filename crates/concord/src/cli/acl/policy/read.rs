//! `acl policy read`.

use concord_client::Client;

use super::{ID, NAME, id_of, show};
use crate::cli::Io;
use crate::cli::acl::META;
use crate::cli::command::{Command, FORMAT, Invocation, Run};
use crate::cli::failure::{Failure, Outcome};

pub(crate) static READ: Command = Command {
    name: "acl policy read",
    synopsis: "Prints a policy",
    usage: &["[options] -id=<id>", "[options] -name=<name>"],
    about: "Prints a policy with its rules.",
    flags: &[FORMAT, ID, META, NAME],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let options = call.options();
    let id = id_of(call, client, &options).await?;
    let policy = client.acl_policy(&id, &options).await.map_err(Failure::api("read the policy"))?;
    show(&policy.value, call, io)
}
