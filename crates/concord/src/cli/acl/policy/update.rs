//! `acl policy update`: fields without a flag do not change, unless `-no-merge` is given.

use concord_client::Client;
use serde_json::{Map, json};

use super::{DESCRIPTION, ID, NAME, RULES, VALID_DATACENTER, id_of, show};
use crate::cli::acl::META;
use crate::cli::command::{Command, FORMAT, Invocation, Run};
use crate::cli::failure::{Failure, Outcome};
use crate::cli::flag::Flag;
use crate::cli::{Io, files};

pub(crate) static UPDATE: Command = Command {
    name: "acl policy update",
    synopsis: "Changes a policy",
    usage: &["[options] -id=<id>", "[options] -name=<name>"],
    about: "Changes a policy and prints it. What is not said stays as it is. To rename it, give both -id and -name.",
    flags: &[
        DESCRIPTION,
        FORMAT,
        ID,
        META,
        NAME,
        Flag::switch("no-merge", "Replace everything but the id by what is said here."),
        RULES,
        VALID_DATACENTER,
    ],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let (values, options) = (&call.values, call.options());
    let id = id_of(call, client, &options).await?;
    let before = client.acl_policy(&id, &options).await.map_err(Failure::api("read the policy"))?.value;
    let merge = !values.switch("no-merge");
    let old = |text: String| if merge { text } else { String::new() };
    let rules = match values.optional("rules") {
        Some(rules) => files::text_or_file(rules, io)?,
        None => old(before.rules),
    };
    let datacenters = match values.list("valid-datacenter") {
        [] if merge => before.datacenters,
        given => given.to_vec(),
    };
    let mut body = Map::new();
    body.insert("ID".to_owned(), json!(id));
    body.insert("Name".to_owned(), json!(values.optional("name").map_or(before.name, str::to_owned)));
    let description = values.optional("description").map_or_else(|| old(before.description), str::to_owned);
    body.insert("Description".to_owned(), json!(description));
    body.insert("Rules".to_owned(), json!(rules));
    body.insert("Datacenters".to_owned(), json!(datacenters));
    let policy = client
        .acl_policy_update(&id, &body, &options)
        .await
        .map_err(Failure::api("change the policy"))?
        .value;
    show(&policy, call, io)
}
