//! The body of the older API with ids. It names source and destination, and has no permissions.

use std::collections::BTreeMap;

use concord_model::intention::{Action, Destination, Source};
use concord_model::{Namespace, Pattern, ServiceName};

use super::{IntentionBody, PARTIAL_WILDCARD, check_description, check_source_type};
use crate::definition::field;
use crate::fault::{Fault, Faults};

/// An intention in the form of the older API.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IntentionWithId {
    /// The called service.
    pub destination: Destination,
    /// The calling service.
    pub source: Source,
    /// The decision.
    pub action: Action,
    /// A description for people.
    pub description: String,
    /// The metadata of the intention itself, not of the destination's entry.
    pub meta: BTreeMap<String, String>,
}

impl IntentionBody {
    /// Validates the body of a new intention. The caller cannot choose its id.
    pub fn resolve_new(&self) -> Result<IntentionWithId, Faults> {
        if !self.id.is_empty() {
            return Err(Faults::one(Fault::rule("ID", "ID must be empty when creating a new intention")));
        }
        self.resolve_with_id()
    }

    /// Validates the body of an intention whose id is in the path.
    pub fn resolve_with_id(&self) -> Result<IntentionWithId, Faults> {
        let mut faults = Vec::new();
        let scopes = [
            ("SourcePartition", &self.source_partition),
            ("DestinationPartition", &self.destination_partition),
        ];
        for (name, value) in scopes {
            field::enterprise(name, value, &mut faults);
        }
        let source = side("Source", &self.source_ns, &self.source_name, &mut faults);
        let destination = side("Destination", &self.destination_ns, &self.destination_name, &mut faults);
        if !self.source_peer.is_empty() {
            let text = "SourcePeer field is not supported on this endpoint. Use config entries instead";
            faults.push(Fault::rule("SourcePeer", text));
        }
        let group = !self.source_sameness_group.is_empty();
        field::not_available("SourceSamenessGroup", group, "sameness groups", &mut faults);
        if self.jwt.is_some() {
            let text =
                "JWT must not be set when using the legacy APIs; write the service-intentions entry instead";
            faults.push(Fault::rule("JWT", text));
        }
        check_description("Description", &self.description, &mut faults);
        field::meta("Meta", &self.meta, &mut faults);
        let action = Action::parse(&self.action);
        if action.is_none() {
            faults.push(Fault::rule("Action", "Action must be set to 'allow' or 'deny'"));
        }
        if !self.permissions.is_empty() {
            let text = "Permissions must not be set when using the legacy APIs";
            faults.push(Fault::rule("Permissions", text));
        }
        check_source_type("SourceType", &self.source_type, &mut faults);
        match (source, destination, action) {
            (Some(source), Some(destination), Some(action)) if faults.is_empty() => {
                let namespace = || Pattern::Exact(Namespace::default());
                Ok(IntentionWithId {
                    destination: Destination {
                        partition: field::partition(),
                        namespace: namespace(),
                        name: destination,
                    },
                    source: Source {
                        partition: field::partition(),
                        namespace: namespace(),
                        peer: None,
                        name: source,
                    },
                    action,
                    description: self.description.clone(),
                    meta: self.meta.clone(),
                })
            }
            _ => Err(Faults::many("", faults)),
        }
    }
}

/// The name of the source or destination. A wildcard namespace means the only one that exists.
fn side(side: &str, namespace: &str, name: &str, faults: &mut Vec<Fault>) -> Option<Pattern<ServiceName>> {
    let field = format!("{side}Name");
    if namespace == "*" {
        if name != "*" {
            faults
                .push(Fault::rule(&field, format!("{field}: exact value cannot follow wildcard namespace")));
        }
    } else {
        field::enterprise(&format!("{side}NS"), namespace, faults);
    }
    if name.is_empty() {
        faults.push(Fault::rule(&field, format!("{field} must be set")));
        return None;
    }
    if name != "*" && name.contains('*') {
        faults.push(Fault::rule(&field, format!("{field}: {PARTIAL_WILDCARD}")));
        return None;
    }
    Pattern::parse(name).map_err(|error| faults.push(Fault::rule(&field, format!("{field}: {error}")))).ok()
}
