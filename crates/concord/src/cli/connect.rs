//! `connect`: certificates and proxies of the mesh.

pub(super) mod ca;

use super::command::Command;

pub(crate) static GROUP: Command = Command::group(
    "connect",
    "Runs proxies and configures the certificate authority of the mesh",
    "Runs the built-in proxy of a service, and shows and changes the configuration of the certificate authority.",
);
