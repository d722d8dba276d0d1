//! `acl token read`.

use concord_client::Client;

use super::{ACCESSOR_ID, ID, named, show};
use crate::cli::Io;
use crate::cli::acl::{META, accessor};
use crate::cli::failure::{Failure, Outcome};
use crate::cli::flag::Flag;
use crate::cli::invocation::Invocation;
use crate::cli::table::{Command, FORMAT, Run};

pub(crate) static READ: Command = Command {
    name: "acl token read",
    synopsis: "Prints a token",
    usage: &["[options] -accessor-id=<id>", "[options] -self"],
    about: "Prints a token. Its secret is hidden from those who may not write tokens; -self shows one's own.",
    flags: &[ACCESSOR_ID, FORMAT, ID, META, Flag::switch("self", "The token this request is made with.")],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let options = call.options();
    let read = if call.values.switch("self") {
        client.acl_token_self(&options).await
    } else {
        let id = accessor(named(call)?, client, &options).await?;
        client.acl_token(&id, &options).await
    };
    show(&read.map_err(Failure::api("read the token"))?.value, call, io)
}
