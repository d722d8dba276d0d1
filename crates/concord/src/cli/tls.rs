//! `tls`: creates certificates for TLS of the API and gRPC, without an agent.
//!
//! These are ordinary host certificates, independent of those of the mesh.

pub(crate) mod ca;
pub(crate) mod cert;
mod make;
mod place;

use super::command::Command;

pub(crate) static GROUP: Command = Command::group(
    "tls",
    "Makes certificates for agents",
    "Makes an authority and certificates for agents and those who call them, for tls in the configuration. They are files in \
     the current directory. The certificates of the mesh are another matter: the servers make them.\n\n    \
     concord tls ca create\n    \
     concord tls cert create -server",
);

pub(crate) static CA_GROUP: Command =
    Command::group("tls ca", "Makes authorities", "Makes an authority that signs certificates of agents.");

pub(crate) static CERT_GROUP: Command =
    Command::group("tls cert", "Makes certificates", "Makes certificates that an authority signs.");
