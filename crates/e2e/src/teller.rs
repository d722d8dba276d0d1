//! A service that tells who it is and what it was asked, in JSON over HTTP/1.1, and a client for it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::patience::HANG;

/// Longest header block that it reads.
const HEAD_MAX: u64 = 64 * 1024;

/// A running service. `/status/<code>` answers with this code, `/slow/<milliseconds>` after this time.
#[derive(Debug)]
pub struct Teller {
    addr: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Told {
    /// The status.
    pub status: u16,
    /// The headers, with lower-case names.
    pub headers: Vec<(String, String)>,
    /// What the service says of the request: `name`, `method`, `path`, `headers`. `null` if the answer is not JSON.
    pub said: Value,
}

impl Teller {
    /// Starts a service with this name on a free port.
    pub fn new(name: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let addr = listener.local_addr().expect("a bound address");
        let stop = Arc::<AtomicBool>::default();
        let (shared, name) = (Arc::clone(&stop), name.to_owned());
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(stream) = stream {
                    let name = name.clone();
                    // The thread ends when its peer, which the test owns, closes the connection.
                    thread::spawn(move || serve(stream, &name));
                }
            }
        });
        Self { addr, stop, thread: Some(thread) }
    }

    /// The address on which it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect_timeout(&self.addr, Duration::from_secs(1));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(stream: TcpStream, name: &str) {
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    while let Ok(Some((first, headers))) = head(&mut reader) {
        let mut words = first.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length.and_then(|(_, text)| text.parse().ok()).unwrap_or(0);
        if io::copy(&mut reader.by_ref().take(length), &mut io::sink()).is_err() {
            return;
        }
        let number = |prefix: &str| path.strip_prefix(prefix).and_then(|text| text.parse::<u64>().ok());
        thread::sleep(Duration::from_millis(number("/slow/").unwrap_or(0)));
        let status = number("/status/").unwrap_or(200);
        let headers: Map<_, _> = headers.into_iter().map(|(name, value)| (name, json!(value))).collect();
        let body = json!({ "name": name, "method": method, "path": path, "headers": headers }).to_string();
        let answer = format!(
            "HTTP/1.1 {status} Told\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if writer.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// Asks at an address, on a connection of its own.
pub fn ask(addr: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> io::Result<Told> {
    let mut stream = TcpStream::connect_timeout(&addr, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(HANG))?;
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: mesh\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes())?;
    let mut reader = BufReader::new(stream);
    let (first, headers) = head(&mut reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = first.split(' ').nth(1).and_then(|code| code.parse().ok());
    let mut body = Vec::new();
    reader.read_to_end(&mut body)?;
    Ok(Told {
        status: status.ok_or_else(|| io::Error::other(format!("no status: {first}")))?,
        headers,
        said: serde_json::from_slice(&body).unwrap_or_default(),
    })
}

/// The first line of a message, and its headers with lower-case names.
type Head = (String, Vec<(String, String)>);

/// The head of a message; `None` at the end of the connection.
fn head(reader: &mut impl BufRead) -> io::Result<Option<Head>> {
    let mut lines = Vec::new();
    let mut limited = reader.take(HEAD_MAX);
    loop {
        let mut line = String::new();
        if limited.read_line(&mut line)? == 0 {
            return if lines.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() && !lines.is_empty() {
            break;
        }
        lines.push(line);
    }
    let pair = |line: &String| {
        let (name, value) = line.split_once(':')?;
        Some((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
    };
    Ok(Some((lines[0].clone(), lines[1..].iter().filter_map(pair).collect())))
}
