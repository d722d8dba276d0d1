//! `intention`: which service may call which.

pub(super) mod check;
pub(super) mod create;
pub(super) mod delete;
pub(super) mod get;
pub(super) mod list;
pub(super) mod matching;

use concord_api::intention::Intention;

use super::command::Command;
use super::print;

pub(crate) static GROUP: Command = Command::group(
    "intention",
    "Shows and changes who may call whom",
    "Shows, checks and changes intentions: which service may call which. A service is named name, namespace/name or \
     partition/namespace/name; * stands for all names, and needs quotes in a shell.\n\nRequest-level permissions and \
     sources of peered clusters are written with config write.",
);

/// `web => db (allow)`.
pub(super) fn line(intention: &Intention) -> String {
    format!("{} => {} ({})", source(intention), destination(intention), action(intention))
}

fn source(intention: &Intention) -> String {
    let name = scoped(&intention.source_partition, &intention.source_ns, &intention.source_name);
    match intention.source_peer.as_str() {
        "" => name,
        peer => format!("peer:{peer}/{name}"),
    }
}

fn destination(intention: &Intention) -> String {
    scoped(&intention.destination_partition, &intention.destination_ns, &intention.destination_name)
}

/// The decision: the action, or the number of permissions.
fn action(intention: &Intention) -> String {
    match intention.permissions.len() {
        0 => intention.action.clone(),
        1 => "1 permission".to_owned(),
        count => print::counted(count, "permission"),
    }
}

/// The name, with namespace and partition as a prefix unless they are `default`.
fn scoped(partition: &str, namespace: &str, name: &str) -> String {
    let plain = |part: &str| part.is_empty() || part == "default";
    match (plain(partition), plain(namespace)) {
        (true, true) => name.to_owned(),
        (true, false) => format!("{namespace}/{name}"),
        (false, true) => format!("{partition}/default/{name}"),
        (false, false) => format!("{partition}/{namespace}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_show_what_is_not_default() {
        assert_eq!(scoped("", "", "web"), "web");
        assert_eq!(scoped("default", "default", "web"), "web");
        assert_eq!(scoped("", "shop", "web"), "shop/web");
        assert_eq!(scoped("eu", "", "web"), "eu/default/web");
        assert_eq!(scoped("eu", "shop", "*"), "eu/shop/*");
    }
}
