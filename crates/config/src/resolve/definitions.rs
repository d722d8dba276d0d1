//! Services and checks from files.

use std::collections::BTreeMap;

use concord_api::definition::{CheckDefinition, CheckOwner, LocalRegistration, ServiceDefinition};
use concord_api::{Faults, Problem};
use concord_model::registration::CheckSpec;
use concord_syntax::{Node, same_key};

use super::Resolver;
use crate::diagnostic::{Diagnostic, Origin};
use crate::layer::Piece;
use crate::section::Definitions;

impl Resolver<'_> {
    /// `programs`: whether checks from files may run programs.
    pub(crate) fn definitions(
        &mut self,
        services: &[Piece],
        checks: &[Piece],
        programs: bool,
    ) -> Definitions {
        let mut ids: BTreeMap<String, Origin> = BTreeMap::new();
        let mut own = Definitions::default();
        for (at, piece) in services.iter().enumerate() {
            let key = format!("services[{at}]");
            if let Some(label) = label(&piece.node) {
                let text = format!(
                    "a service has no label; write service {{ name = {label:?} … }} instead of service {label:?} {{ … }}"
                );
                self.found.push(Diagnostic::error(piece.origin.clone(), key, text));
                continue;
            }
            let Some((definition, registration)) = self.kept(&key, piece, service(piece)) else {
                continue;
            };
            let parts =
                [Some(&registration.service), registration.sidecar.as_ref().map(|sidecar| sidecar.service())];
            for part in parts.into_iter().flatten() {
                part.checks.iter().for_each(|check| self.may_run(&key, check, piece, programs));
                self.unique(&key, part.service.id.as_str(), "service", piece, &mut ids);
            }
            own.services.push(definition);
        }
        let mut ids = BTreeMap::new();
        for (at, piece) in checks.iter().enumerate() {
            let key = format!("checks[{at}]");
            let Some((definition, check)) = self.kept(&key, piece, check(piece)) else {
                continue;
            };
            self.may_run(&key, &check, piece, programs);
            self.unique(&key, check.id.as_str(), "check", piece, &mut ids);
            own.checks.push(definition);
        }
        own
    }

    /// The result of parsing a piece. Errors are reported at their positions.
    pub(super) fn kept<T>(&mut self, key: &str, piece: &Piece, result: Result<T, Faults>) -> Option<T> {
        let faults = match result {
            Ok(value) => return Some(value),
            Err(faults) => faults,
        };
        for fault in faults.faults {
            let mut origin = piece.origin.clone();
            let mut at = key.to_owned();
            if !fault.field.is_empty() {
                at = format!("{key}.{}", fault.field);
            }
            let text = match fault.problem {
                Problem::Decode(found) => {
                    origin.pos = found.pos;
                    found.fault.to_string()
                }
                problem => problem.to_string(),
            };
            self.found.push(Diagnostic::error(origin, at, text));
        }
        None
    }

    /// Reports a check that would run a program although programs are not allowed.
    fn may_run(&mut self, key: &str, check: &CheckSpec, piece: &Piece, programs: bool) {
        if check.probe.is_program() && !programs {
            let text = format!(
                "check {:?}: Scripts are disabled on this agent; to enable, configure 'enable_script_checks' or \
                 'enable_local_script_checks' to true",
                check.id.as_str()
            );
            self.found.push(Diagnostic::error(piece.origin.clone(), key, text));
        }
    }

    pub(super) fn unique(
        &mut self,
        key: &str,
        id: &str,
        what: &str,
        piece: &Piece,
        ids: &mut BTreeMap<String, Origin>,
    ) {
        if let Some(first) = ids.insert(id.to_owned(), piece.origin.clone()) {
            let text = format!("the {what} id {id:?} is already used at {first}; give each its own id");
            self.found.push(Diagnostic::error(piece.origin.clone(), key, text));
        }
    }
}

/// The label of `service "web" { … }`, a form that HCL of other products uses: one block whose name is no key of a
/// service.
fn label(node: &Node) -> Option<String> {
    let [only] = node.as_object()?.members.as_slice() else { return None };
    only.value.as_object()?;
    let is_block = ["check", "checks", "connect", "locality", "meta", "proxy", "tagged_addresses", "weights"];
    let known = is_block.iter().any(|block| same_key(block, &only.key));
    (!known).then(|| only.key.chars().take(64).collect())
}

fn service(piece: &Piece) -> Result<(ServiceDefinition, LocalRegistration), Faults> {
    let definition = ServiceDefinition::from_node(&piece.node, &piece.origin.source)?;
    let registration = definition.resolve()?;
    Ok((definition, registration))
}

fn check(piece: &Piece) -> Result<(CheckDefinition, CheckSpec), Faults> {
    let definition = CheckDefinition::from_node(&piece.node, &piece.origin.source)?;
    let spec = definition.resolve(CheckOwner::Itself)?;
    Ok((definition, spec))
}
