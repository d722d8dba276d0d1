//! `connect proxy`: the built-in proxy of one service.

use super::command::{Command, Run};
use super::flag::{Flag, Variable};

pub(crate) static PROXY: Command = Command {
    name: "connect proxy",
    synopsis: "Runs the built-in proxy of a service",
    usage: &["[options] -sidecar-for=<id>", "[options] -proxy-id=<id>", "[options] -service=<name> ..."],
    about: "Runs the built-in proxy of a service in the foreground: it takes connections of the mesh for the service, \
            admits those that the intentions allow, and connects the service to its upstreams.\n\n\
            The proxy is either registered with the agent and named by -sidecar-for or -proxy-id, or described here:\n\n    \
            -service=web -service-addr=127.0.0.1:8080 -listen=:8443 -upstream=db:9191\n\n\
            A proxy described here is registered only with -register. Without it nobody finds it in the catalog; it \
            speaks for the service, takes connections at -listen if that is given, and finds its upstreams as any \
            other. Its token needs service:write for the service, and read for what its upstreams lead to.",
    flags: &[
        Flag::text("sidecar-for", "Id of the instance whose registered sidecar this is.")
            .placeholder("<id>")
            .variable(Variable::Exact("CONNECT_SIDECAR_FOR")),
        Flag::text("proxy-id", "Id of the registered proxy this is.")
            .placeholder("<id>")
            .variable(Variable::Exact("CONNECT_PROXY_ID")),
        Flag::text("service", "Name of the service this proxy speaks for.").placeholder("<name>"),
        Flag::text("service-addr", "Address and port of the service itself. Goes with -listen.")
            .placeholder("<address>"),
        Flag::text("listen", "Address and port to take connections of the mesh at. Without it, none are taken. Needs -service-addr.")
            .placeholder("<address>"),
        Flag::list("upstream", "Service to connect to and where to listen for it, name:[address:]port.")
            .placeholder("<upstream>"),
        Flag::text(
            "grpc-addr",
            "Address and port of the agent's gRPC, where the proxy gets its configuration, or unix:///path. https:// before \
             it asks for TLS; left out, the agent is asked.",
        )
        .placeholder("<address>")
        .variable(Variable::Product("GRPC_ADDR")),
        Flag::text(
            "grpc-ca-file",
            "File with the certificate authorities to trust for gRPC, PEM. Without it, and without -grpc-ca-path, those \
             of -ca-file and -ca-path.",
        )
        .placeholder("<path>")
        .variable(Variable::Product("GRPC_CACERT")),
        Flag::text("grpc-ca-path", "Directory of such files; used if there is no -grpc-ca-file.")
            .placeholder("<path>")
            .variable(Variable::Product("GRPC_CAPATH")),
        Flag::switch("register", "Register the proxy with the agent while it runs. Needs -listen and -service-addr."),
        Flag::text(
            "register-id",
            "What to add to the id of the registration, if several run for one service. Needs -register.",
        ),
        Flag::text("log-level", "How much to log: trace, debug, info, warn or error.").default("info"),
        Flag::switch("log-json", "Log as JSON, one object per line."),
        Flag::text(
            "metrics-addr",
            "Address and port to serve metrics at, in Prometheus' text form, under /metrics.",
        )
        .placeholder("<address>"),
        Flag::duration(
            "rotation-jitter",
            "Longest time to wait before a certificate of a new root is asked for; spreads the load of a rotation. \
             30s, or 500ms when the agent runs with -dev.",
        ),
        Flag::switch(
            "wait",
            "Wait until the agent is there and the proxy is registered. Without it the command ends where it is not.",
        ),
        Flag::switch(
            "keep-denied",
            "Leave open the connections of callers that an intention begins to deny.",
        ),
        Flag::text("ready-file", "File to write the bound addresses to, JSON, once the proxy serves.")
            .placeholder("<path>"),
        Flag::text("pprof-addr", "Has no effect, which the log tells: there are no endpoints for profiling.")
            .placeholder("<address>"),
    ],
    http: true,
    usage_code: 1,
    run: Run::Here(crate::run::proxy::run),
};
