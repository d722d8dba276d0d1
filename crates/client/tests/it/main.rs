//! Tests of the client against real sockets: TCP, unix, TLS, and servers that misbehave.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it set it up")]

mod endpoints;
mod exchange;
mod tls;
mod trouble;

use std::sync::Arc;

use concord_client::testing::{Scripted, ScriptedServer, Seen};
use concord_client::{Address, Client, Config};
use concord_runtime::{Scope, TokioClock};

fn scope() -> Scope {
    Scope::new("test", Arc::new(TokioClock::new()))
}

/// A server that answers according to a script, and a client for it with settings from `configure`.
async fn pair(
    script: impl Fn(&Seen) -> Scripted + Send + Sync + 'static,
    configure: impl FnOnce(&mut Config),
) -> (ScriptedServer, Client) {
    let scope = scope();
    let server = ScriptedServer::new(script);
    let address = server.listen(&scope, None).await.unwrap();
    let mut config = Config::new(Address::parse(&address.to_string()).unwrap());
    configure(&mut config);
    (server, Client::new(config, &scope).unwrap())
}
