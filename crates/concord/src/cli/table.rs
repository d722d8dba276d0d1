//! Every command there is, as data.

use concord_client::Client;
use concord_syntax::spelling::edits;
use futures::future::LocalBoxFuture;

use super::flag::Flag;
use super::invocation::Invocation;
use super::{Io, Outcome};
use super::{
    acl, agent, catalog, config, connect, connect_proxy, demo, explain, http, info, intention, keygen, leave,
    maint, members, monitor, reload, services, tls, unbuilt, validate, version,
};

/// One command: what it is called, what it takes and what it does.
#[derive(Debug)]
pub(crate) struct Command {
    /// Its words after the program's name: `acl token create`.
    pub(crate) name: &'static str,
    /// What it does, in a few words.
    pub(crate) synopsis: &'static str,
    /// What follows the name, one per form.
    pub(crate) usage: &'static [&'static str],
    /// What it does, in sentences; paragraphs are separated by empty lines, indented lines are kept as they are.
    pub(crate) about: &'static str,
    /// Its own flags.
    pub(crate) flags: &'static [Flag],
    /// Whether it takes the flags for reaching an agent.
    pub(crate) http: bool,
    /// Exit code when it is called in a way it does not allow.
    pub(crate) usage_code: u8,
    pub(crate) run: Run,
}

/// What a command does.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// It only holds others and prints its help.
    Group,
    /// It runs on the calling thread and brings what it needs.
    Here(fn(&Invocation<'_>, &mut Io) -> Outcome),
    /// It asks an agent.
    Api(for<'a> fn(&'a Invocation<'a>, &'a Client, &'a mut Io) -> LocalBoxFuture<'a, Outcome>),
}

/// All commands. Groups stand before what they hold.
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
    &config::WRITE,
    &connect::GROUP,
    &connect::ca::GROUP,
    &connect::ca::GET_CONFIG,
    &connect::ca::SET_CONFIG,
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

/// Commands about the agent itself: no server is asked, so there is none to choose.
const OF_THE_AGENT: [&str; 6] = ["info", "leave", "maint", "members", "monitor", "reload"];

/// How to print a result that both people and programs read.
pub(crate) const FORMAT: Flag = Flag::text("format", "How to print the result.")
    .placeholder("<pretty|json>")
    .default("pretty")
    .choices(&["pretty", "json"]);

impl Command {
    /// A command that only holds others.
    pub(crate) const fn group(name: &'static str, synopsis: &'static str, about: &'static str) -> Self {
        Self {
            name,
            synopsis,
            usage: &["<subcommand> [options] [args]"],
            about,
            flags: &[],
            http: false,
            usage_code: 1,
            run: Run::Group,
        }
    }

    /// Its own flags and those for reaching an agent.
    pub(crate) fn all_flags(&self) -> Vec<Flag> {
        self.flags.iter().copied().chain(self.http_flags()).collect()
    }

    /// The flags for reaching an agent that it takes.
    pub(crate) fn http_flags(&self) -> Vec<Flag> {
        if !self.http {
            return Vec::new();
        }
        let here = OF_THE_AGENT.contains(&self.name);
        let fits = |flag: &&Flag| !(here && http::FOR_SERVERS.contains(&flag.name));
        http::FLAGS.iter().filter(fits).copied().collect()
    }

    /// Commands one word longer than this one.
    pub(crate) fn children(&self) -> impl Iterator<Item = &'static Self> {
        below(self.name)
    }

    /// The last word of its name.
    pub(crate) fn last_word(&self) -> &'static str {
        self.name.rsplit(' ').next().unwrap_or(self.name)
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Group => "Group",
            Self::Here(_) => "Here",
            Self::Api(_) => "Api",
        })
    }
}

/// Commands one word longer than `name`; an empty name stands for the program itself.
pub(crate) fn below(name: &str) -> impl Iterator<Item = &'static Command> {
    COMMANDS.iter().copied().filter(move |command| {
        let rest = match name {
            "" => Some(command.name),
            name => command.name.strip_prefix(name).and_then(|rest| rest.strip_prefix(' ')),
        };
        rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(' '))
    })
}

/// The command with the longest name that the words begin with, and the words after it.
pub(crate) fn find(words: &[String]) -> Option<(&'static Command, &[String])> {
    let longest = COMMANDS.iter().map(|command| command.name.split(' ').count()).max().unwrap_or(0);
    (1..=longest.min(words.len())).rev().find_map(|count| {
        let name = words[..count].join(" ");
        COMMANDS.iter().find(|command| command.name == name).map(|command| (*command, &words[count..]))
    })
}

/// The name most like a word that is no command, if one is like it.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    let built = COMMANDS.iter().map(|command| command.name);
    let all = built.chain(unbuilt::TABLE.iter().map(|(name, _)| *name));
    let scored = all.map(|own| (edits(own, name), own));
    scored.min().filter(|(edits, near)| *edits <= 2 && *edits < near.len()).map(|(_, near)| near)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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
            assert_eq!(is_group, command.children().next().is_some(), "{}", command.name);
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
