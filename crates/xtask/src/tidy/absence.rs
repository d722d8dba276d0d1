//! Rule `absence`: what a crate must not depend on, directly or indirectly, whatever its row in the code map allows.

use super::finding::Finding;
use crate::workspace::{PREFIX, Workspace, package_name};

const RULE: &str = "absence";

/// The pure crates. They and their libraries use no socket, file, thread, clock or ambient randomness.
pub(crate) const PURE: [&str; 11] =
    ["syntax", "filter", "model", "acl", "mesh", "ca", "state", "proxycfg", "xds", "api", "config"];

/// Packages on which no pure crate may depend, directly or indirectly.
const IMPURE: [&str; 22] = [
    "axum",
    "async-io",
    "foca",
    "h2",
    "hickory-resolver",
    "hickory-server",
    "hyper",
    "hyper-util",
    "mio",
    "notify",
    "openraft",
    "quinn",
    "redb",
    "reqwest",
    "rustls",
    "smol",
    "socket2",
    "tokio",
    "tokio-rustls",
    "tokio-util",
    "tonic",
    "tracing-subscriber",
];

/// (pure crate, package, why): allowed exceptions.
const EXCUSED: [(&str, &str, &str); 1] =
    [("ca", "rustls", "the mesh verifier implements its traits; it opens no socket")];

/// Packages on which no pure crate may depend directly. Its libraries may depend on them.
const IMPURE_IF_NAMED: [&str; 6] = ["getrandom", "libc", "nix", "rand", "rustix", "tempfile"];

/// (who, whom, why): `who` never depends on `whom`.
const STRANGERS: [(&str, &str, &str); 13] = [
    ("agent", "server", "an agent talks to servers through `rpc`"),
    ("agent", "state", "an agent holds no store"),
    ("agent", "raft", "an agent holds no log"),
    ("server", "agent", "a server's own agent is wired by the program"),
    ("server", "api", "JSON quirks stop at the front"),
    ("server", "xds", "servers give snapshots, `front` turns them into resources"),
    ("server", "envoy-proto", "servers give snapshots, `front` turns them into resources"),
    ("proxy", "xds", "the proxy knows no Envoy"),
    ("proxy", "envoy-proto", "the proxy knows no Envoy"),
    ("proxy", "server", "the proxy lives on its snapshot stream"),
    ("proxy", "agent", "the proxy lives on its snapshot stream"),
    ("proxy", "state", "the proxy lives on its snapshot stream"),
    ("client", "server", "the client knows the public API alone"),
];

/// Engines: they handle bytes and know no type of the domain.
const ENGINES: [&str; 2] = ["raft", "gossip"];

pub(crate) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut found = Vec::new();
    for name in PURE {
        let Some(member) = workspace.member(name) else { continue };
        let is_excused =
            |package: &str| EXCUSED.iter().any(|(who, what, _)| (*who, *what) == (name, package));
        for package in
            IMPURE.iter().filter(|package| member.reaches.contains(**package) && !is_excused(package))
        {
            found.push(Finding::new(RULE, name, format!("is pure and reaches `{package}`")));
        }
        for package in IMPURE_IF_NAMED.iter().filter(|package| member.direct.contains(**package)) {
            found.push(Finding::new(RULE, name, format!("is pure and names `{package}`")));
        }
        if member.reaches.contains(&package_name("runtime")) {
            found.push(Finding::new(RULE, name, "is pure and reaches `runtime`"));
        }
    }
    for (who, whom, why) in STRANGERS {
        if workspace.member(who).is_some_and(|member| member.reaches.contains(&package_name(whom))) {
            found.push(Finding::new(RULE, who, format!("reaches `{whom}`: {why}")));
        }
    }
    for name in ENGINES {
        let Some(member) = workspace.member(name) else { continue };
        let allowed = package_name("runtime");
        for package in member.reaches.iter().filter(|p| p.starts_with(PREFIX) && **p != allowed) {
            found.push(Finding::new(RULE, name, format!("carries bytes and reaches `{package}`")));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Member;

    #[track_caller]
    fn check_says(name: &str, reaches: &[&str], direct: &[&str], expected: &[&str]) {
        let own = |list: &[&str]| list.iter().map(|package| (*package).to_owned()).collect();
        let member =
            Member { name: name.to_owned(), reaches: own(reaches), direct: own(direct), ..Member::default() };
        let workspace = Workspace { members: vec![member], ..Workspace::default() };
        let found: Vec<String> = check(&workspace).into_iter().map(|finding| finding.what).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_pure_crate_reaches_no_runtime() {
        check_says("state", &["serde", "imbl", "rand_core"], &["serde", "imbl"], &[]);
        check_says("state", &["tokio"], &[], &["is pure and reaches `tokio`"]);
        check_says("ca", &["concord-runtime"], &[], &["is pure and reaches `runtime`"]);
        check_says("acl", &[], &["rand"], &["is pure and names `rand`"]);
        check_says("ca", &["rustls"], &["rustls"], &[]);
        check_says("mesh", &["rustls"], &[], &["is pure and reaches `rustls`"]);
        check_says("runtime", &["tokio"], &["tokio", "rand"], &[]);
    }

    #[test]
    fn server_and_agent_never_see_each_other() {
        check_says("agent", &["concord-rpc", "concord-model"], &[], &[]);
        check_says(
            "agent",
            &["concord-server"],
            &[],
            &["reaches `server`: an agent talks to servers through `rpc`"],
        );
        check_says(
            "server",
            &["concord-agent"],
            &[],
            &["reaches `agent`: a server's own agent is wired by the program"],
        );
    }

    #[test]
    fn engines_know_no_domain_and_the_proxy_no_envoy() {
        check_says("raft", &["concord-runtime", "openraft"], &[], &[]);
        check_says("raft", &["concord-model"], &[], &["carries bytes and reaches `concord-model`"]);
        check_says(
            "proxy",
            &["concord-envoy-proto"],
            &[],
            &["reaches `envoy-proto`: the proxy knows no Envoy"],
        );
    }
}
