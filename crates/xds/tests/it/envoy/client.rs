//! Sends requests as they are, byte for byte, over one connection while Envoy keeps it.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use concord_mesh::request::Header;

use super::tokens;
use crate::made_request::Sent;

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    socket: PathBuf,
    open: Option<UnixStream>,
}

impl Client {
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self { socket, open: None }
    }

    /// The status of the answer, and the path that is sent on; 0 if Envoy closes the connection without an answer.
    pub(crate) fn ask(&mut self, sent: &Sent, headers: &[Header<'_>]) -> (u16, String) {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(sent.method.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(&sent.target);
        bytes.extend_from_slice(b" HTTP/1.1\r\n");
        for Header { name, value } in headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        for (provider, claims) in &sent.tokens {
            bytes.extend_from_slice(tokens::line(provider, claims).as_bytes());
        }
        if sent.method == "POST" {
            bytes.extend_from_slice(b"content-length: 0\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        self.send(&bytes)
    }

    fn send(&mut self, bytes: &[u8]) -> (u16, String) {
        let mut stream = self.open.take().unwrap_or_else(|| self.connect());
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            if let Some(status) = complete(&answer) {
                if !ends(&answer) {
                    self.open = Some(stream);
                }
                return (status, path(&answer));
            }
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => return (status(&answer).unwrap_or(0), path(&answer)),
                Ok(read) => answer.extend_from_slice(&buffer[..read]),
            }
        }
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

fn head(answer: &[u8]) -> Option<&str> {
    let end = answer.windows(4).position(|part| part == b"\r\n\r\n")?;
    std::str::from_utf8(&answer[..end]).ok()
}

fn status(answer: &[u8]) -> Option<u16> {
    head(answer)?.split(' ').nth(1)?.parse().ok()
}

fn path(answer: &[u8]) -> String {
    let head = head(answer).unwrap_or_default();
    head.lines().find_map(|line| line.strip_prefix("path: ")).unwrap_or_default().to_owned()
}

fn complete(answer: &[u8]) -> Option<u16> {
    let head = head(answer)?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    let whole = head.len() + 4 + length.parse::<usize>().unwrap();
    (answer.len() >= whole).then(|| status(answer)).flatten()
}

fn ends(answer: &[u8]) -> bool {
    head(answer).is_some_and(|head| head.contains("connection: close"))
}
