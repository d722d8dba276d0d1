//! An agent as a process, which a test can start, kill and restart in the same place.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::binary::binary;
use crate::http::Http;
use crate::patience::{eventually, pick_port, run};
use crate::process::Process;

/// How to run an agent.
#[derive(Clone, Debug, Default)]
pub struct AgentOptions {
    /// Whether to run with `-dev`, which keeps no data. Otherwise the agent is a server with a data directory.
    pub dev: bool,
    /// Fragments of configuration in HCL.
    pub hcl: Vec<String>,
    /// Additional arguments.
    pub args: Vec<String>,
    /// The program to start. `None` means the program under test.
    pub program: Option<PathBuf>,
    /// Maximum number of file descriptors.
    pub descriptors: Option<u32>,
    /// The whole environment of the process.
    pub env: Vec<(String, String)>,
}

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    options: AgentOptions,
    name: String,
    log: PathBuf,
    ready: PathBuf,
    data: PathBuf,
    ports: (u16, u16),
    http: SocketAddr,
    grpc: SocketAddr,
    https: Option<SocketAddr>,
    grpc_tls: Option<SocketAddr>,
    names: Option<SocketAddr>,
    process: Process,
}

impl Agent {
    pub(crate) fn start(dir: &Path, name: &str, options: AgentOptions) -> Self {
        let (log, ready) = (dir.join(format!("{name}.log")), dir.join(format!("{name}.ready")));
        let data = dir.join(format!("{name}-data"));
        let ports = (pick_port(), pick_port());
        let process = Self::spawn(&options, name, &log, &ready, &data, ports);
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut agent = Self {
            options,
            name: name.to_owned(),
            log,
            ready,
            data,
            ports,
            http: nowhere,
            grpc: nowhere,
            https: None,
            grpc_tls: None,
            names: None,
            process,
        };
        agent.await_ready();
        agent
    }

    fn spawn(
        options: &AgentOptions,
        name: &str,
        log: &Path,
        ready: &Path,
        data: &Path,
        ports: (u16, u16),
    ) -> Process {
        let program = options.program.as_deref().unwrap_or_else(|| binary());
        let mut command = match options.descriptors {
            None => Command::new(program),
            Some(limit) => limited(program, limit),
        };
        command
            .env_clear()
            .envs(options.env.iter().cloned())
            .args(["agent", "-log-level=info"])
            .arg(format!("-node={name}"));
        command.arg(format!("-ready-file={}", ready.display()));
        if options.dev {
            command.args(["-dev", "-ephemeral-ports"]);
        } else {
            command.args(["-server", "-bootstrap-expect=1", "-bind=127.0.0.1", "-client=127.0.0.1"]);
            command.arg(format!("-data-dir={}", data.display()));
            command.arg(format!("-http-port={}", ports.0)).arg(format!("-grpc-port={}", ports.1));
        }
        for hcl in &options.hcl {
            command.arg("-hcl").arg(hcl);
        }
        command.args(&options.args);
        Process::start(name, &mut command, log)
    }

    #[track_caller]
    fn await_ready(&mut self) {
        let (process, ready) = (&mut self.process, &self.ready);
        let report = eventually("the agent is ready", || {
            if let Some(status) = process.ended() {
                panic!("the agent ended: {status}\n{}", process.tail());
            }
            std::fs::read(ready).ok()
        });
        let report: Value = serde_json::from_slice(&report).expect("the ready file is JSON");
        let first = |key: &str| report[key][0].as_str().map(|text| text.parse().expect("an address"));
        self.http = first("http").expect("HTTP is served");
        self.grpc = first("grpc").unwrap_or(self.grpc);
        self.https = first("https");
        self.grpc_tls = first("grpc_tls");
        self.names = first("dns");
        assert_eq!(
            report["pid"].as_u64(),
            Some(u64::from(self.process.pid())),
            "the ready file names the process"
        );
        // The certificate authority starts a moment after the log.
        let http = self.http();
        eventually("there are roots", || {
            http.try_send("GET", "/v1/connect/ca/roots", None).ok().filter(|reply| reply.status == 200)
        });
    }

    /// Where DNS is answered.
    pub fn dns_addr(&self) -> SocketAddr {
        self.names.expect("DNS is served")
    }

    /// A client of the agent's HTTP API.
    pub fn http(&self) -> Http {
        Http::new(self.http)
    }

    /// The address of the HTTP API, `address:port`.
    pub fn http_addr(&self) -> String {
        self.http.to_string()
    }

    /// The address to which proxies connect.
    pub fn grpc_addr(&self) -> SocketAddr {
        self.grpc
    }

    /// The address of the HTTP API under TLS.
    pub fn https_addr(&self) -> SocketAddr {
        self.https.expect("it serves HTTPS")
    }

    /// The address to which proxies connect under TLS.
    pub fn grpc_tls_addr(&self) -> SocketAddr {
        self.grpc_tls.expect("it serves gRPC over TLS")
    }

    /// Name of the agent's node.
    pub fn node(&self) -> &str {
        &self.name
    }

    /// The agent's data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Runs a command of the program against this agent.
    pub fn cli(&self, args: &[&str]) -> Output {
        let (verbs, rest) = split_verbs(args);
        let address = format!("-http-addr={}", self.http);
        let words: Vec<&str> =
            verbs.iter().copied().chain([address.as_str()]).chain(rest.iter().copied()).collect();
        run(binary(), &words)
    }

    /// Runs a command which must succeed, and returns its output.
    #[track_caller]
    pub fn cli_ok(&self, args: &[&str]) -> String {
        let ran = self.cli(args);
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(
            ran.status.success(),
            "{args:?}: {}\n{text}{}",
            ran.status,
            String::from_utf8_lossy(&ran.stderr)
        );
        text
    }

    /// The agent's process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Kills the process with SIGKILL.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Restarts the agent at the same addresses with the same data. Returns the time from the start of the process
    /// until a consistent read succeeded.
    pub fn restart(&mut self) -> Duration {
        assert!(!self.options.dev, "only an agent with a data directory comes back");
        assert!(self.process.ended().is_some(), "it still runs");
        let _ = std::fs::remove_file(&self.ready);
        let started = Instant::now();
        self.process = Self::spawn(&self.options, &self.name, &self.log, &self.ready, &self.data, self.ports);
        let (process, http) = (&mut self.process, Http::new(self.http));
        eventually("a consistent read succeeds", || {
            if let Some(status) = process.ended() {
                panic!("the agent ended: {status}\n{}", process.tail());
            }
            let read = http.try_send("GET", "/v1/catalog/nodes?consistent", None);
            read.ok().filter(|reply| reply.status == 200)
        });
        let took = started.elapsed();
        self.await_ready();
        took
    }
}

/// A command with a limit on file descriptors. The shell replaces itself with the program, so there is one process.
pub(crate) fn limited(program: &Path, descriptors: u32) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"")).arg(program);
    command
}

/// The verbs of a command line, and the rest. The caller puts its flags between the two.
fn split_verbs<'a>(args: &'a [&'a str]) -> (&'a [&'a str], &'a [&'a str]) {
    let two = ["intention", "services", "config", "connect", "acl", "catalog", "proxy"];
    let three = [("acl", "token"), ("acl", "policy"), ("connect", "ca")];
    let count = match args {
        [a, b, ..] if three.contains(&(*a, *b)) => 3,
        [a, ..] if two.contains(a) => 2,
        _ => 1,
    };
    args.split_at(count.min(args.len()))
}
