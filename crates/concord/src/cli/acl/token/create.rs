//! `acl token create`.

use concord_client::Client;
use concord_syntax::duration;
use serde_json::{Map, Value, json};

use super::{
    DESCRIPTION, NODE_IDENTITY, POLICY_ID, POLICY_NAME, ROLE_ID, ROLE_NAME, SERVICE_IDENTITY, VARIABLE,
    node_identities, policies, service_identities, show,
};
use crate::cli::acl::META;
use crate::cli::command::{Command, FORMAT, Invocation, Run};
use crate::cli::failure::{Failure, Outcome};
use crate::cli::flag::Flag;
use crate::cli::{Io, unbuilt};

/// Flags that give the token rights. If none is given, the user most likely forgot one.
const GRANTS: [&str; 4] = ["policy-name", "policy-id", "service-identity", "node-identity"];

pub(crate) static CREATE: Command = Command {
    name: "acl token create",
    synopsis: "Makes a token",
    usage: &["[options]"],
    about: "Makes a token and prints it with its secret. It needs at least one policy or identity.",
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
        Flag::text("templated-policy", "Templated policy of the token.")
            .placeholder("<name>")
            .unbuilt(unbuilt::TEMPLATED_POLICIES),
        Flag::text("templated-policy-file", "File with templated policies of the token.")
            .placeholder("<path>")
            .unbuilt(unbuilt::TEMPLATED_POLICIES),
        VARIABLE,
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
    for (key, identities) in [
        ("ServiceIdentities", service_identities("service-identity", values)?),
        ("NodeIdentities", node_identities("node-identity", values)?),
    ] {
        if !identities.is_empty() {
            body.insert(key.to_owned(), Value::Array(identities));
        }
    }
    if let Some(ttl) = values.duration("expires-ttl") {
        body.insert("ExpirationTTL".to_owned(), json!(duration::format(ttl)));
    }
    let token = client.acl_token_create(&body, &options).await.map_err(Failure::api("make the token"))?;
    show(&token.value, call, io)
}
