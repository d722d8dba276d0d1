//! `acl token update`: fields without a flag do not change.

use concord_api::acl::Token;
use concord_client::Client;
use serde_json::{Map, Value, json};

use super::{
    ACCESSOR_ID, DESCRIPTION, ID, NODE_IDENTITY, POLICY_ID, POLICY_NAME, ROLE_ID, ROLE_NAME,
    SERVICE_IDENTITY, VARIABLE, named, node_identities, policies, service_identities, show,
};
use crate::cli::acl::{META, accessor};
use crate::cli::command::{Command, FORMAT, Invocation, Run};
use crate::cli::failure::{Failure, Outcome};
use crate::cli::flag::{Flag, Values};
use crate::cli::{Io, unbuilt};

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
        Flag::list("append-role-id", "Id of a role to add.").placeholder("<id>").unbuilt(unbuilt::ROLES),
        Flag::list("append-role-name", "Name of a role to add.")
            .placeholder("<name>")
            .unbuilt(unbuilt::ROLES),
        Flag::list("append-service-identity", "Service the token is to speak for, too.")
            .placeholder("<name[:dc1,dc2]>"),
        Flag::text("append-templated-policy", "Templated policy to add.")
            .placeholder("<name>")
            .unbuilt(unbuilt::TEMPLATED_POLICIES),
        Flag::text("append-templated-policy-file", "File with templated policies to add.")
            .placeholder("<path>")
            .unbuilt(unbuilt::TEMPLATED_POLICIES),
        DESCRIPTION,
        FORMAT,
        ID,
        Flag::switch(
            "merge-node-identities",
            "Add the nodes instead of replacing; prefer the -append flags.",
        ),
        Flag::switch("merge-policies", "Add the policies instead of replacing; prefer the -append flags."),
        Flag::switch("merge-roles", "Add the roles instead of replacing.").unbuilt(unbuilt::ROLES),
        Flag::switch(
            "merge-service-identities",
            "Add the services instead of replacing; prefer the -append flags.",
        ),
        META,
        NODE_IDENTITY,
        POLICY_ID,
        POLICY_NAME,
        Flag::text("replace-templated-policy", "Templated policy instead of those there are.")
            .placeholder("<name>")
            .unbuilt(unbuilt::TEMPLATED_POLICIES),
        Flag::text(
            "replace-templated-policy-file",
            "File with templated policies instead of those there are.",
        )
        .placeholder("<path>")
        .unbuilt(unbuilt::TEMPLATED_POLICIES),
        ROLE_ID,
        ROLE_NAME,
        SERVICE_IDENTITY,
        VARIABLE,
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
    for (key, identities) in
        [("ServiceIdentities", services(call, &before)?), ("NodeIdentities", nodes(call, &before)?)]
    {
        if !identities.is_empty() {
            body.insert(key.to_owned(), Value::Array(identities));
        }
    }
    let token =
        client.acl_token_update(&id, &body, &options).await.map_err(Failure::api("change the token"))?;
    show(&token.value, call, io)
}

/// The service identities after the update. An added one replaces an existing one of the same name.
fn services(call: &Invocation<'_>, before: &Token) -> Result<Vec<Value>, Failure> {
    let before = before.service_identities.iter().map(|one| json!(one)).collect();
    let given = given(call, "service-identity", service_identities)?;
    let adds = call.values.switch("merge-service-identities");
    Ok(changed(before, given, adds, |a, b| a["ServiceName"] == b["ServiceName"]))
}

/// The node identities after the update.
fn nodes(call: &Invocation<'_>, before: &Token) -> Result<Vec<Value>, Failure> {
    let before = before.node_identities.iter().map(|one| json!(one)).collect();
    let given = given(call, "node-identity", node_identities)?;
    let adds = call.values.switch("merge-node-identities");
    Ok(changed(before, given, adds, |a, b| a == b))
}

/// Identities from a flag.
struct Given {
    identities: Vec<Value>,
    /// They come from the flag that adds.
    to_add: bool,
}

fn given(
    call: &Invocation<'_>,
    flag: &str,
    read: impl Fn(&str, &Values) -> Result<Vec<Value>, Failure>,
) -> Result<Given, Failure> {
    let adding = format!("append-{flag}");
    let (own, more) = (read(flag, &call.values)?, read(&adding, &call.values)?);
    match (own.is_empty(), more.is_empty()) {
        (false, false) => {
            Err(call.usage(format!("-append-{flag} adds to the identities and -{flag} replaces them")))
        }
        (_, true) => Ok(Given { identities: own, to_add: false }),
        (true, false) => Ok(Given { identities: more, to_add: true }),
    }
}

/// Existing identities are kept, unless the flags replace them or add to them.
fn changed(
    before: Vec<Value>,
    given: Given,
    adds: bool,
    same: impl Fn(&Value, &Value) -> bool,
) -> Vec<Value> {
    let Given { identities, to_add } = given;
    if !(identities.is_empty() || to_add || adds) {
        return identities;
    }
    let mut all = before;
    for identity in identities {
        match all.iter_mut().find(|old| same(old, &identity)) {
            Some(old) => *old = identity,
            None => all.push(identity),
        }
    }
    all
}
