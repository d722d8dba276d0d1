//! Discovery chains: where the requests for a service go, by the entries that concern it.
//!
//! ```text
//!   entries ──► gather ──► Gathered ──► compile ──► CompiledChain, or a ChainFault
//!                                assemble: router, splitters, resolvers, targets
//!                                reduce:   no circles, splitters of splitters joined, the unreachable removed
//! ```
//!
//! Gathering reads each entry that can matter, and no other; compiling reads nothing. Both are total and deterministic:
//! the same entries and question give the same chain. Only the router of the service itself counts.
//!
//! Nothing recurses, and each list that another list can multiply has a limit.

mod assemble;
mod customization;
mod fault;
mod gather;
mod headers;
mod limits;
pub(crate) mod named;
mod reduce;
mod request;
mod target;

pub use concord_model::chain::*;

pub use self::fault::ChainFault;
pub use self::gather::{Gathered, gather};
pub use self::limits::{CONNECT_TIMEOUT, SERVICES_MAX, SPLITS_JOINED_MAX, STEPS_MAX};
pub use self::request::{Overrides, Request, VirtualIps};

/// Compiles the chain of a service from its entries.
pub fn compile(entries: &Gathered, request: &Request) -> Result<CompiledChain, ChainFault> {
    let mut assembled = assemble::assemble(entries, request)?;
    reduce::refuse_circles(&assembled.start.key, &assembled.nodes)?;
    reduce::join_splitters(&request.service, &assembled.start.key, &mut assembled.nodes)?;
    reduce::prune(&assembled.start.key, &mut assembled.nodes);
    assembled.finish(entries, request)
}
