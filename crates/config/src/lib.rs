//! Configuration of an agent: from bytes and flags to one typed section per component.
//!
//! ```text
//! files ─► tree ─► Layer ┐
//! -hcl ──► tree ─► Layer ├─ merge ─► Raw ─ resolve ─► Config { agent, server, http, … } + warnings
//! flags ─► tree ─► Layer ┘             (later wins; lists append; maps join)
//! ```
//!
//! Loading is a pure function: it opens no file, reads no clock and no environment. All faults of all sources
//! are found at once, each with its source, key, value and remedy. What each knob means and its default stands
//! in one table ([`knob::KNOBS`]); which of Consul's keys are not built yet or mean nothing here in another
//! ([`absent::ABSENT`]), which have a new name in a third ([`deprecated::DEPRECATED`]). There is no fourth kind.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod absent;
pub mod address;
pub mod deprecated;
mod diagnostic;
pub mod flags;
mod host;
pub mod interfaces;
mod key;
pub mod knob;
mod layer;
mod load;
mod merge;
pub mod raw;
pub mod reload;
mod resolve;
pub mod section;
pub mod source;
mod spelling;
mod template;

pub use crate::diagnostic::{Diagnostic, Origin, Severity};
pub use crate::flags::AgentFlags;
pub use crate::host::Host;
pub use crate::load::{Loaded, load};
pub use crate::reload::changed;
pub use crate::section::{
    AclSection, AgentSection, Config, ConnectSection, Definitions, FilterSection, GrpcSection, HttpSection,
    LogSection, SealingSection, ServerSection, TelemetrySection, TokensSection,
};
pub use crate::source::{Format, Source};

#[cfg(test)]
mod tests;
