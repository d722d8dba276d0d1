//! `acl token clone`.

use concord_client::Client;

use super::{ACCESSOR_ID, DESCRIPTION, ID, named, show};
use crate::cli::Io;
use crate::cli::acl::{META, accessor};
use crate::cli::command::{Command, FORMAT, Invocation, Run};
use crate::cli::failure::{Failure, Outcome};

pub(crate) static CLONE: Command = Command {
    name: "acl token clone",
    synopsis: "Makes a token like another one",
    usage: &["[options] -accessor-id=<id>"],
    about: "Makes a token that may do what another one may, and prints it with its secret.",
    flags: &[ACCESSOR_ID, DESCRIPTION, FORMAT, ID, META],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let options = call.options();
    let id = accessor(named(call)?, client, &options).await?;
    let description = call.values.text("description");
    let token = client
        .acl_token_clone(&id, description, &options)
        .await
        .map_err(Failure::api("clone the token"))?
        .value;
    show(&token, call, io)
}
