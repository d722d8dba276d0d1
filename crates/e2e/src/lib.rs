//! The environment of end-to-end tests: the program as child processes, with services and clients around it. Everything
//! runs on loopback and in a directory of its own.
//!
//! This crate is no part of the product and does not use the product's crates. It speaks to the program as any user
//! does: by command line, HTTP, TLS and signals. It has its own small HTTP and TLS clients, because a client of ours
//! could share a fault with the server and so hide it.

#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    reason = "real processes live on the real clock, environment and threads"
)]
#![allow(clippy::print_stderr, reason = "what a failed test leaves behind is shown on the terminal")]

mod agent;
mod binary;
mod chance;
pub mod churn;
mod clock;
pub mod differ;
mod echo;
mod envoy;
mod feed;
mod foreign;
mod http;
mod load;
mod mesh;
pub mod oracle;
mod page;
mod patience;
mod pki;
mod process;
mod promql;
mod proxy;
mod reference;
mod scrape;
mod stranger;
mod suite;
mod tally;
mod teller;
mod tls;
mod world;

pub use crate::agent::{Agent, AgentOptions};
pub use crate::binary::binary;
pub use crate::chance::Chance;
pub use crate::clock::FakeClock;
pub use crate::echo::Echo;
pub use crate::envoy::EnvoyProcess;
pub use crate::feed::Feed;
pub use crate::foreign::{Go, foreign, go_program, ran, skip, source_dir};
pub use crate::http::{Conn, Http, Reply};
pub use crate::load::{Load, Outcome};
pub use crate::mesh::Mesh;
pub use crate::page::{PageTools, entry_examples, fits, try_page, try_page_with};
pub use crate::patience::{HANG, all_answer, eventually, pick_port};
pub use crate::pki::Authority;
pub use crate::process::{Process, Signal};
pub use crate::promql::Asked;
pub use crate::proxy::{ProxyOptions, ProxyProcess};
pub use crate::reference::Reference;
pub use crate::scrape::Scrape;
pub use crate::stranger::connect_as;
pub use crate::suite::{as_consul, prepared, run_suite, suite_dir};
pub use crate::tally::{Runner, Tally};
pub use crate::teller::{Teller, Told, ask};
pub use crate::tls::{Identity, MeshStream, Presented, authority_of, certificates, uris_of};
pub use crate::world::{World, figure, number_from_env};
