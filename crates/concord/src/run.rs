//! Long-running commands. Each is wired in one linear function that reads from top to bottom.

pub(crate) mod agent;
pub(crate) mod demo;
mod descriptors;
pub(crate) mod envoy;
mod interfaces;
mod listen;
mod logs;
mod mesh_trust;
pub(crate) mod node;
mod notify;
mod pid;
pub(crate) mod proxy;
mod ready;
mod reload;
mod sealing;
mod settings;
pub(crate) mod signals;
mod telemetry;
pub(crate) mod tls;

#[cfg(test)]
mod tests;
