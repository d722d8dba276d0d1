//! `acl token delete`.

use concord_client::Client;

use super::{ACCESSOR_ID, ID, named};
use crate::cli::Io;
use crate::cli::acl::accessor;
use crate::cli::command::{Command, Invocation, Run};
use crate::cli::failure::{Exit, Failure, Outcome};

pub(crate) static DELETE: Command = Command {
    name: "acl token delete",
    synopsis: "Deletes a token",
    usage: &["[options] -accessor-id=<id>"],
    about: "Deletes a token. Requests made with it are refused from then on.",
    flags: &[ACCESSOR_ID, ID],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let options = call.options();
    let id = accessor(named(call)?, client, &options).await?;
    client.acl_token_delete(&id, &options).await.map_err(Failure::api("delete the token"))?;
    io.line(format_args!("Token {id:?} deleted successfully"))?;
    Ok(Exit::SUCCESS)
}
