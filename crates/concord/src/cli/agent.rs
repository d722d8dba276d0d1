//! `agent`: runs an agent. Its flags are one more layer of its configuration.

pub(crate) mod configuration;
#[cfg(test)]
mod page;

use super::command::{Command, Run};
use super::flag::Flag;

pub(crate) static AGENT: Command = Command {
    name: "agent",
    synopsis: "Runs an agent",
    usage: &["[options]"],
    about: "Runs an agent in the foreground until it is interrupted. Configuration comes from files and flags; flags \
            win. -dev runs a server that keeps nothing and, unless -client says otherwise, serves this machine only.",
    flags: FLAGS,
    http: false,
    usage_code: 1,
    run: Run::Here(crate::run::agent::run),
};

const FLAGS: &[Flag] = &[
    // The sources of the configuration.
    Flag::list("config-file", "Configuration file, HCL or JSON.").placeholder("<path>"),
    Flag::list(
        "config-dir",
        "Directory whose .hcl and .json files are read in the order of their names. Files and \
         directories are read as they follow each other; what is read later wins.",
    )
    .placeholder("<path>"),
    Flag::text("config-format", "Format of all configuration files, whatever their names.")
        .choices(&["hcl", "json"]),
    Flag::list("hcl", "Piece of configuration, HCL, read after the files.").placeholder("<hcl>"),
    Flag::switch("auto-reload-config", "Reload when a configuration file changes. Not available yet."),
    // The kind of agent.
    Flag::switch("dev", "Run a server for development, which keeps nothing."),
    Flag::switch("server", "Run a server."),
    Flag::switch("bootstrap", "Start a cluster with this server alone."),
    Flag::integer(
        "bootstrap-expect",
        "Number of servers to wait for before the cluster starts. Only 1 so far.",
    ),
    Flag::switch("read-replica", "Run a server that has no vote. Not available yet."),
    Flag::switch("non-voting-server", "Older name of -read-replica. Not available yet."),
    Flag::text("segment", "Network segment of the agent. Not available yet.").placeholder("<name>"),
    Flag::text("data-dir", "Directory for all that is kept.").placeholder("<path>"),
    Flag::text("datacenter", "Name of the datacenter.").placeholder("<name>"),
    Flag::text("node", "Name of the node; the host name if it is left out.").placeholder("<name>"),
    Flag::text("node-id", "Id of the node, a UUID; made once and kept if it is left out.")
        .placeholder("<uuid>"),
    Flag::list("node-meta", "Metadata of the node, key:value.").placeholder("<key:value>"),
    Flag::switch(
        "disable-host-node-id",
        "Make the node's id at random, as it is in any case; making it from the host is what is missing. Not available yet.",
    )
    .default("true"),
    Flag::text("domain", "Domain that DNS answers; names below it are the agent's own in Host.")
        .placeholder("<name>"),
    Flag::text("alt-domain", "Second domain, as -domain.").placeholder("<name>"),
    // The addresses at which it listens, and those that it tells others.
    Flag::text("bind", "Address of the agent, told to others where it is a particular one.")
        .placeholder("<address>"),
    Flag::text("client", "Addresses for HTTP and gRPC.").placeholder("<address>"),
    Flag::text("advertise", "Address that other agents are told.").placeholder("<address>"),
    Flag::text("advertise-wan", "Address that servers of other datacenters are told. Not available yet.")
        .placeholder("<address>"),
    Flag::integer("http-port", "Port of the HTTP API; 0 or less is off.").placeholder("<port>"),
    Flag::integer("https-port", "Port of the HTTP API under TLS.").placeholder("<port>"),
    Flag::integer("grpc-port", "Port of gRPC; 0 or less is off.").placeholder("<port>"),
    Flag::integer("grpc-tls-port", "Port of gRPC under TLS.").placeholder("<port>"),
    Flag::integer("dns-port", "Port of DNS; 0 or less is off.").placeholder("<port>"),
    Flag::integer(
        "server-port",
        "Port for traffic between servers, as it is told; nothing listens at it yet.",
    )
    .placeholder("<port>"),
    Flag::text("serf-lan-bind", "Address for membership within the datacenter. Not available yet.")
        .placeholder("<address>"),
    Flag::integer(
        "serf-lan-port",
        "Port for membership within the datacenter, as it is told; nothing listens at it yet.",
    )
    .placeholder("<port>"),
    Flag::list(
        "serf-lan-allowed-cidrs",
        "Networks that members of the datacenter may be in. Not available yet.",
    )
    .placeholder("<cidr>"),
    Flag::text("serf-wan-bind", "Address for membership between datacenters. Not available yet.")
        .placeholder("<address>"),
    Flag::integer("serf-wan-port", "Port for membership between datacenters. Not available yet.")
        .placeholder("<port>"),
    Flag::list(
        "serf-wan-allowed-cidrs",
        "Networks that servers of other datacenters may be in. Not available yet.",
    )
    .placeholder("<cidr>"),
    Flag::list("allow-write-http-from", "Networks that may write through the HTTP API.")
        .placeholder("<cidr>"),
    Flag::list("recursor", "DNS server to ask for other domains.")
        .placeholder("<address>"),
    Flag::switch(
        "ephemeral-ports",
        "Take a free port for every listener that is on and whose port neither a flag nor a file states. For tests.",
    ),
    Flag::text("ready-file", "File to write the bound addresses to, JSON, once the agent serves.")
        .placeholder("<path>"),
    // How it finds other agents.
    Flag::list("retry-join", "Address of a member to join, tried until it works. Not available yet.")
        .placeholder("<address>"),
    Flag::text("retry-interval", "Time between attempts to join. Not available yet.")
        .placeholder("<duration>"),
    Flag::integer("retry-max", "Attempts to join before giving up; 0 never gives up. Not available yet."),
    Flag::list("retry-join-wan", "Address of a server of another datacenter to join. Not available yet.")
        .placeholder("<address>"),
    Flag::text("retry-interval-wan", "Time between attempts to join other datacenters. Not available yet.")
        .placeholder("<duration>"),
    Flag::integer(
        "retry-max-wan",
        "Attempts to join other datacenters; 0 never gives up. Not available yet.",
    ),
    Flag::list("join", "Address of a member to join at the start. Prefer -retry-join. Not available yet.")
        .placeholder("<address>"),
    Flag::list(
        "join-wan",
        "Address of a server of another datacenter. Prefer -retry-join-wan. Not available yet.",
    )
    .placeholder("<address>"),
    Flag::list("primary-gateway", "Address of a mesh gateway of the primary datacenter. Not available yet.")
        .placeholder("<address>"),
    Flag::switch("rejoin", "Join again even after having left. Not available yet."),
    Flag::text("encrypt", "Key for membership traffic, base64 of 16, 24 or 32 bytes; checked and kept. Not available yet.").placeholder("<key>"),
    Flag::switch("disable-keyring-file", "Keep the membership keys in memory only. Not available yet."),
    // Its functions.
    Flag::switch("enable-script-checks", "Allow checks that run programs, wherever they were registered."),
    Flag::switch("enable-local-script-checks", "Allow checks that run programs if they come from files."),
    Flag::integer("check_output_max_size", "Bytes of a check's output to keep."),
    Flag::text("default-query-time", "How long a blocking query waits that does not say.")
        .placeholder("<duration>"),
    Flag::text("max-query-time", "How long a blocking query may wait at most.").placeholder("<duration>"),
    Flag::switch("ui", "Serve the user interface. Not available yet."),
    Flag::text("ui-content-path", "Path of the user interface. Not available yet.").placeholder("<path>"),
    Flag::text("ui-dir", "Directory of another user interface. Not available yet.").placeholder("<path>"),
    // Logging and reports.
    Flag::text("log-level", "How much to log: trace, debug, info, warn or error.").placeholder("<level>"),
    Flag::switch("log-json", "Log as JSON, one object per line."),
    Flag::text("log-file", "File to log to as well; in a directory (it ends in /) consul.log.").placeholder("<path>"),
    Flag::integer("log-rotate-bytes", "Bytes after which another log file is begun."),
    Flag::text("log-rotate-duration", "Time after which another log file is begun; 24h if it is left out.")
        .placeholder("<duration>"),
    Flag::integer("log-rotate-max-files", "Earlier log files to keep; 0 keeps all, -1 none."),
    Flag::switch("syslog", "Log to syslog as well."),
    Flag::text("pid-file", "File to write the process id to.").placeholder("<path>"),
    // Versions of protocols between Consul's own servers, which this program does not speak.
    Flag::integer(
        "protocol",
        "Accepted for compatibility; this program has its own protocol between agents.",
    ),
    Flag::integer(
        "raft-protocol",
        "Accepted for compatibility; this program has its own protocol between servers.",
    ),
];
