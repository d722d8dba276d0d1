//! `intention get`.

use concord_api::intention::Intention;
use concord_client::Client;

use super::{action, destination, source};
use crate::cli::Io;
use crate::cli::command::{Command, FORMAT, Invocation, Run};
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::print::{self, Fields};

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
    io.text(&text(&intention)?)?;
    Ok(Exit::SUCCESS)
}

fn text(intention: &Intention) -> Result<String, Failure> {
    let mut values = vec![
        ("Source".to_owned(), source(intention)),
        ("Destination".to_owned(), destination(intention)),
        ("Action".to_owned(), action(intention)),
        ("ID".to_owned(), intention.id.clone()),
        ("Description".to_owned(), intention.description.clone()),
    ];
    values.extend(intention.meta.iter().map(|(key, value)| (format!("Meta[{key}]"), value.clone())));
    values.push(("Created At".to_owned(), print::local_time(intention.created_at)));
    values.push(("Precedence".to_owned(), intention.precedence.to_string()));
    values.retain(|(_, value)| !value.is_empty());
    let widest = values.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    // A colon follows the name, and two blanks follow the widest name.
    let mut fields = Fields::at(widest + 3);
    for (name, value) in &values {
        fields.field(name, value);
    }
    if !intention.permissions.is_empty() {
        let permissions = serde_json::to_string_pretty(&intention.permissions)
            .map_err(|error| Failure::input(format!("the permissions cannot be written as JSON: {error}")))?;
        fields.head("Permissions");
        fields.block(&permissions);
    }
    Ok(fields.finish())
}
