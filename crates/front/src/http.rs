//! The HTTP API: every endpoint goes decode → authorise → query or command → encode.
//!
//! - [`router`] finds the endpoint and, before it runs, checks the right its type declares;
//! - [`context`] is what endpoints run on: the agent and the servers behind it;
//! - [`call`] is what an endpoint gets, [`reply`] what it returns, [`error`] what can go wrong;
//! - [`listener`] takes connections, with limits on their number, headers, bodies and patience;
//! - `observed` records the metrics of requests;
//! - [`routes`] is the table of endpoints, one file per area below it;
//! - `target` checks host and path, `browser` detects requests that foreign web pages send, `compression` decides
//!   about gzip.

mod browser;
pub mod call;
mod compression;
pub mod context;
pub mod error;
mod gate;
pub mod limits;
pub mod listener;
mod observed;
pub mod reply;
pub mod router;
pub mod routes;
mod sent;
mod target;

pub use self::browser::Names;
pub use self::call::Call;
pub use self::context::Ctx;
pub use self::error::HttpError;
pub use self::listener::{Http, Settings};
pub use self::reply::Reply;
pub use self::router::{Authorise, Endpoint, Right, Router};
