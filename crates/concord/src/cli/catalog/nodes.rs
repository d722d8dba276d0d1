//! `catalog nodes`: the nodes of a datacenter.

use concord_api::catalog::Node;
use concord_client::{Client, QueryOptions};

use super::super::Io;
use super::super::columns::Columns;
use super::super::command::{Command, Invocation, Run};
use super::super::failure::{Exit, Failure, Outcome};
use super::super::files;
use super::super::flag::Flag;
use super::{NODE_META, options, pairs};

pub(crate) static NODES: Command = Command {
    name: "catalog nodes",
    synopsis: "Lists the nodes",
    usage: &["[options]"],
    about: "Lists the nodes of a datacenter, all of them or those with a service.",
    flags: &[
        Flag::switch("detailed", "Print whole ids, further addresses and metadata."),
        Flag::text(
            "filter",
            "Only nodes this filter expression matches; @file, or - for the standard input.",
        )
        .placeholder("<expression>"),
        Flag::text("near", "Sort by the distance to this node; _agent is the agent's own.")
            .placeholder("<node>"),
        NODE_META,
        Flag::text("service", "Only nodes with this service.").placeholder("<name>"),
    ],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let values = &call.values;
    let filter = files::text_or_file(values.text("filter"), io)?;
    let options = QueryOptions { near: values.text("near").to_owned(), filter, ..options(call) };
    let nodes = match values.text("service") {
        "" => client.catalog_nodes(&options).await.map_err(Failure::api("list the nodes"))?.value,
        service => {
            let failed = Failure::api(format!("list the nodes of {service}"));
            let instances = client.catalog_service(service, &options).await.map_err(failed)?.value;
            let node = |one: concord_api::service::ServiceNode| Node {
                id: one.id,
                node: one.node,
                address: one.address,
                datacenter: one.datacenter,
                tagged_addresses: one.tagged_addresses,
                meta: one.node_meta,
                ..Node::default()
            };
            instances.into_iter().map(node).collect()
        }
    };
    // As in Consul, an empty list is not an error.
    if nodes.is_empty() {
        io.remark("No nodes match the given query - try expanding your search.")?;
        return Ok(Exit::SUCCESS);
    }
    let text = if values.switch("detailed") { detailed(&nodes) } else { plain(&nodes) };
    io.text(&text)?;
    Ok(Exit::SUCCESS)
}

fn plain(nodes: &[Node]) -> String {
    let mut table = Columns::new(["Node", "ID", "Address", "DC"]);
    for node in nodes {
        let id = node.id.split('-').next().unwrap_or_default();
        table.row([&node.node, id, &node.address, &node.datacenter]);
    }
    table.render()
}

fn detailed(nodes: &[Node]) -> String {
    let mut table = Columns::new(["Node", "ID", "Address", "DC", "TaggedAddresses", "Meta"]);
    for node in nodes {
        let (tagged, meta) = (pairs(&node.tagged_addresses), pairs(&node.meta));
        table.row([&node.node, &node.id, &node.address, &node.datacenter, &tagged, &meta]);
    }
    table.render()
}
