//! Which servers there are.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use concord_public_proto::serverdiscovery::{Server, WatchServersRequest, WatchServersResponse};
use concord_rpc::request::{ListServers, ReadyServer, Request};
use concord_rpc::{AnyReply, RpcError, Watching};
use futures::StreamExt;
use futures::stream;
use tonic::Status;

use super::call::{Answers, Call, refusal};

/// How long a watch waits before it looks again: the voters stand in no table whose change would wake it.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// A watch on the servers. It ends with an error when its token is not valid any more.
pub(super) struct Servers(Box<dyn Watching>);

impl Servers {
    pub(super) fn of(call: &Call) -> Self {
        let head = call.head.after(0, Some(LOOK_AGAIN));
        Self(std::sync::Arc::clone(&call.servers).watch_any(head, ListServers {}.into_any()))
    }

    /// The servers now, and then when something of them or of the token may have changed.
    pub(super) async fn next(&mut self) -> Result<Vec<ReadyServer>, Status> {
        let reply = |any: AnyReply| ListServers::reply_from_any(any);
        let answer = self.0.next().await.and_then(|answer| reply(answer.value));
        answer.map_err(|error: RpcError| refusal(&error))
    }
}

/// All servers, first at once and then at each change. Each stream begins with another server, so that not all clients
/// choose the same one.
pub(super) async fn watch(
    call: Call,
    asked: WatchServersRequest,
) -> Result<Answers<WatchServersResponse>, Status> {
    static STREAMS: AtomicUsize = AtomicUsize::new(0);
    let turn = STREAMS.fetch_add(1, Ordering::Relaxed);
    let mut watch = Servers::of(&call);
    let first = watch.next().await?;
    let told = shown(&first, asked.wan, turn);
    let later = stream::unfold(Some((watch, first)), move |state| async move {
        let (mut watch, last) = state?;
        loop {
            match watch.next().await {
                Ok(now) if now == last => {}
                Ok(now) => return Some((Ok(shown(&now, asked.wan, turn)), Some((watch, now)))),
                Err(status) => return Some((Err(status), None)),
            }
        }
    });
    Ok(stream::iter([Ok(told)]).chain(later).boxed())
}

fn shown(servers: &[ReadyServer], wan: bool, turn: usize) -> WatchServersResponse {
    let one = |server: &ReadyServer| Server {
        id: server.id.to_string(),
        address: if wan { server.wan_address.clone() } else { server.address.clone() },
        version: server.version.clone(),
    };
    let mut servers: Vec<_> = servers.iter().map(one).collect();
    if !servers.is_empty() {
        let by = turn % servers.len();
        servers.rotate_left(by);
    }
    WatchServersResponse { servers }
}

#[cfg(test)]
mod tests {
    use concord_model::Uuid;

    use super::*;

    #[test]
    fn each_stream_begins_with_another_server_and_addresses_are_as_asked_for() {
        let server = |number: u8| ReadyServer {
            id: Uuid([number; 16]),
            address: format!("10.0.0.{number}"),
            wan_address: format!("192.0.2.{number}"),
            version: "1.21.0".to_owned(),
        };
        let all = [server(1), server(2), server(3)];
        let addresses = |wan, turn| {
            let shown = shown(&all, wan, turn).servers;
            shown.into_iter().map(|one| one.address).collect::<Vec<_>>()
        };
        assert_eq!(addresses(false, 4), ["10.0.0.2", "10.0.0.3", "10.0.0.1"]);
        assert_eq!(addresses(true, 0), ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
        assert_eq!(shown(&[], false, 1), WatchServersResponse::default());
    }
}
