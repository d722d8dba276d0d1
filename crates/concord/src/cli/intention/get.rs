//! `intention get`.

use concord_client::Client;

use super::{action, destination, source};
use crate::cli::Io;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::invocation::Invocation;
use crate::cli::print::{self, Fields};
use crate::cli::table::{Command, FORMAT, Run};

pub(crate) static GET: Command = Command {
    name: "intention get",
    synopsis: "Prints an intention",
    usage: &["[options] SRC DST", "[options] ID"],
    about: "Prints the intention from SRC to DST. The form with an id is for intentions of the older API.",
    flags: &[FORMAT],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    let options = call.options();
    let found = if let [id] = call.values.arguments.as_slice() {
        client.intention_by_id(id, &options).await
    } else {
        let [from, to] = call.arguments("SRC and DST")?;
        client.intention_exact(from, to, &options).await
    };
    let intention = found.map_err(Failure::api("read the intention"))?.value;
    if call.wants_json() {
        return print::json(&intention, io);
    }
    let mut fields = Fields::at(14);
    fields.field("Source", source(&intention));
    fields.field("Destination", destination(&intention));
    fields.field("Action", action(&intention));
    fields.field("Precedence", intention.precedence);
    fields.optional("ID", &intention.id);
    fields.optional("Description", &intention.description);
    for (key, value) in &intention.meta {
        fields.field(&format!("Meta[{key}]"), value);
    }
    io.text(&fields.finish())?;
    Ok(Exit::SUCCESS)
}
