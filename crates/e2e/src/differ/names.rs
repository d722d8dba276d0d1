//! Names, some of them odd, and query parameters.

use super::request::Request;
use crate::chance::Chance;

/// Names which many requests share, so that the requests affect each other.
const PLAIN: &[&str] = &["web", "web", "db", "web-v2"];
/// Unusual names.
const ODD: &[&str] = &[
    "Web",
    "a/b",
    "a b",
    "ü",
    "*",
    "web/",
    "self",
    "exact",
    "register",
    "x.y",
    "_x",
    "-x",
    "web-sidecar-proxy",
    "a%b",
    "a?b",
    "a#b",
    "a+b",
    "a:b",
    "n1",
    "\"q\"",
    " web",
    "name",
    "service:web",
];

/// A name, and its description if it is odd.
pub(super) fn name(chance: &mut Chance) -> (String, String) {
    if chance.percent(88) {
        return ((*chance.one(PLAIN)).to_owned(), String::new());
    }
    if chance.percent(5) {
        return ("x".repeat(64), "long name".to_owned());
    }
    let odd = *chance.one(ODD);
    (odd.to_owned(), format!("name {odd:?}"))
}

/// A name as a path segment, whose slashes are either escaped or not, and its description if it is odd.
pub(super) fn segment(chance: &mut Chance) -> (String, String) {
    let (name, odd) = name(chance);
    let bare = chance.percent(50) && name.contains('/');
    let written =
        if bare { name.split('/').map(escape).collect::<Vec<_>>().join("/") } else { escape(&name) };
    let odd = if bare { format!("{odd} unescaped") } else { odd };
    (written, odd)
}

/// A request whose path ends with a random name.
pub(super) fn at(method: &'static str, pattern: &str, chance: &mut Chance) -> Request {
    let (name, odd) = segment(chance);
    let (path, _) = pattern.rsplit_once('/').expect("a pattern is a path");
    Request::new(method, pattern, format!("{path}/{name}")).with_odd(odd)
}

/// Percent-escapes every byte that is not an unreserved character.
pub(super) fn escape(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
    text.bytes()
        .map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

const PARAMETERS: &[&str] = &[
    "dc=dc1",
    "dc=nope",
    "dc=",
    "datacenter=dc1",
    "dc=DC1",
    "dc=a%20b",
    "ns=default",
    "ns=other",
    "ns=*",
    "ns=",
    "partition=default",
    "partition=other",
    "partition=",
    "stale",
    "consistent",
    "leader",
    "stale&consistent",
    "max_stale=1s",
    "max_stale=x",
    "max_stale=-1s",
    "index=0",
    "index=x",
    "index=-1",
    "wait=x",
    "wait=1s",
    "wait=-1s",
    "pretty",
    "pretty=false",
    "cached",
    "cached&consistent",
    "token=",
    "near=_agent",
    "near=nope",
    "near=_ip",
    "passing",
    "passing=false",
    "passing=x",
    "passing=1",
    "tag=blue",
    "tag=",
    "tag=Blue",
    "tag=blue&tag=red",
    "node-meta=rack:1",
    "node-meta=rack",
    "node-meta=",
    "node-meta=rack:1&node-meta=x:y",
    "unknown=1",
    "peer=",
    "sg=",
    "merge-central-config",
    "filter=",
    "hash=x",
    "cas=0",
    "cas=x",
    "cas=1",
    "replace-existing-checks",
    "replace-existing-checks=x",
    "format=text",
    "format=json",
    "note=seen",
    "enable=true",
    "expanded",
    "expanded=false",
    "by=source",
    "segment=x",
    "wan",
    "wan=x",
    "index=1&wait=1ms",
];

/// The same request with a random parameter, which it may not support.
pub(super) fn with_parameter(request: Request, chance: &mut Chance) -> Request {
    let parameter = *chance.one(PARAMETERS);
    // Only a read can wait for an index.
    if parameter.starts_with("index=1") && request.method != "GET" {
        return request;
    }
    request.with_query(parameter).with_odd(format!("?{parameter}"))
}

/// The same request with a random filter on these selectors.
pub(super) fn with_filter(request: Request, selectors: &[&str], chance: &mut Chance) -> Request {
    let filter = filter(selectors, chance);
    let query = format!("filter={}", escape(&filter));
    request.with_query(&query).with_odd(format!("filter {filter}"))
}

fn filter(selectors: &[&str], chance: &mut Chance) -> String {
    let one = |chance: &mut Chance| {
        let selector = if chance.percent(6) { "Nope" } else { *chance.one(selectors) };
        let value = *chance.one(&["web", "", "1", "blue", "passing", "db", "true", "^w"]);
        match chance.below(12) {
            0..3 => format!("{selector} == {value:?}"),
            3 => format!("{selector} != {value:?}"),
            4 => format!("{value:?} in {selector}"),
            5 => format!("{value:?} not in {selector}"),
            6 => format!("{selector} contains {value:?}"),
            7 => format!("{selector} is empty"),
            8 => format!("{selector} is not empty"),
            9 => format!("{selector} matches {value:?}"),
            10 => format!("{selector} not matches {value:?}"),
            _ => format!("{selector} == {}", chance.one(&["1", "-1", "true", "`web`", "web", "1.5"])),
        }
    };
    match chance.below(10) {
        0 => format!("{} and {}", one(chance), one(chance)),
        1 => format!("{} or not {}", one(chance), one(chance)),
        2 => (*chance.one(&["(", "a ==", "Node", "\"x\"", "not", "a == b c", "Node == \"", "Node=n1"]))
            .to_owned(),
        _ => one(chance),
    }
}

/// Selectors of service instances in the catalog.
pub(super) const INSTANCE: &[&str] = &[
    "Node",
    "ID",
    "Address",
    "Datacenter",
    "TaggedAddresses",
    "TaggedAddresses.lan",
    "NodeMeta",
    "NodeMeta.rack",
    "ServiceKind",
    "ServiceID",
    "ServiceName",
    "ServiceTags",
    "ServiceAddress",
    "ServiceMeta",
    "ServiceMeta.v",
    "ServicePort",
    "ServiceWeights",
    "ServiceWeights.Passing",
    "ServiceEnableTagOverride",
    "ServiceProxy",
    "ServiceProxy.DestinationServiceName",
    "ServiceProxy.Upstreams",
    "ServiceProxy.Upstreams.DestinationName",
    "ServiceProxy.Mode",
    "ServiceConnect.Native",
    "ServiceTaggedAddresses.lan.Address",
    "CreateIndex",
    "ServiceProxy.Config",
    "PeerName",
    "ServiceMeta[\"v\"]",
    "ServiceSocketPath",
    "ServiceLocality",
];
/// Selectors of services, of an agent or of a node.
pub(super) const SERVICE: &[&str] = &[
    "Kind",
    "ID",
    "Service",
    "Tags",
    "Meta",
    "Meta.v",
    "Port",
    "Address",
    "TaggedAddresses",
    "TaggedAddresses.lan.Address",
    "TaggedAddresses.lan.Port",
    "Weights.Passing",
    "Weights.Warning",
    "EnableTagOverride",
    "Proxy.DestinationServiceName",
    "Proxy.Upstreams.DestinationName",
    "Proxy.Mode",
    "Proxy.Upstreams",
    "Proxy.TransparentProxy.OutboundListenerPort",
    "Proxy.MeshGateway.Mode",
    "Connect.Native",
    "CreateIndex",
    "ContentHash",
    "Datacenter",
    "Namespace",
    "PeerName",
    "SocketPath",
    "Proxy.Expose.Checks",
    "Locality.Region",
];
/// Selectors of checks.
pub(super) const CHECK: &[&str] = &[
    "Node",
    "CheckID",
    "Name",
    "Status",
    "Notes",
    "Output",
    "ServiceID",
    "ServiceName",
    "ServiceTags",
    "Type",
    "Interval",
    "Timeout",
    "ExposedPort",
    "CreateIndex",
    "Definition",
    "Definition.HTTP",
    "PeerName",
];
/// Selectors of nodes.
pub(super) const NODE: &[&str] = &[
    "Node",
    "ID",
    "Address",
    "Datacenter",
    "TaggedAddresses",
    "TaggedAddresses.lan",
    "Meta",
    "Meta.rack",
    "Meta[\"rack\"]",
    "CreateIndex",
    "Partition",
    "PeerName",
    "Locality.Region",
];
/// Selectors of service instances with their health.
pub(super) const ENTRY: &[&str] = &[
    "Node.Node",
    "Node.Meta.rack",
    "Node",
    "Service.ID",
    "Service.Service",
    "Service.Tags",
    "Service.Meta.v",
    "Service.Port",
    "Service.Proxy.DestinationServiceName",
    "Checks",
    "Checks.Status",
    "Checks.Name",
    "Checks.ServiceTags",
    "Service.Weights.Passing",
    "Service.Kind",
    "Service",
];
/// Selectors of intentions.
pub(super) const INTENTION: &[&str] = &[
    "SourceName",
    "SourceNS",
    "DestinationName",
    "Action",
    "Precedence",
    "Description",
    "Meta",
    "Meta.k",
    "ID",
    "SourceType",
    "CreatedAt",
    "Permissions",
    "SourcePeer",
    "Hash",
    "DestinationPartition",
    "DestinationAddr",
];
/// Selectors of members.
pub(super) const MEMBER: &[&str] = &["Name", "Addr", "Port", "Tags", "Tags.role", "Status", "ProtocolMin"];
