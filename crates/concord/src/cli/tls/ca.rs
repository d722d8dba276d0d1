//! `tls ca create`: creates a certificate authority.

use super::super::Io;
use super::super::command::{Command, Invocation, Run};
use super::super::failure::{Exit, Outcome};
use super::super::flag::Flag;
use super::make::{self, AuthorityTemplate};
use super::place;

pub(crate) static CREATE: Command = Command {
    name: "tls ca create",
    synopsis: "Makes an authority",
    usage: &["[options]"],
    about: "Makes an authority: <domain>-agent-ca.pem, which every agent and caller gets, and <domain>-agent-ca-key.pem, which \
            nobody gets. Files that are there already are left alone.",
    flags: &[
        Flag::integer("days", "Days it is valid for.").default("1825"),
        Flag::text("domain", "Domain of the cluster: part of the files' names, and of the constraints.")
            .placeholder("<name>")
            .default("consul"),
        Flag::text("common-name", "Its name; Consul Agent CA and its number if it is left out.")
            .placeholder("<name>"),
        Flag::text("cluster-id", "Id of the cluster, which with the domain gives the authority's SPIFFE id.")
            .placeholder("<uuid>"),
        Flag::switch(
            "name-constraint",
            "Let it sign for localhost and names below -domain and -additional-name-constraint only.",
        ),
        Flag::list("additional-name-constraint", "Another domain that it signs for. Needs -name-constraint.")
            .placeholder("<name>"),
    ],
    http: false,
    usage_code: 1,
    run: Run::Here(run),
};

fn run(call: &Invocation<'_>, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let values = &call.values;
    let domain = place::named("domain", call)?;
    let additional = values.list("additional-name-constraint");
    let constraints = match (values.switch("name-constraint"), additional) {
        (true, additional) => {
            additional.iter().map(String::as_str).chain([domain, "localhost"]).map(str::to_owned).collect()
        }
        (false, []) => Vec::new(),
        // Without `-name-constraint` the user would believe that the authority is limited to the additional domain.
        (false, _) => return Err(call.usage("-additional-name-constraint needs -name-constraint")),
    };
    let pair = [format!("{domain}-agent-ca.pem"), format!("{domain}-agent-ca-key.pem")];
    place::refuse_existing(&pair)?;
    let made = make::authority(AuthorityTemplate {
        common_name: values.text("common-name"),
        days: place::days(call)?,
        domain,
        cluster_id: values.text("cluster-id"),
        constraints,
    })?;
    place::save(&pair, &made, io)?;
    Ok(Exit::SUCCESS)
}
