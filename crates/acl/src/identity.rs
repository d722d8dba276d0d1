//! The rules of service and node identities of tokens.
//!
//! The rules are text, so that they are merged, shown and cached like policies. The names contain no characters with a
//! meaning in rules; the constructors of names guarantee that.

/// The rights of the service and its sidecar, and the right to discover all other services.
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

/// The rights of the node, and the right to discover all services.
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
