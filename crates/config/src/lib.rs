//! Configuration of an agent: from bytes and flags to one typed section per component.
//!
//! ```text
//! files ─► tree ─► Layer ┐
//! -hcl ──► tree ─► Layer ├─ merge ─► Raw ─ resolve ─► Config { agent, server, http, … } + warnings
//! flags ─► tree ─► Layer ┘             (later wins; lists append; maps join)
//! ```
//!
//! Loading is a pure function: it opens no file, and reads no clock and no environment. It reports all errors of all
//! sources at once, each with its source, key, value and remedy. One table has the meaning and default of each knob
//! ([`knob::KNOBS`]). A second one has Consul's keys that are not built yet or mean nothing here
//! ([`absent::ABSENT`]). A third one has the renamed keys ([`deprecated::DEPRECATED`]). There are no other keys.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod absent;
pub mod address;
mod block;
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
mod plain;
mod raw;
pub mod reload;
mod resolve;
mod role;
pub mod section;
pub mod shown;
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
pub use crate::template::rendered;

#[cfg(test)]
mod tests;
