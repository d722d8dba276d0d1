//! `acl token list`.

use concord_client::Client;

use crate::cli::acl::{META, token_text};
use crate::cli::command::{Command, FORMAT, Invocation, Run};
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::{Io, print};

pub(crate) static LIST: Command = Command {
    name: "acl token list",
    synopsis: "Lists all tokens",
    usage: &["[options]"],
    about: "Lists all tokens. Their secrets are hidden from those who may not write tokens.",
    flags: &[FORMAT, META],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let tokens = client.acl_tokens(&call.options()).await.map_err(Failure::api("list the tokens"))?.value;
    if call.wants_json() {
        return print::json(&tokens, io);
    }
    for (position, token) in tokens.iter().enumerate() {
        if position > 0 {
            io.line("")?;
        }
        io.text(&token_text(token, call.values.switch("meta")))?;
    }
    Ok(Exit::SUCCESS)
}
