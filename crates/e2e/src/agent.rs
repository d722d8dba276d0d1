//! An agent as a process: started, killed, started again at the same place.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::binary::binary;
use crate::http::Http;
use crate::patience::{eventually, pick_port, run};
use crate::process::Process;

/// How an agent is run.
#[derive(Clone, Debug, Default)]
pub struct AgentOptions {
    /// With `-dev`: nothing is kept. Otherwise a server with a data directory.
    pub dev: bool,
    /// Pieces of configuration, HCL.
    pub hcl: Vec<String>,
    /// More arguments.
    pub args: Vec<String>,
    /// The program to start; the one under test by default.
    pub program: Option<PathBuf>,
    /// Descriptors it may have.
    pub descriptors: Option<u32>,
    /// Its environment; otherwise it has none.
    pub env: Vec<(String, String)>,
}

/// An agent.
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
        assert_eq!(
            report["pid"].as_u64(),
            Some(u64::from(self.process.pid())),
            "the ready file names the process"
        );
        // The certificate authority comes up beside the log, a moment later.
        let http = self.http();
        eventually("there are roots", || {
            http.try_send("GET", "/v1/connect/ca/roots", None).ok().filter(|reply| reply.status == 200)
        });
    }

    /// Its HTTP API.
    pub fn http(&self) -> Http {
        Http::new(self.http)
    }

    /// Where its HTTP API is, `address:port`.
    pub fn http_addr(&self) -> String {
        self.http.to_string()
    }

    /// Where proxies attach.
    pub fn grpc_addr(&self) -> SocketAddr {
        self.grpc
    }

    /// Where its HTTP API is under TLS.
    pub fn https_addr(&self) -> SocketAddr {
        self.https.expect("it serves HTTPS")
    }

    /// Where proxies attach under TLS.
    pub fn grpc_tls_addr(&self) -> SocketAddr {
        self.grpc_tls.expect("it serves gRPC over TLS")
    }

    /// Name of its node.
    pub fn node(&self) -> &str {
        &self.name
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Runs a command of the program against it.
    pub fn cli(&self, args: &[&str]) -> Output {
        let (verbs, rest) = split_verbs(args);
        let address = format!("-http-addr={}", self.http);
        let words: Vec<&str> =
            verbs.iter().copied().chain([address.as_str()]).chain(rest.iter().copied()).collect();
        run(binary(), &words)
    }

    /// Runs a command that must succeed; gives its output.
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

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Ends it without warning.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Starts it again at the same addresses with the same data. Gives the time from the start of the
    /// process until a consistent read succeeded.
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

/// A command with a limit of descriptors. The shell is replaced by the program: one process.
pub(crate) fn limited(program: &Path, descriptors: u32) -> Command {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"")).arg(program);
    command
}

/// The verbs of a command line, then what follows them: flags stand between.
fn split_verbs<'a>(args: &'a [&'a str]) -> (&'a [&'a str], &'a [&'a str]) {
    let two = ["intention", "services", "config", "connect", "acl", "catalog"];
    let three = [("acl", "token"), ("acl", "policy"), ("connect", "ca")];
    let count = match args {
        [a, b, ..] if three.contains(&(*a, *b)) => 3,
        [a, ..] if two.contains(a) => 2,
        _ => 1,
    };
    args.split_at(count.min(args.len()))
}
