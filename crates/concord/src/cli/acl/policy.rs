//! `acl policy`: the rules that tokens link to.

mod create;
mod delete;
mod list;
mod read;
mod update;

pub(crate) use self::create::CREATE;
pub(crate) use self::delete::DELETE;
pub(crate) use self::list::LIST;
pub(crate) use self::read::READ;
pub(crate) use self::update::UPDATE;

use concord_api::acl::Policy;
use concord_client::{Client, QueryOptions};

use super::{POLICY_COLUMN, hash, policy_id};
use crate::cli::command::{Command, Invocation};
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::flag::Flag;
use crate::cli::print::Fields;
use crate::cli::{Io, print};

pub(crate) static GROUP: Command = Command::group(
    "acl policy",
    "Shows and changes policies",
    "Shows, makes, changes and deletes policies, which are rules under a name. Rules are HCL:\n\n    \
     service \"web\" { policy = \"write\" }\n    service_prefix \"\" { policy = \"read\" }",
);

const ID: Flag =
    Flag::text("id", "Id of the policy; its beginning will do if no other begins so.").placeholder("<id>");
const NAME: Flag = Flag::text("name", "Name of the policy.").placeholder("<name>");
const DESCRIPTION: Flag = Flag::text("description", "What people should know about the policy.");
const RULES: Flag =
    Flag::text("rules", "The rules; @ before a path takes them from the file, - from the standard input.")
        .placeholder("<rules>");
const VALID_DATACENTER: Flag =
    Flag::list("valid-datacenter", "Datacenter the policy is valid in; all if it is left out.")
        .placeholder("<name>");

/// The id of the policy named by `-id` or `-name`.
async fn id_of(call: &Invocation<'_>, client: &Client, options: &QueryOptions) -> Result<String, Failure> {
    match (call.values.text("id"), call.values.text("name")) {
        ("", "") => Err(call.usage("-id or -name is needed")),
        ("", name) => {
            let found = client.acl_policy_by_name(name, options).await;
            Ok(found.map_err(Failure::api("look the policy up"))?.value.id)
        }
        (id, _) => policy_id(id, client, options).await,
    }
}

fn show(policy: &Policy, call: &Invocation<'_>, io: &mut Io) -> Outcome {
    if call.wants_json() {
        return print::json(policy, io);
    }
    let mut fields = Fields::at(POLICY_COLUMN);
    fields.field("ID", &policy.id);
    fields.field("Name", &policy.name);
    fields.field("Description", &policy.description);
    fields.field("Datacenters", policy.datacenters.join(", "));
    if call.values.switch("meta") {
        fields.field("Hash", hash(&policy.hash));
        fields.field("Create Index", policy.create_index);
        fields.field("Modify Index", policy.modify_index);
    }
    fields.head("Rules");
    fields.block(&policy.rules);
    io.text(&fields.finish())?;
    Ok(Exit::SUCCESS)
}
