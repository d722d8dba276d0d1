//! `proxy`: the proxies that are attached to an agent.

pub(super) mod status;

use super::command::Command;

pub(crate) static GROUP: Command = Command::group(
    "proxy",
    "Tells what the proxies at an agent have",
    "Tells what the proxies that are attached to an agent were told, what they took of it, and what they refuse.",
);
