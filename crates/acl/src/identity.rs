//! The rules that identities stand for: what a token may do that is a service, or a node.
//!
//! They are text, as policies are, so that they are merged, shown and cached as policies are. Names have no
//! characters that mean something in a text of rules; whoever makes one has checked that.

/// To be the service and its sidecar, and to find all others.
pub fn service_rules(service: &str) -> String {
    format!(
        r#"service "{service}" {{
  policy = "write"
}}
service "{service}-sidecar-proxy" {{
  policy = "write"
}}
service_prefix "" {{
  policy = "read"
}}
node_prefix "" {{
  policy = "read"
}}
"#
    )
}

/// To be the node, and to find all services.
pub fn node_rules(node: &str) -> String {
    format!(
        r#"node "{node}" {{
  policy = "write"
}}
service_prefix "" {{
  policy = "read"
}}
"#
    )
}
