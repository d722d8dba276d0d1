//! Facts about the machine. They are an argument, because this crate does not query the system.

use crate::interfaces::Interfaces;

/// What the loader needs to know about the machine.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// The machine's name, which is the default node name.
    pub hostname: String,
    /// The machine's addresses, for templates in addresses.
    pub interfaces: Interfaces,
}
