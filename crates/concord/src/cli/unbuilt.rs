//! Commands of Consul that are not built here. They say so, so that users do not search for a mistake in a correct
//! name.

/// The message where roles are used, of tokens or elsewhere.
pub(super) const ROLES: &str = "ACL roles are not built; link policies to tokens";
/// The message where templated policies are used.
pub(super) const TEMPLATED_POLICIES: &str = "ACL templated policies are not built; write policies";

/// Command names, and what is not built. A row applies to all commands that begin with its name.
pub(super) const TABLE: &[(&str, &str)] = &[
    ("acl auth-method", "ACL auth methods are not built"),
    ("acl binding-rule", "ACL binding rules are not built"),
    ("acl role", ROLES),
    ("acl templated-policy", TEMPLATED_POLICIES),
    ("connect redirect-traffic", "transparent proxying is not built"),
    ("debug", "bundles of facts for support are not built; see info, monitor and /v1/agent/metrics"),
    ("event", "user events are not built"),
    ("exec", "remote execution is not built"),
    ("force-leave", "agents do not talk to each other yet"),
    ("join", "agents do not talk to each other yet"),
    ("keyring", "agents do not talk to each other yet"),
    ("kv", "the key/value store is not built"),
    ("license", "there are no licences"),
    ("lock", "the key/value store and its locks are not built"),
    ("login", "ACL auth methods are not built"),
    ("logout", "ACL auth methods are not built"),
    ("namespace", "there is the namespace default alone"),
    ("operator", "tools for clusters of several servers are not built"),
    ("partition", "there is the partition default alone"),
    ("peering", "cluster peering is not built"),
    ("resource", "resources of the second kind are not built; see config"),
    ("rtt", "network coordinates are not built"),
    ("services export", "exporting services is not built"),
    ("services exported-services", "exporting services is not built"),
    ("snapshot", "snapshots for operators are not built; stop the agent and copy data_dir"),
    ("troubleshoot", "troubleshooting of Envoy is not built; see explain"),
    ("watch", "watches are not built"),
];

/// The row for these words: the command and what is not built.
pub(super) fn find(words: &[String]) -> Option<(&'static str, &'static str)> {
    let names = words.iter().take_while(|word| !word.starts_with('-'));
    let named = names.map(String::as_str).collect::<Vec<_>>().join(" ");
    TABLE.iter().copied().find(|(name, _)| {
        named.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    })
}

#[cfg(test)]
mod tests {
    use super::super::table::COMMANDS;
    use super::*;

    /// The commands of Consul 1.21, except `connect envoy pipe-bootstrap`, which nobody types. A group is a name that other names begin with.
    const CONSUL: &str = "acl bootstrap, acl policy create, acl policy list, acl policy read, acl policy update, \
        acl policy delete, acl set-agent-token, acl token create, acl token clone, acl token list, acl token read, \
        acl token update, acl token delete, acl role create, acl role list, acl role read, acl role update, \
        acl role delete, acl auth-method create, acl auth-method list, acl auth-method read, acl auth-method update, \
        acl auth-method delete, acl binding-rule create, acl binding-rule list, acl binding-rule read, \
        acl binding-rule update, acl binding-rule delete, acl templated-policy list, acl templated-policy read, \
        acl templated-policy preview, agent, catalog datacenters, catalog nodes, catalog services, config delete, \
        config list, config read, config write, connect ca get-config, connect ca set-config, connect proxy, \
        connect envoy, connect expose, connect redirect-traffic, debug, event, exec, \
        force-leave, info, intention check, intention create, intention delete, intention get, intention list, \
        intention match, join, keygen, keyring, kv delete, kv export, kv get, kv import, kv put, leave, lock, login, \
        logout, maint, members, monitor, operator autopilot get-config, operator autopilot set-config, \
        operator autopilot state, operator raft list-peers, operator raft remove-peer, operator raft transfer-leader, \
        operator usage instances, peering delete, peering exported-services, peering generate-token, \
        peering establish, peering list, peering read, reload, resource read, resource delete, resource apply, \
        resource apply-grpc, resource read-grpc, resource list-grpc, resource delete-grpc, resource list, rtt, \
        services register, services deregister, services export, services exported-services, snapshot decode, \
        snapshot inspect, snapshot restore, snapshot save, tls ca create, tls cert create, troubleshoot proxy, \
        troubleshoot upstreams, troubleshoot ports, validate, version, watch, license get, namespace list, \
        partition list";

    #[test]
    fn every_command_of_consul_is_built_or_said_not_to_be() {
        for name in CONSUL.split(',').map(str::trim) {
            let words: Vec<_> = name.split(' ').map(str::to_owned).collect();
            let built = COMMANDS.iter().any(|command| command.name == name);
            assert_ne!(built, find(&words).is_some(), "{name}: built, or not built");
        }
    }

    #[test]
    fn names_stand_in_order_and_are_those_of_consul() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (name, _) in TABLE {
            let known = CONSUL.split(',').map(str::trim).any(|own| own.starts_with(name));
            assert!(known, "{name} is no command of Consul");
        }
    }
}
