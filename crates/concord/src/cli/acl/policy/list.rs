//! `acl policy list`.

use concord_client::Client;

use crate::cli::Io;
use crate::cli::acl::{META, hash};
use crate::cli::command::{Command, FORMAT, Invocation, Run};
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::print::{self, Fields};

/// The column of the values: three spaces further right than those of one policy.
const COLUMN: usize = 17;

pub(crate) static LIST: Command = Command {
    name: "acl policy list",
    synopsis: "Lists all policies",
    usage: &["[options]"],
    about: "Lists all policies, without their rules.",
    flags: &[FORMAT, META],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let policies =
        client.acl_policies(&call.options()).await.map_err(Failure::api("list the policies"))?.value;
    if call.wants_json() {
        return print::json(&policies, io);
    }
    for policy in &policies {
        let mut fields = Fields::at(COLUMN);
        fields.head(&policy.name);
        fields.field("   ID", &policy.id);
        fields.field("   Description", &policy.description);
        fields.field("   Datacenters", policy.datacenters.join(", "));
        if call.values.switch("meta") {
            fields.field("   Hash", hash(&policy.hash));
            fields.field("   Create Index", policy.create_index);
            fields.field("   Modify Index", policy.modify_index);
        }
        io.text(&fields.finish())?;
    }
    Ok(Exit::SUCCESS)
}
