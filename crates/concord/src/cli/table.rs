//! The list of all commands. No command refers to it.

use concord_syntax::spelling::edits;

use super::command::Command;
use super::{
    acl, agent, catalog, config, connect, connect_envoy, connect_proxy, demo, explain, info, intention,
    keygen, leave, maint, members, monitor, proxy, reload, services, tls, unbuilt, validate, version,
};

/// All commands. A group comes before its commands.
pub(crate) static COMMANDS: &[&Command] = &[
    &acl::GROUP,
    &acl::bootstrap::BOOTSTRAP,
    &acl::policy::GROUP,
    &acl::policy::CREATE,
    &acl::policy::DELETE,
    &acl::policy::LIST,
    &acl::policy::READ,
    &acl::policy::UPDATE,
    &acl::set_agent_token::SET_AGENT_TOKEN,
    &acl::token::GROUP,
    &acl::token::CLONE,
    &acl::token::CREATE,
    &acl::token::DELETE,
    &acl::token::LIST,
    &acl::token::READ,
    &acl::token::UPDATE,
    &agent::AGENT,
    &catalog::GROUP,
    &catalog::datacenters::DATACENTERS,
    &catalog::nodes::NODES,
    &catalog::services::SERVICES,
    &config::GROUP,
    &config::DELETE,
    &config::LIST,
    &config::READ,
    &config::STATUS,
    &config::WRITE,
    &connect::GROUP,
    &connect::ca::GROUP,
    &connect::ca::GET_CONFIG,
    &connect::ca::SET_CONFIG,
    &connect::expose::EXPOSE,
    &connect_envoy::ENVOY,
    &connect_proxy::PROXY,
    &demo::DEMO,
    &explain::EXPLAIN,
    &info::INFO,
    &intention::GROUP,
    &intention::check::CHECK,
    &intention::create::CREATE,
    &intention::delete::DELETE,
    &intention::get::GET,
    &intention::list::LIST,
    &intention::matching::MATCH,
    &keygen::KEYGEN,
    &leave::LEAVE,
    &maint::MAINT,
    &members::MEMBERS,
    &monitor::MONITOR,
    &proxy::GROUP,
    &proxy::status::STATUS,
    &reload::RELOAD,
    &services::GROUP,
    &services::deregister::DEREGISTER,
    &services::register::REGISTER,
    &tls::GROUP,
    &tls::CA_GROUP,
    &tls::ca::CREATE,
    &tls::CERT_GROUP,
    &tls::cert::CREATE,
    &validate::VALIDATE,
    &version::VERSION,
];

/// Commands with one word more than `name`; an empty name stands for the program itself.
pub(crate) fn below(name: &str) -> impl Iterator<Item = &'static Command> {
    COMMANDS.iter().copied().filter(move |command| {
        let rest = match name {
            "" => Some(command.name),
            name => command.name.strip_prefix(name).and_then(|rest| rest.strip_prefix(' ')),
        };
        rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(' '))
    })
}

/// The command with the longest name that the words begin with, and the remaining words.
pub(crate) fn find(words: &[String]) -> Option<(&'static Command, &[String])> {
    let longest = COMMANDS.iter().map(|command| command.name.split(' ').count()).max().unwrap_or(0);
    (1..=longest.min(words.len())).rev().find_map(|count| {
        let name = words[..count].join(" ");
        COMMANDS.iter().find(|command| command.name == name).map(|command| (*command, &words[count..]))
    })
}

/// The command name that is most similar to an unknown word, if any is similar.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    let built = COMMANDS.iter().map(|command| command.name);
    let all = built.chain(unbuilt::TABLE.iter().map(|(name, _)| *name));
    let scored = all.map(|own| (edits(own, name), own));
    scored.min().filter(|(edits, near)| *edits <= 2 && *edits < near.len()).map(|(_, near)| near)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::command::Run;
    use super::super::flag::{Kind, parse_bool};
    use super::*;

    #[test]
    fn every_command_stands_under_a_group_and_is_named_once() {
        let names: BTreeSet<_> = COMMANDS.iter().map(|command| command.name).collect();
        assert_eq!(names.len(), COMMANDS.len());
        for command in COMMANDS {
            if let Some((group, _)) = command.name.rsplit_once(' ') {
                assert!(names.contains(group), "{}", command.name);
            }
            let is_group = matches!(command.run, Run::Group);
            assert_eq!(is_group, below(command.name).next().is_some(), "{}", command.name);
        }
    }

    #[test]
    fn flags_are_declared_once_and_their_defaults_hold() {
        for command in COMMANDS {
            let flags = command.all_flags();
            let names: BTreeSet<_> = flags.iter().map(|flag| flag.name).collect();
            assert_eq!(names.len(), flags.len(), "{}", command.name);
            for flag in flags {
                assert!(!flag.help.is_empty() && flag.help.ends_with('.'), "{} -{}", command.name, flag.name);
                assert!(flag.default.is_empty() || flag.check(flag.default).is_ok(), "-{}", flag.name);
                assert!(
                    flag.kind != Kind::Switch
                        || flag.default.is_empty()
                        || parse_bool(flag.default).is_some()
                );
            }
        }
    }

    #[test]
    fn the_longest_name_wins() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let find = |line: &str| find(&words(line)).map(|(command, rest)| (command.name, rest.join(" ")));
        assert_eq!(find("acl token create -local"), Some(("acl token create", "-local".to_owned())));
        assert_eq!(find("acl tokens"), Some(("acl", "tokens".to_owned())));
        assert_eq!(find("nothing acl"), None);
    }

    #[test]
    fn a_near_name_is_offered_and_a_far_one_is_not() {
        assert_eq!(nearest("member"), Some("members"));
        assert_eq!(nearest("intention chek"), Some("intention check"));
        assert_eq!(nearest("kubernetes"), None);
    }
}
