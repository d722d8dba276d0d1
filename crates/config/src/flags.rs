//! The flags of `concord agent`, which are the last layer.

use std::collections::BTreeMap;

use concord_model::Secret;
use concord_syntax::{Kind, Member, Node, Object, Pos};

use crate::absent::ABSENT;
use crate::knob::{KNOBS, Knob};

/// The given flags; missing ones are `None` or empty. The command line fills this in, and turns `-config-file` and
/// `-config-dir` into sources.
#[derive(Clone, Debug, Default)]
pub struct AgentFlags {
    /// `-dev`: a single server in memory, for trying things out.
    pub dev: bool,
    /// `-ephemeral-ports`: every enabled listener without a configured port gets a port that the system chooses.
    pub ephemeral_ports: bool,
    /// `-hcl`, repeatable: fragments that are read like files, after the files. They may contain tokens.
    pub hcl: Vec<Secret>,
    /// `-advertise`.
    pub advertise: Option<String>,
    /// `-allow-write-http-from`, repeatable.
    pub allow_write_http_from: Vec<String>,
    /// `-bind`.
    pub bind: Option<String>,
    /// `-bootstrap`.
    pub bootstrap: Option<bool>,
    /// `-bootstrap-expect`.
    pub bootstrap_expect: Option<i64>,
    /// `-check_output_max_size`.
    pub check_output_max_size: Option<i64>,
    /// `-client`.
    pub client: Option<String>,
    /// `-data-dir`.
    pub data_dir: Option<String>,
    /// `-datacenter`.
    pub datacenter: Option<String>,
    /// `-disable-host-node-id`.
    pub disable_host_node_id: Option<bool>,
    /// `-default-query-time`.
    pub default_query_time: Option<String>,
    /// `-recursor`.
    pub recursors: Vec<String>,
    /// `-dns-port`.
    pub dns_port: Option<i64>,
    /// `-alt-domain`.
    pub alt_domain: Option<String>,
    /// `-domain`.
    pub domain: Option<String>,
    /// `-enable-local-script-checks`.
    pub enable_local_script_checks: Option<bool>,
    /// `-enable-script-checks`.
    pub enable_script_checks: Option<bool>,
    /// `-encrypt`.
    pub encrypt: Option<Secret>,
    /// `-grpc-port`.
    pub grpc_port: Option<i64>,
    /// `-grpc-tls-port`.
    pub grpc_tls_port: Option<i64>,
    /// `-http-port`.
    pub http_port: Option<i64>,
    /// `-https-port`.
    pub https_port: Option<i64>,
    /// `-join` and `-retry-join`, repeatable.
    pub retry_join: Vec<String>,
    /// `-log-file`.
    pub log_file: Option<String>,
    /// `-log-json`.
    pub log_json: Option<bool>,
    /// `-log-level`.
    pub log_level: Option<String>,
    /// `-log-rotate-bytes`.
    pub log_rotate_bytes: Option<i64>,
    /// `-log-rotate-duration`.
    pub log_rotate_duration: Option<String>,
    /// `-log-rotate-max-files`.
    pub log_rotate_max_files: Option<i64>,
    /// `-max-query-time`.
    pub max_query_time: Option<String>,
    /// `-node`.
    pub node: Option<String>,
    /// `-node-id`.
    pub node_id: Option<String>,
    /// `-node-meta key:value`, repeatable.
    pub node_meta: BTreeMap<String, String>,
    /// `-pid-file`.
    pub pid_file: Option<String>,
    /// `-serf-lan-port`.
    pub serf_lan_port: Option<i64>,
    /// `-serf-wan-port`.
    pub serf_wan_port: Option<i64>,
    /// `-server`.
    pub server: Option<bool>,
    /// `-server-port`.
    pub server_port: Option<i64>,
    /// `-syslog`.
    pub syslog: Option<bool>,
    /// `-ui`.
    pub ui: Option<bool>,
    /// Names, without the dash, of other given flags whose function is not built yet.
    pub absent: Vec<&'static str>,
}

/// The key that each flag sets.
const FLAGS: &[(&str, &str)] = &[
    ("-advertise", "advertise_addr"),
    ("-allow-write-http-from", "http_config.allow_write_http_from"),
    ("-alt-domain", "alt_domain"),
    ("-bind", "bind_addr"),
    ("-bootstrap", "bootstrap"),
    ("-bootstrap-expect", "bootstrap_expect"),
    ("-check_output_max_size", "check_output_max_size"),
    ("-client", "client_addr"),
    ("-data-dir", "data_dir"),
    ("-datacenter", "datacenter"),
    ("-default-query-time", "default_query_time"),
    ("-dns-port", "ports.dns"),
    ("-domain", "domain"),
    ("-enable-local-script-checks", "enable_local_script_checks"),
    ("-enable-script-checks", "enable_script_checks"),
    ("-encrypt", "encrypt"),
    ("-grpc-port", "ports.grpc"),
    ("-grpc-tls-port", "ports.grpc_tls"),
    ("-http-port", "ports.http"),
    ("-https-port", "ports.https"),
    ("-retry-join", "retry_join"),
    ("-join", "retry_join"),
    ("-log-file", "log_file"),
    ("-log-json", "log_json"),
    ("-log-level", "log_level"),
    ("-log-rotate-bytes", "log_rotate_bytes"),
    ("-log-rotate-duration", "log_rotate_duration"),
    ("-log-rotate-max-files", "log_rotate_max_files"),
    ("-max-query-time", "max_query_time"),
    ("-node", "node_name"),
    ("-node-id", "node_id"),
    ("-node-meta", "node_meta"),
    ("-pid-file", "pid_file"),
    ("-serf-lan-port", "ports.serf_lan"),
    ("-serf-wan-port", "ports.serf_wan"),
    ("-server", "server"),
    ("-server-port", "ports.server"),
    ("-syslog", "enable_syslog"),
    ("-ui", "ui_config.enabled"),
    // A flag whose function is not built is answered like its key.
    ("-advertise-wan", "advertise_addr_wan"),
    ("-auto-reload-config", "auto_reload_config"),
    ("-disable-host-node-id", "disable_host_node_id"),
    ("-disable-keyring-file", "disable_keyring_file"),
    ("-join-wan", "start_join_wan"),
    ("-non-voting-server", "read_replica"),
    ("-primary-gateway", "primary_gateways"),
    ("-read-replica", "read_replica"),
    ("-recursor", "recursors"),
    ("-rejoin", "rejoin_after_leave"),
    ("-retry-interval", "retry_interval"),
    ("-retry-interval-wan", "retry_interval_wan"),
    ("-retry-join-wan", "retry_join_wan"),
    ("-retry-max", "retry_max"),
    ("-retry-max-wan", "retry_max_wan"),
    ("-segment", "segment"),
    ("-serf-lan-allowed-cidrs", "serf_lan_allowed_cidrs"),
    ("-serf-lan-bind", "serf_lan"),
    ("-serf-wan-allowed-cidrs", "serf_wan_allowed_cidrs"),
    ("-serf-wan-bind", "serf_wan"),
    ("-ui-content-path", "ui_content_path"),
    ("-ui-dir", "ui_dir"),
];

/// The flag that sets a key, for messages.
pub(crate) fn flag_of(key: &str) -> String {
    let within = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.starts_with('.'));
    let own = FLAGS.iter().find(|(_, own)| *own == key || within(key, own) || within(own, key));
    own.map_or("command line", |(flag, _)| flag).to_owned()
}

/// Whether a flag so far only causes an error or a warning. The name is given without the dash.
pub fn is_absent(flag: &str) -> bool {
    let unbuilt = |knob: &Knob| knob.doc.ends_with("Not available yet.");
    key_of(flag).is_some_and(|key| {
        let answers = |absent: &str| {
            key.strip_prefix(absent).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        ABSENT.iter().any(|absent| answers(absent.key))
            || KNOBS.iter().any(|knob| knob.key == key && unbuilt(knob))
    })
}

/// The key that a flag sets. The name is given without the dash.
pub(crate) fn key_of(flag: &str) -> Option<&'static str> {
    FLAGS.iter().find(|(own, _)| own.strip_prefix('-') == Some(flag)).map(|(_, key)| *key)
}

impl AgentFlags {
    /// The flags as a tree, so that they are parsed, merged and refused like files.
    pub(crate) fn tree(&self) -> Node {
        let Self {
            dev: _,
            ephemeral_ports: _,
            hcl: _,
            advertise,
            allow_write_http_from,
            bind,
            bootstrap,
            bootstrap_expect,
            check_output_max_size,
            client,
            data_dir,
            datacenter,
            disable_host_node_id,
            default_query_time,
            recursors,
            dns_port,
            alt_domain,
            domain,
            enable_local_script_checks,
            enable_script_checks,
            encrypt,
            grpc_port,
            grpc_tls_port,
            http_port,
            https_port,
            retry_join,
            log_file,
            log_json,
            log_level,
            log_rotate_bytes,
            log_rotate_duration,
            log_rotate_max_files,
            max_query_time,
            node,
            node_id,
            node_meta,
            pid_file,
            serf_lan_port,
            serf_wan_port,
            server,
            server_port,
            syslog,
            ui,
            absent,
        } = self;
        let text = |value: &Option<String>| value.clone().map(Kind::String);
        let number = |value: &Option<i64>| value.map(Kind::Int);
        let flag = |value: &Option<bool>| value.map(Kind::Bool);
        let list = |values: &Vec<String>| {
            let items: Vec<_> = values.iter().map(|value| Node::new(Kind::String(value.clone()))).collect();
            (!items.is_empty()).then_some(Kind::List(items))
        };
        let meta = node_meta.iter().map(|(key, value)| entry(key, Kind::String(value.clone()))).collect();
        let all = [
            ("advertise_addr", text(advertise)),
            ("bind_addr", text(bind)),
            ("bootstrap", flag(bootstrap)),
            ("bootstrap_expect", number(bootstrap_expect)),
            ("check_output_max_size", number(check_output_max_size)),
            ("client_addr", text(client)),
            ("data_dir", text(data_dir)),
            ("datacenter", text(datacenter)),
            ("disable_host_node_id", flag(disable_host_node_id)),
            ("default_query_time", text(default_query_time)),
            ("alt_domain", text(alt_domain)),
            ("domain", text(domain)),
            ("enable_local_script_checks", flag(enable_local_script_checks)),
            ("enable_script_checks", flag(enable_script_checks)),
            ("encrypt", encrypt.as_ref().map(|key| Kind::String(key.expose().to_owned()))),
            ("http_config.allow_write_http_from", list(allow_write_http_from)),
            ("enable_syslog", flag(syslog)),
            ("log_file", text(log_file)),
            ("log_json", flag(log_json)),
            ("log_level", text(log_level)),
            ("log_rotate_bytes", number(log_rotate_bytes)),
            ("log_rotate_duration", text(log_rotate_duration)),
            ("log_rotate_max_files", number(log_rotate_max_files)),
            ("max_query_time", text(max_query_time)),
            ("node_id", text(node_id)),
            ("node_meta", (!node_meta.is_empty()).then_some(Kind::Object(Object { members: meta }))),
            ("node_name", text(node)),
            ("pid_file", text(pid_file)),
            ("ports.dns", number(dns_port)),
            ("ports.grpc", number(grpc_port)),
            ("ports.grpc_tls", number(grpc_tls_port)),
            ("ports.http", number(http_port)),
            ("ports.https", number(https_port)),
            ("ports.serf_lan", number(serf_lan_port)),
            ("ports.serf_wan", number(serf_wan_port)),
            ("ports.server", number(server_port)),
            ("recursors", list(recursors)),
            ("retry_join", list(retry_join)),
            ("server", flag(server)),
            ("ui_config.enabled", flag(ui)),
        ];
        let mut root = Object::default();
        for (key, value) in all {
            let Some(value) = value else { continue };
            match key.split_once('.') {
                None => root.members.push(entry(key, value)),
                Some((block, key)) => inside(&mut root, block, entry(key, value)),
            }
        }
        for flag in absent {
            if let Some(key) = key_of(flag) {
                root.members.push(entry(key, Kind::Bool(true)));
            }
        }
        Node::new(Kind::Object(root))
    }
}

fn entry(key: &str, kind: Kind) -> Member {
    Member { key: key.to_owned(), key_pos: Pos::default(), value: Node::new(kind) }
}

/// Adds a member to a block, and creates the block if needed.
fn inside(root: &mut Object, block: &str, member: Member) {
    let at = root.members.iter().position(|entry| entry.key == block).unwrap_or_else(|| {
        root.members.push(entry(block, Kind::Object(Object::default())));
        root.members.len() - 1
    });
    if let Kind::Object(object) = &mut root.members[at].value.kind {
        object.members.push(member);
    }
}
