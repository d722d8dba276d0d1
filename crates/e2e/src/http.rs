//! An HTTP/1.1 client with blocking sockets, which lets a test see every byte.
//!
//! It does not retry: a test which counts acknowledged requests must know their number exactly.

use std::fmt::Debug;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;
use serde_json::Value;

use crate::patience::HANG;

/// Maximum length of an answer, in bytes.
const BODY_MAX: u64 = 64 << 20;
/// Timeout for connecting.
const CONNECT: Duration = Duration::from_secs(10);

/// An HTTP server.
#[derive(Clone, Debug)]
pub struct Http {
    addr: SocketAddr,
    token: Option<String>,
    tls: Option<Arc<ClientConfig>>,
}

/// A connection which several requests can use.
#[derive(Debug)]
pub struct Conn {
    stream: BufReader<Box<dyn Wire>>,
    token: Option<String>,
}

/// The transport of a connection.
trait Wire: Debug + Read + Send + Write {}
impl<T: Debug + Read + Send + Write> Wire for T {}

/// An answer of the server.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Headers as sent.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: String,
}

// === impl Http ===

impl Http {
    /// A server at an address.
    pub fn new(addr: SocketAddr) -> Self {
        Self { addr, token: None, tls: None }
    }

    /// A server at an address, under TLS, with the name `localhost`.
    pub fn secure(addr: SocketAddr, tls: Arc<ClientConfig>) -> Self {
        Self { addr, token: None, tls: Some(tls) }
    }

    /// The same server, with a token for all requests.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Opens a connection which several requests can use.
    pub fn connect(&self) -> io::Result<Conn> {
        let stream = TcpStream::connect_timeout(&self.addr, CONNECT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(HANG))?;
        stream.set_write_timeout(Some(HANG))?;
        let stream: Box<dyn Wire> = match &self.tls {
            None => Box::new(stream),
            Some(tls) => {
                let name = ServerName::try_from("localhost").expect("a name");
                let client = ClientConnection::new(Arc::clone(tls), name).map_err(io::Error::other)?;
                let mut stream = StreamOwned::new(client, stream);
                while stream.conn.is_handshaking() {
                    stream.conn.complete_io(&mut stream.sock)?;
                }
                Box::new(stream)
            }
        };
        Ok(Conn { stream: BufReader::new(stream), token: self.token.clone() })
    }

    /// Sends one request on a connection of its own.
    pub fn try_send(&self, method: &str, path: &str, body: Option<&str>) -> io::Result<Reply> {
        self.connect()?.request(method, path, &[("Connection", "close")], body)
    }

    /// Sends one request, which must be answered with any status.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, body: Option<&str>) -> Reply {
        match self.try_send(method, path, body) {
            Ok(reply) => reply,
            Err(error) => panic!("{method} {path}: {error}"),
        }
    }

    /// Sends a GET request.
    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None)
    }

    /// Sends a PUT request with a JSON body.
    #[track_caller]
    pub fn put(&self, path: &str, body: &Value) -> Reply {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        self.send("PUT", path, Some(&text))
    }

    /// Sends a POST request with a JSON body.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, Some(&body.to_string()))
    }
}

// === impl Conn ===

impl Conn {
    /// Uses another token from now on.
    pub fn set_token(&mut self, token: &str) {
        self.token = Some(token.to_owned());
    }

    /// Sends one request and returns the answer.
    pub fn send(&mut self, method: &str, path: &str, body: Option<&str>) -> io::Result<Reply> {
        self.request(method, path, &[], body)
    }

    pub(crate) fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> io::Result<Reply> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
        if let Some(token) = &self.token {
            head += &format!("X-Consul-Token: {token}\r\n");
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if let Some(body) = body {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        head += "\r\n";
        head += body.unwrap_or_default();
        self.stream.get_mut().write_all(head.as_bytes())?;
        self.reply(method == "HEAD")
    }

    fn reply(&mut self, bodiless: bool) -> io::Result<Reply> {
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let first = self.line()?;
        let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| wrong(&format!("no status in {first:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| wrong("a header without a colon"))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut reply = Reply { status, headers, body: String::new() };
        if bodiless || status == 204 || status == 304 {
            return Ok(reply);
        }
        let mut body = Vec::new();
        if let Some(length) = reply.header("Content-Length") {
            let length = length.parse().map_err(|_| wrong("a length that is no number"))?;
            self.take(length, &mut body)?;
        } else if reply.header("Transfer-Encoding") == Some("chunked") {
            loop {
                let line = self.line()?;
                let size = line.split(';').next().unwrap_or_default();
                let size = u64::from_str_radix(size, 16).map_err(|_| wrong("a chunk without size"))?;
                self.take(size, &mut body)?;
                if self.line()?.is_empty() && size == 0 {
                    break;
                }
            }
        } else {
            self.stream.by_ref().take(BODY_MAX).read_to_end(&mut body)?;
        }
        reply.body = String::from_utf8(body).map_err(|_| wrong("a body that is not UTF-8"))?;
        Ok(reply)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.by_ref().take(64 << 10).read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    fn take(&mut self, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
        if length > BODY_MAX {
            return Err(io::Error::other("an answer out of bounds"));
        }
        let found = self.stream.by_ref().take(length).read_to_end(body)?;
        if found as u64 == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

// === impl Reply ===

impl Reply {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The value of `X-Consul-Index`.
    #[track_caller]
    pub fn index(&self) -> u64 {
        let index = self.header("X-Consul-Index").and_then(|text| text.parse().ok());
        index.unwrap_or_else(|| panic!("no index: {self:?}"))
    }

    /// The body as JSON. The status must be 200.
    #[track_caller]
    pub fn json(&self) -> Value {
        self.ok();
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts that the status is 200.
    #[track_caller]
    pub fn ok(&self) -> &Self {
        assert_eq!(self.status, 200, "{self:?}");
        self
    }
}
