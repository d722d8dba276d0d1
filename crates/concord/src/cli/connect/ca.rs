//! `connect ca`: the configuration of the certificate authority.

use concord_client::Client;
use serde_json::Value;

use crate::cli::command::{Command, Invocation, Run};
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::flag::Flag;
use crate::cli::{Io, files, print};

pub(crate) static GROUP: Command = Command::group(
    "connect ca",
    "Shows and changes the configuration of the certificate authority",
    "Shows and changes the configuration of the certificate authority. A change that needs a new root rotates to it \
     without breaking connections.",
);

pub(crate) static GET_CONFIG: Command = Command {
    name: "connect ca get-config",
    synopsis: "Prints the configuration of the certificate authority",
    usage: &["[options]"],
    about: "Prints the configuration of the certificate authority as JSON, without its secrets.",
    flags: &[],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(get(call, client, io))),
};

pub(crate) static SET_CONFIG: Command = Command {
    name: "connect ca set-config",
    synopsis: "Changes the configuration of the certificate authority",
    usage: &["[options] -config-file=<path>"],
    about: "Changes the configuration of the certificate authority to that of a file, JSON or HCL, with Provider and \
            Config; - stands for the standard input.",
    flags: &[
        Flag::text("config-file", "File with the new configuration.").placeholder("<path>"),
        Flag::switch(
            "force-without-cross-signing",
            "Rotate even if the old root cannot sign the new one. Connections may fail until everybody has the new root.",
        ),
        Flag::switch(
            "force-without-oldest-root",
            "Rotate even if the oldest of 32 earlier roots has to go while leaves that it signed are valid. Who presents \
             such a leaf is refused until it has a new one.",
        ),
    ],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(set(call, client, io))),
};

async fn get(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let config = client
        .ca_config(&call.options())
        .await
        .map_err(Failure::api("read the configuration of the certificate authority"))?;
    print::json(&config.value, io)
}

async fn set(call: &Invocation<'_>, client: &Client, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let path = call.required("config-file")?;
    let Value::Object(mut body) = files::value(&files::tree(path, io)?) else {
        return Err(Failure::input(format!(
            "{}: expected an object with Provider and Config",
            files::shown(path)
        )));
    };
    if call.values.switch("force-without-cross-signing") {
        body.insert("ForceWithoutCrossSigning".to_owned(), Value::Bool(true));
    }
    if call.values.switch("force-without-oldest-root") {
        body.insert("ForceWithoutOldestRoot".to_owned(), Value::Bool(true));
    }
    client
        .ca_config_set(&Value::Object(body), &call.options())
        .await
        .map_err(Failure::api("change the configuration of the certificate authority"))?;
    io.line("Configuration updated!")?;
    Ok(Exit::SUCCESS)
}
