//! `acl token update`: what is not said stays as it is.

use concord_api::acl::Token;
use concord_client::Client;
use serde_json::{Map, Value, json};

use super::{
    ACCESSOR_ID, DESCRIPTION, ID, NODE_IDENTITY, POLICY_ID, POLICY_NAME, ROLE_ID, ROLE_NAME,
    SERVICE_IDENTITY, add_grants, named, node_identity, policies, service_identity, show,
};
use crate::cli::Io;
use crate::cli::acl::{META, accessor};
use crate::cli::failure::{Failure, Outcome};
use crate::cli::flag::Flag;
use crate::cli::invocation::Invocation;
use crate::cli::table::{Command, FORMAT, Run};

pub(crate) static UPDATE: Command = Command {
    name: "acl token update",
    synopsis: "Changes a token",
    usage: &["[options] -accessor-id=<id>"],
    about: "Changes a token and prints it. What is not said stays as it is; -policy-id and -policy-name replace all \
            policies, -service-identity and -node-identity all identities of their kind, the -append flags add to them.",
    flags: &[
        ACCESSOR_ID,
        Flag::list("append-node-identity", "Node the token is to speak for, too.").placeholder("<name:dc>"),
        Flag::list("append-policy-id", "Id of a policy to add.").placeholder("<id>"),
        Flag::list("append-policy-name", "Name of a policy to add.").placeholder("<name>"),
        Flag::list("append-service-identity", "Service the token is to speak for, too.")
            .placeholder("<name[:dc1,dc2]>"),
        DESCRIPTION,
        FORMAT,
        ID,
        Flag::switch(
            "merge-node-identities",
            "Add the nodes instead of replacing; prefer the -append flags.",
        ),
        Flag::switch("merge-policies", "Add the policies instead of replacing; prefer the -append flags."),
        Flag::switch(
            "merge-service-identities",
            "Add the services instead of replacing; prefer the -append flags.",
        ),
        META,
        NODE_IDENTITY,
        POLICY_ID,
        POLICY_NAME,
        ROLE_ID,
        ROLE_NAME,
        SERVICE_IDENTITY,
    ],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let (values, options) = (&call.values, call.options());
    let id = accessor(named(call)?, client, &options).await?;
    let before = client.acl_token(&id, &options).await.map_err(Failure::api("read the token"))?.value;
    let own = policies(values.list("policy-id"), values.list("policy-name"), client, &options).await?;
    let added =
        policies(values.list("append-policy-id"), values.list("append-policy-name"), client, &options)
            .await?;
    if !own.is_empty() && !added.is_empty() {
        return Err(
            call.usage("the -append flags add to the policies and -policy-id, -policy-name replace them")
        );
    }
    let kept = own.is_empty() || values.switch("merge-policies");
    let mut links: Vec<Value> =
        if kept { before.policies.iter().map(|link| json!({"ID": link.id})).collect() } else { Vec::new() };
    for link in own.into_iter().chain(added) {
        let there =
            kept && before.policies.iter().any(|old| link["ID"] == old.id || link["Name"] == old.name);
        if !there {
            links.push(link);
        }
    }
    let mut body = Map::new();
    body.insert("AccessorID".to_owned(), json!(id));
    body.insert(
        "Description".to_owned(),
        json!(values.optional("description").unwrap_or(&before.description)),
    );
    body.insert("Local".to_owned(), json!(before.local));
    if !before.expiration_time.is_zero() {
        body.insert("ExpirationTime".to_owned(), json!(before.expiration_time));
    }
    body.insert("Policies".to_owned(), Value::Array(links));
    add_grants(values, &mut body)?;
    keep_identities(call, &before, &mut body)?;
    let token =
        client.acl_token_update(&id, &body, &options).await.map_err(Failure::api("change the token"))?;
    if !call.wants_json() {
        io.line("Token updated successfully.")?;
    }
    show(&token.value, call, io)
}

/// Identities stay as they are unless others replace them, or are added.
fn keep_identities(
    call: &Invocation<'_>,
    before: &Token,
    body: &mut Map<String, Value>,
) -> Result<(), Failure> {
    let services = before.service_identities.iter().map(|one| json!(one)).collect::<Vec<_>>();
    let nodes = before.node_identities.iter().map(|one| json!(one)).collect::<Vec<_>>();
    let more_services = call.values.list("append-service-identity").iter().map(|text| service_identity(text));
    let more_nodes = call.values.list("append-node-identity").iter().map(|text| node_identity(text));
    let more_nodes = more_nodes.collect::<Result<Vec<_>, _>>()?;
    for (key, flag, merge, before, more) in [
        (
            "ServiceIdentities",
            "service-identity",
            "merge-service-identities",
            services,
            more_services.collect::<Vec<_>>(),
        ),
        ("NodeIdentities", "node-identity", "merge-node-identities", nodes, more_nodes),
    ] {
        if call.values.switch(merge)
            && more.is_empty()
            && let Some(Value::Array(given)) = body.get_mut(key)
        {
            let kept = before.into_iter().filter(|one| !given.contains(one)).collect::<Vec<_>>();
            given.splice(0..0, kept);
            continue;
        }
        match (body.contains_key(key), more.is_empty()) {
            (true, false) => {
                return Err(
                    call.usage(format!("-append-{flag} adds to the identities and -{flag} replaces them"))
                );
            }
            (true, true) => {}
            (false, _) if before.is_empty() && more.is_empty() => {}
            (false, _) => {
                let added = more.into_iter().filter(|one| !before.contains(one)).collect::<Vec<_>>();
                body.insert(key.to_owned(), before.iter().cloned().chain(added).collect());
            }
        }
    }
    Ok(())
}
