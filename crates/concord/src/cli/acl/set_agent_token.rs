//! `acl set-agent-token`: sets the agent's own tokens.

use concord_client::Client;
use concord_model::Secret;

use crate::cli::command::{Command, Invocation, Run};
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::{Io, files};

/// The possible first arguments, and their names in the API.
const KINDS: [(&str, &str); 6] = [
    ("default", "default"),
    ("agent", "agent"),
    ("recovery", "agent_recovery"),
    ("replication", "replication"),
    ("config_file_service_registration", "config_file_service_registration"),
    ("dns", "dns"),
];

pub(crate) static SET_AGENT_TOKEN: Command = Command {
    name: "acl set-agent-token",
    synopsis: "Changes a token the agent uses itself",
    usage: &["[options] TYPE TOKEN"],
    about: "Gives the agent a token to use itself, at once and until it ends; with acl.enable_token_persistence it is \
            kept. TOKEN is the secret, @ and a file that holds it, or - for the standard input; an empty one takes the \
            token away.\n\nTYPE is one of:\n\n    default    for requests that come without a token\n    agent      \
            for what the agent does on its own account\n    config_file_service_registration\n               for \
            registering what stands in its configuration\n    dns        for answers to DNS\n    recovery, \
            replication\n               not available yet",
    flags: &[],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    let [name, token] = call.arguments("TYPE and TOKEN")?;
    let Some((_, kind)) = KINDS.into_iter().find(|(known, _)| *known == name) else {
        let known = KINDS.map(|(known, _)| known).join(", ");
        return Err(call.usage(format!("unknown token type {name:?}; expected one of {known}")));
    };
    let token = Secret::new(files::text_or_file(token, io)?.trim().to_owned());
    client
        .agent_token_set(kind, &token, &call.options())
        .await
        .map_err(Failure::api(format!("set the ACL token {name:?}")))?;
    io.line(format_args!("ACL token {name:?} set successfully"))?;
    Ok(Exit::SUCCESS)
}
