//! Sends requests over HTTP/2, as far as its own rules let them be said there.

#![allow(clippy::disallowed_methods, reason = "a real program takes real time")]

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use concord_mesh::request::Header;
use h2::client::SendRequest;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;

use super::tokens;
use crate::made_request::Sent;

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Http2 {
    runtime: Runtime,
    socket: PathBuf,
    open: Option<SendRequest<Bytes>>,
}

impl Http2 {
    pub(crate) fn new(socket: PathBuf) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { runtime, socket, open: None }
    }

    /// The request, if HTTP/2 can say it: with one host, which is its authority, and a path.
    pub(crate) fn request(sent: &Sent, headers: &[Header<'_>]) -> Option<http::Request<()>> {
        let hosts: Vec<_> = headers.iter().filter(|own| own.name == "host").collect();
        let [host] = hosts.as_slice() else { return None };
        if !sent.target.starts_with(b"/") {
            return None;
        }
        let uri = http::Uri::builder().scheme("http").authority(host.value).path_and_query(&*sent.target);
        let mut request = http::Request::builder().method(sent.method).uri(uri.build().ok()?);
        for own in headers.iter().filter(|own| own.name != "host") {
            request = request.header(own.name, own.value);
        }
        for (provider, claims) in &sent.tokens {
            let line = tokens::line(provider, claims);
            let (name, value) = line.trim_end().split_once(": ")?;
            request = request.header(name, value);
        }
        let request = request.version(http::Version::HTTP_2).body(()).ok()?;
        // What the library reads in another way is not this request.
        let is_same = request.uri().path_and_query()?.as_str().as_bytes() == sent.target
            && request.uri().authority()?.as_str().as_bytes() == host.value;
        is_same.then_some(request)
    }

    /// The status of the answer, and the path that is sent on; 0 if Envoy gives no answer.
    pub(crate) fn ask(&mut self, request: http::Request<()>) -> (u16, String) {
        let (socket, open) = (self.socket.clone(), self.open.take());
        let (answer, open) = self.runtime.block_on(async {
            let mut sender = match open {
                Some(open) => open,
                None => connect(&socket).await,
            };
            let answer = tokio::time::timeout(PATIENCE, one(&mut sender, request)).await.unwrap();
            let reusable = answer.is_ok();
            (answer.unwrap_or((0, String::new())), reusable.then_some(sender))
        });
        self.open = open;
        answer
    }
}

async fn connect(socket: &PathBuf) -> SendRequest<Bytes> {
    let stream = UnixStream::connect(socket).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    // It ends with the connection, at the latest with the runtime.
    tokio::spawn(async move { drop(connection.await) });
    sender
}

async fn one(
    sender: &mut SendRequest<Bytes>,
    request: http::Request<()>,
) -> Result<(u16, String), h2::Error> {
    let mut ready = sender.clone().ready().await?;
    let (answer, _) = ready.send_request(request, true)?;
    let answer = answer.await?;
    let path = answer.headers().get("path").map(|own| String::from_utf8_lossy(own.as_bytes()).into_owned());
    Ok((answer.status().as_u16(), path.unwrap_or_default()))
}
