//! `intention delete`.

use concord_client::Client;

use crate::cli::Io;
use crate::cli::command::{Command, Invocation, Run};
use crate::cli::failure::{Exit, Failure, Outcome};

pub(crate) static DELETE: Command = Command {
    name: "intention delete",
    synopsis: "Deletes an intention",
    usage: &["[options] SRC DST", "[options] ID"],
    about: "Deletes the intention from SRC to DST. The form with an id is for intentions of the older API.",
    flags: &[],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(run(call, client, io))),
};

async fn run(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    let options = call.options();
    let done = if let [id] = call.values.arguments.as_slice() {
        client.intention_delete_by_id(id, &options).await
    } else {
        let [source, destination] = call.arguments("SRC and DST")?;
        client.intention_delete(source, destination, &options).await
    };
    done.map_err(Failure::api("delete the intention"))?;
    io.line("Intention deleted.")?;
    Ok(Exit::SUCCESS)
}
