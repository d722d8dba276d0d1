//! `acl token create`.

use concord_client::Client;
use concord_syntax::duration;
use serde_json::{Map, Value, json};

use super::{
    DESCRIPTION, NODE_IDENTITY, POLICY_ID, POLICY_NAME, ROLE_ID, ROLE_NAME, SERVICE_IDENTITY, add_grants,
    policies, show,
};
use crate::cli::Io;
use crate::cli::acl::META;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::flag::Flag;
use crate::cli::invocation::Invocation;
use crate::cli::table::{Command, FORMAT, Run};

/// Flags that give the token rights; one without any is most likely a flag forgotten.
const GRANTS: [&str; 6] =
    ["policy-name", "policy-id", "role-name", "role-id", "service-identity", "node-identity"];

pub(crate) static CREATE: Command = Command {
    name: "acl token create",
    synopsis: "Makes a token",
    usage: &["[options]"],
    about: "Makes a token and prints it with its secret. It needs at least one policy.",
    flags: &[
        Flag::text("accessor", "Accessor of the token, a UUID; made if it is left out.")
            .placeholder("<uuid>"),
        DESCRIPTION,
        Flag::duration("expires-ttl", "How long the token is to be valid, at least a minute."),
        FORMAT,
        Flag::switch("local", "Make it valid in this datacenter only."),
        META,
        NODE_IDENTITY,
        POLICY_ID,
        POLICY_NAME,
        ROLE_ID,
        ROLE_NAME,
        Flag::text("secret", "Secret of the token, a UUID that nobody can guess; made if it is left out.")
            .placeholder("<uuid>"),
        SERVICE_IDENTITY,
    ],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let (values, options) = (&call.values, call.options());
    if GRANTS.iter().all(|flag| values.list(flag).is_empty()) {
        let flags = GRANTS.map(|flag| format!("-{flag}")).join(", ");
        return Err(call.usage(format!("a token without rights is not made; give at least one of {flags}")));
    }
    let mut body = Map::new();
    for (key, flag) in [("AccessorID", "accessor"), ("SecretID", "secret"), ("Description", "description")] {
        if let Some(value) = values.optional(flag) {
            body.insert(key.to_owned(), json!(value));
        }
    }
    body.insert("Local".to_owned(), json!(values.switch("local")));
    let links = policies(values.list("policy-id"), values.list("policy-name"), client, &options).await?;
    body.insert("Policies".to_owned(), Value::Array(links));
    add_grants(values, &mut body)?;
    if let Some(ttl) = values.duration("expires-ttl") {
        body.insert("ExpirationTTL".to_owned(), json!(duration::format(ttl)));
    }
    let token = client.acl_token_create(&body, &options).await.map_err(Failure::api("make the token"))?;
    show(&token.value, call, io)
}
