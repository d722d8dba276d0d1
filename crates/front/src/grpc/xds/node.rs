//! Who asks: the node that Envoy tells of itself with its first request.

use concord_envoy_proto::envoy::config::core::v3::Node;
use concord_envoy_proto::envoy::config::core::v3::node::UserAgentVersionType;
use concord_envoy_proto::value::Kind;
use concord_model::{InstanceId, NodeName};
use concord_xds::bootstrap::version::{OLDEST, Support, Version};
use tonic::Status;

/// An Envoy that asks for its configuration.
#[derive(Debug)]
pub(super) struct EnvoyNode {
    /// The proxy that it is.
    pub(super) proxy: InstanceId,
    /// The node where the proxy is registered; `None`: that of this agent.
    pub(super) node_name: Option<NodeName>,
    /// Its version, if it tells it.
    pub(super) version: Option<Version>,
}

impl EnvoyNode {
    /// Reads the node of a first request.
    pub(super) fn read(node: Option<&Node>) -> Result<Self, Status> {
        let node = node.ok_or_else(|| invalid("the first request names no node"))?;
        for key in ["namespace", "partition"] {
            let own = metadata(node, key);
            if !matches!(own, None | Some("" | "default")) {
                return Err(invalid(&format!(
                    "node.metadata.{key} is {own:?}: not available yet: only \"default\""
                )));
            }
        }
        let proxy = InstanceId::parse(&node.id).map_err(|error| invalid(&format!("node.id: {error}")))?;
        let node_name = metadata(node, "node_name").filter(|name| !name.is_empty()).map(NodeName::parse);
        let node_name =
            node_name.transpose().map_err(|error| invalid(&format!("node.metadata.node_name: {error}")))?;
        Ok(Self { proxy, node_name, version: version(node)? })
    }
}

/// The version. Programs that are not Envoy have versions of their own.
fn version(node: &Node) -> Result<Option<Version>, Status> {
    let Some(UserAgentVersionType::UserAgentBuildVersion(build)) = &node.user_agent_version_type else {
        return Ok(None);
    };
    let Some(own) = build.version.as_ref().filter(|_| node.user_agent_name == "envoy") else {
        return Ok(None);
    };
    let version = Version { major: own.major_number, minor: own.minor_number, patch: own.patch };
    match version.support() {
        Support::Tested | Support::Untested => Ok(Some(version)),
        Support::TooOld => {
            let (major, minor) = OLDEST;
            Err(invalid(&format!(
                "Envoy {version} is too old and is not supported; run Envoy {major}.{minor} or newer"
            )))
        }
    }
}

fn metadata<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    match &node.metadata.as_ref()?.fields.get(key)?.kind {
        Some(Kind::StringValue(text)) => Some(text),
        _ => None,
    }
}

fn invalid(text: &str) -> Status {
    Status::invalid_argument(text)
}

#[cfg(test)]
mod tests {
    use concord_envoy_proto::envoy::config::core::v3::BuildVersion;
    use concord_envoy_proto::envoy::r#type::v3::SemanticVersion;
    use concord_envoy_proto::{Struct, Value};

    use super::*;

    fn envoy(major_number: u32, minor_number: u32) -> Node {
        let version = Some(SemanticVersion { major_number, minor_number, patch: 1 });
        let build = BuildVersion { version, ..BuildVersion::default() };
        Node {
            id: "web-sidecar-proxy".to_owned(),
            user_agent_name: "envoy".to_owned(),
            user_agent_version_type: Some(UserAgentVersionType::UserAgentBuildVersion(build)),
            ..Node::default()
        }
    }

    fn with(key: &str, text: &str) -> Node {
        let value = Value { kind: Some(Kind::StringValue(text.to_owned())) };
        let metadata = Some(Struct { fields: [(key.to_owned(), value)].into() });
        Node { metadata, ..envoy(1, 40) }
    }

    #[track_caller]
    fn refused(node: Option<&Node>, words: &str) {
        let status = EnvoyNode::read(node).expect_err("refused");
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        assert!(status.message().contains(words), "{status}");
    }

    #[test]
    fn n_269_envoys_that_are_too_old_are_refused_and_untested_ones_noticed() {
        refused(Some(&envoy(1, 27)), "Envoy 1.27.1 is too old");
        let support = |minor| EnvoyNode::read(Some(&envoy(1, minor))).unwrap().version.unwrap().support();
        assert_eq!((support(28), support(40)), (Support::Untested, Support::Tested));
        let other = Node { user_agent_name: "grpc-go".to_owned(), ..envoy(1, 20) };
        assert!(EnvoyNode::read(Some(&other)).unwrap().version.is_none());
    }

    #[test]
    fn the_node_says_which_proxy_it_is() {
        let read = EnvoyNode::read(Some(&with("node_name", "n2"))).unwrap();
        assert_eq!((read.proxy.as_str(), read.node_name.unwrap().as_str()), ("web-sidecar-proxy", "n2"));
        assert!(EnvoyNode::read(Some(&with("namespace", "default"))).unwrap().node_name.is_none());
        refused(None, "names no node");
        refused(Some(&Node { id: String::new(), ..envoy(1, 40) }), "node.id");
        refused(Some(&with("namespace", "team")), "node.metadata.namespace");
        refused(Some(&with("partition", "team")), "node.metadata.partition");
    }
}
