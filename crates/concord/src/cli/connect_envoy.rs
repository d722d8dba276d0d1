//! `connect envoy`: Envoy as the proxy of a service or as a gateway.

use super::command::{Command, Run};
use super::flag::{Flag, Variable};

pub(crate) static ENVOY: Command = Command {
    name: "connect envoy",
    synopsis: "Runs Envoy as the proxy of a service or as a gateway",
    usage: &[
        "[options] -sidecar-for=<id> [-- <arguments>]",
        "[options] -proxy-id=<id> [-- <arguments>]",
        "[options] -gateway=<kind> [-- <arguments>]",
    ],
    about: "Makes the bootstrap of an Envoy that serves a registered proxy or gateway, and becomes that Envoy. With \
            -bootstrap the bootstrap is printed instead; it holds the token.\n\n\
            The proxy is registered with the agent and named by -sidecar-for, -proxy-id or -gateway. What follows -- is \
            given to Envoy:\n\n    \
            -sidecar-for=web -- --log-level debug\n\n\
            The token needs service:write for the service that the proxy serves. Envoy gets the bootstrap through a \
            named pipe, so that the token is on no disk.",
    flags: &[
        Flag::text("sidecar-for", "Id of the instance whose registered sidecar this is.")
            .placeholder("<id>")
            .variable(Variable::Exact("CONNECT_SIDECAR_FOR")),
        Flag::text("proxy-id", "Id of the registered proxy or gateway this is.")
            .placeholder("<id>")
            .variable(Variable::Exact("CONNECT_PROXY_ID")),
        Flag::text(
            "node-name",
            "Node in the catalog on which the proxy is registered, where no agent knows it. Needs -proxy-id.",
        )
        .placeholder("<name>"),
        Flag::text("gateway", "Kind of the gateway this is.")
            .placeholder("<kind>")
            .choices(&["api", "ingress", "mesh", "terminating"]),
        Flag::switch("mesh-gateway", "Older form of -gateway=mesh."),
        Flag::switch("register", "Register the gateway with the agent first. Needs -gateway."),
        Flag::text("service", "Name of the gateway that is registered; its kind if it is left out.").placeholder("<name>"),
        Flag::text("address", "Address and port in the gateway's registration, ip[:port]. The port is 8443 if it is left out.")
            .placeholder("<address>"),
        Flag::text("wan-address", "Address and port for other datacenters in the gateway's registration.")
            .placeholder("<address>"),
        Flag::list("bind-address", "Where the registered gateway listens instead of at its own addresses.")
            .placeholder("<name=ip:port>"),
        Flag::switch("expose-servers", "Let the registered mesh gateway lead to the servers.")
            .unbuilt("no mesh gateway leads to servers"),
        Flag::duration("deregister-after-critical", "How long the registered gateway may be critical until it is removed.")
            .default("6h"),
        Flag::text(
            "grpc-addr",
            "Address and port of the agent's gRPC, where Envoy gets its configuration, or unix:///path. https:// before it \
             asks for TLS; left out, the agent is asked.",
        )
        .placeholder("<address>")
        .variable(Variable::Product("GRPC_ADDR")),
        Flag::text(
            "grpc-ca-file",
            "File with the certificate authorities to trust for gRPC, PEM. Without it, and without -grpc-ca-path, those of \
             -ca-file and -ca-path.",
        )
        .placeholder("<path>")
        .variable(Variable::Product("GRPC_CACERT")),
        Flag::text("grpc-ca-path", "Directory of such files; used if there is no -grpc-ca-file.")
            .placeholder("<path>")
            .variable(Variable::Product("GRPC_CAPATH")),
        Flag::text("admin-bind", "Address and port of Envoy's admin interface. Whoever reaches it controls the proxy.")
            .placeholder("<address>")
            .default("localhost:19000"),
        Flag::text("admin-access-log-path", "File of the admin interface's access log. Access logs of proxy-defaults win.")
            .placeholder("<path>")
            .default("/dev/null"),
        Flag::text("envoy-binary", "The program to run; left out, envoy is searched for in PATH.").placeholder("<path>"),
        Flag::switch("bootstrap", "Print the bootstrap as JSON and run nothing."),
        Flag::switch("no-central-config", "Leave out what the proxy's own configuration says about the bootstrap."),
        Flag::text("envoy-version", "Has no effect, which is told: the program itself says its version.").placeholder("<version>"),
        Flag::switch("ignore-envoy-compatibility", "Run an Envoy that is too old, or that does not tell its version."),
        Flag::switch("omit-deprecated-tags", "Leave out the tags of metrics that Consul 1.9 replaced."),
        Flag::switch("enable-config-gen-logging", "Tell each step of making the bootstrap."),
        Flag::text("envoy-ready-bind-address", "Address at which Envoy answers /ready. Needs -envoy-ready-bind-port.")
            .placeholder("<ip>"),
        Flag::unsigned("envoy-ready-bind-port", "Port at which Envoy answers /ready. Needs -envoy-ready-bind-address."),
        Flag::unsigned(
            "prometheus-backend-port",
            "Port of this machine that serves the metrics at envoy_prometheus_bind_addr, instead of Envoy itself.",
        ),
        Flag::text("prometheus-scrape-path", "Path of the metrics at envoy_prometheus_bind_addr.")
            .placeholder("<path>")
            .default("/metrics"),
        Flag::text("prometheus-ca-file", "File with the authorities of those who scrape, PEM.").placeholder("<path>"),
        Flag::text("prometheus-ca-path", "Directory of such files, read once; used if there is no -prometheus-ca-file.")
            .placeholder("<path>"),
        Flag::text("prometheus-cert-file", "File with the certificate for scraping under TLS. Needs an authority and a key.")
            .placeholder("<path>"),
        Flag::text("prometheus-key-file", "File with the key to it.").placeholder("<path>"),
    ],
    http: true,
    usage_code: 1,
    run: Run::Api(|call, client, io| Box::pin(crate::run::envoy::run(call, client, io))),
};
