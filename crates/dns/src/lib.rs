//! DNS: names of services and nodes, answered from the catalog as in Consul.
//!
//! ```text
//! bytes ─► question ─► asked ─► catalog (ServerApi) ─► records ─► fit ─► bytes
//!                        └────► recursors, for names of other domains
//! ```
//!
//! What a question means, which records say it and how many of them fit are pure functions; the randomness of their
//! order is an argument. [`Answerer`] reads what they need, with the rights of the token that it is given. [`serve`]
//! has the sockets. The messages are those of hickory-proto; nothing else of it is used.
//!
//! This is no resolver: it follows no delegations and caches nothing. It is no server of zones either.

#![forbid(unsafe_code)]

mod address;
mod alias;
mod answer;
mod asked;
mod catalog;
mod domain;
mod fit;
pub mod limits;
mod observed;
mod order;
mod question;
mod records;
mod recursor;
mod reply;
mod serve;
mod settings;
mod sparing;
mod spelling;
mod transport;

pub use answer::{Answerer, OwnToken};
pub use serve::{Bound, serve};
pub use settings::Settings;
pub use transport::Transport;
