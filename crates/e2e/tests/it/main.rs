//! End-to-end tests. Each test creates its own world; none asserts how long something took.

#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    reason = "real processes live on the real clock, environment and threads"
)]

mod agent;
mod attach;
mod authorities;
mod chains;
mod checks;
mod churn;
mod clocks;
mod configuration;
mod dataplane;
mod differ;
mod disk;
mod dns;
mod entries;
mod envoy_bootstrap;
mod envoy_exposed;
mod envoy_failures;
mod envoy_given;
mod envoy_grpc;
mod envoy_logs;
mod envoy_metrics;
mod envoy_routes;
mod envoy_sidecar;
mod envoy_tokens;
mod envoy_traces;
mod errors;
mod exposed_checks;
mod grpc;
mod grpc_tls;
mod interop;
mod isolation;
mod kill;
mod oracle;
mod outage;
mod pages;
mod proxy_flags;
mod rotation;
mod service;
mod sidecar;
mod strangers;
mod syslog;
mod tls;
mod unix_sockets;
mod unregistered;
mod witness;
