//! `acl token read`.

use concord_acl::identity;
use concord_api::acl::{Policy, PolicyLink, TokenExpanded};
use concord_client::Client;

use super::{ACCESSOR_ID, ID, named, show};
use crate::cli::Io;
use crate::cli::acl::{META, accessor, node_identity, service_identity, token_fields};
use crate::cli::command::{Command, FORMAT, Invocation, Run};
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::flag::Flag;
use crate::cli::print::{self, Fields};

pub(crate) static READ: Command = Command {
    name: "acl token read",
    synopsis: "Prints a token",
    usage: &["[options] -accessor-id=<id>", "[options] -self"],
    about: "Prints a token. Its secret is hidden from those who may not write tokens; -self shows one's own.",
    flags: &[
        ACCESSOR_ID,
        Flag::switch(
            "expanded",
            "Print the rules of its policies and identities, and what holds beside them. Goes with -accessor-id.",
        ),
        FORMAT,
        ID,
        META,
        Flag::switch("self", "The token this request is made with."),
    ],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let options = call.options();
    let expanded = call.values.switch("expanded");
    if call.values.switch("self") {
        if expanded {
            return Err(call.usage("-expanded goes with -accessor-id, not with -self"));
        }
        let own = client.acl_token_self(&options).await.map_err(Failure::api("read the token"))?.value;
        return show(&own, call, io);
    }
    let id = accessor(named(call)?, client, &options).await?;
    if expanded {
        let token =
            client.acl_token_expanded(&id, &options).await.map_err(Failure::api("read the token"))?.value;
        return show_expanded(&token, call, io);
    }
    let token = client.acl_token(&id, &options).await.map_err(Failure::api("read the token"))?.value;
    show(&token, call, io)
}

fn show_expanded(expanded: &TokenExpanded, call: &Invocation<'_>, io: &mut Io) -> Outcome {
    if call.wants_json() {
        return print::json(expanded, io);
    }
    let TokenExpanded { token, expanded_policies, .. } = expanded;
    let mut fields = token_fields(token, call.values.switch("meta"));
    if !token.policies.is_empty() {
        fields.head("Policies");
    }
    for PolicyLink { id, name } in &token.policies {
        fields.below(1, "Policy Name", name);
        fields.below(2, "ID", id);
        if let Some(Policy { description, rules, .. }) = expanded_policies.iter().find(|one| one.id == *id) {
            fields.below(2, "Description", description);
            add_rules(&mut fields, rules);
        }
    }
    if !token.service_identities.is_empty() {
        fields.head("Service Identities");
    }
    for one in &token.service_identities {
        fields.below(1, "Name", service_identity(one));
        add_rules(&mut fields, &identity::service_rules(&one.service_name));
    }
    if !token.node_identities.is_empty() {
        fields.head("Node Identities");
    }
    for one in &token.node_identities {
        fields.below(1, "Name", node_identity(one));
        add_rules(&mut fields, &identity::node_rules(&one.node_name));
    }
    fields.head("Beside them, at the agent that answered");
    fields.below(1, "Resolved By Agent", &expanded.resolved_by_agent);
    fields.below(1, "Default Policy", &expanded.agent_acl_default_policy);
    fields.below(1, "Down Policy", &expanded.agent_acl_down_policy);
    io.text(&fields.finish())?;
    Ok(Exit::SUCCESS)
}

/// Adds rules as written, with each line indented.
fn add_rules(fields: &mut Fields, rules: &str) {
    fields.below(2, "Rules", "");
    for line in rules.trim_matches('\n').lines() {
        fields.line_below(3, line);
    }
}
