//! `acl policy create`.

use concord_client::Client;
use serde_json::{Map, json};

use super::{DESCRIPTION, NAME, RULES, VALID_DATACENTER, show};
use crate::cli::acl::META;
use crate::cli::command::{Command, FORMAT, Invocation, Run};
use crate::cli::failure::{Failure, Outcome};
use crate::cli::{Io, files};

pub(crate) static CREATE: Command = Command {
    name: "acl policy create",
    synopsis: "Makes a policy",
    usage: &["[options] -name=<name>"],
    about: "Makes a policy and prints it.",
    flags: &[DESCRIPTION, FORMAT, META, NAME, RULES, VALID_DATACENTER],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let mut body = Map::new();
    body.insert("Name".to_owned(), json!(call.required("name")?));
    body.insert("Description".to_owned(), json!(call.values.text("description")));
    body.insert("Rules".to_owned(), json!(files::text_or_file(call.values.text("rules"), io)?));
    if !call.values.list("valid-datacenter").is_empty() {
        body.insert("Datacenters".to_owned(), json!(call.values.list("valid-datacenter")));
    }
    let policy =
        client.acl_policy_create(&body, &call.options()).await.map_err(Failure::api("make the policy"))?;
    show(&policy.value, call, io)
}
