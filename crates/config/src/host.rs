//! What the machine says of itself; an argument, as nothing here asks it.

use crate::interfaces::Interfaces;

/// What the loader cannot know by itself.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// The machine's name, which is the node's where nothing else is said.
    pub hostname: String,
    /// The machine's addresses, for templates in addresses.
    pub interfaces: Interfaces,
}
