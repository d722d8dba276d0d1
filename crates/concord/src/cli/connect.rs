//! `connect`: certificates and proxies of the mesh.

pub(super) mod ca;
pub(super) mod expose;

use super::command::Command;

pub(crate) static GROUP: Command = Command::group(
    "connect",
    "Runs proxies and configures the certificate authority of the mesh",
    "Runs the built-in proxy of a service or Envoy, puts services behind ingress gateways, and shows and changes the configuration of the certificate authority.",
);
