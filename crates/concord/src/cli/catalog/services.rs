//! `catalog services`: the services of a datacenter.

use std::collections::BTreeMap;

use concord_client::Client;

use super::super::Io;
use super::super::command::{Command, Invocation, Run};
use super::super::failure::{Exit, Failure, Outcome};
use super::super::flag::Flag;
use super::{NODE_META, options};

/// Blanks between a name and its tags, as in Consul.
const GAP: usize = 6;

pub(crate) static SERVICES: Command = Command {
    name: "catalog services",
    synopsis: "Lists the services",
    usage: &["[options]"],
    about: "Lists the services of a datacenter by name, all of them or those on one node.",
    flags: &[
        Flag::text("node", "Only services on this node.").placeholder("<name>"),
        NODE_META,
        Flag::switch("tags", "Print the tags of each."),
    ],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let (values, options) = (&call.values, options(call));
    let services: BTreeMap<String, Vec<String>> = match values.text("node") {
        "" => client.catalog_services(&options).await.map_err(Failure::api("list the services"))?.value,
        node => {
            let failed = Failure::api(format!("list the services of {node}"));
            let mut found = BTreeMap::<String, Vec<String>>::new();
            let answer = client.catalog_node(node, &options).await.map_err(failed)?.value;
            for service in answer.map(|node| node.services).unwrap_or_default().into_values() {
                found.entry(service.service).or_default().extend(service.tags);
            }
            found
        }
    };
    if services.is_empty() {
        io.remark("No services match the given query - try expanding your search.")?;
        return Ok(Exit::SUCCESS);
    }
    let width = services.keys().map(|name| name.chars().count()).max().unwrap_or(0) + GAP;
    for (name, mut tags) in services {
        if values.switch("tags") {
            tags.sort();
            io.line(format!("{name:width$}{}", tags.join(",")).trim_end())?;
        } else {
            io.line(name)?;
        }
    }
    Ok(Exit::SUCCESS)
}
