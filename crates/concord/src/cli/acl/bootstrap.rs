//! `acl bootstrap`: creates the first token.

use concord_client::Client;

use super::token_text;
use crate::cli::command::{Command, FORMAT, Invocation, Run};
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::{Io, files, print};

pub(crate) static BOOTSTRAP: Command = Command {
    name: "acl bootstrap",
    synopsis: "Makes the first token",
    usage: &["[options] [FILE]"],
    about: "Makes the first token, which may do everything, and prints it. This works once. Its secret, a UUID, can be \
            brought along in a file; - stands for the standard input.",
    flags: &[FORMAT],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    let secret = match call.values.arguments.as_slice() {
        [] => String::new(),
        _ => {
            let [path] = call.arguments("the file")?;
            let secret = files::read(path, io)?.trim().to_owned();
            if secret.is_empty() {
                return Err(Failure::input(format!("{} holds no secret", files::shown(path))));
            }
            secret
        }
    };
    let token = client
        .acl_bootstrap(&secret, &call.options())
        .await
        .map_err(Failure::api("make the first token"))?
        .value;
    if call.wants_json() {
        return print::json(&token, io);
    }
    io.text(&token_text(&token, false))?;
    Ok(Exit::SUCCESS)
}
