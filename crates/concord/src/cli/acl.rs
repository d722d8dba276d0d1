//! `acl`: tokens and policies.

pub(super) mod bootstrap;
pub(super) mod policy;
pub(super) mod set_agent_token;
pub(super) mod token;

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use concord_api::acl::{NodeIdentity, PolicyLink, ServiceIdentity, Token};
use concord_client::{Client, QueryOptions};
use concord_model::Uuid;
use concord_model::token::{GLOBAL_MANAGEMENT, GLOBAL_READ_ONLY};

use super::command::Command;
use super::failure::Failure;
use super::flag::Flag;
use super::print::{self, Fields};

pub(crate) static GROUP: Command = Command::group(
    "acl",
    "Shows and changes tokens and policies",
    "Shows and changes tokens and policies: what a request may do follows from the policies of its token.",
);

const META: Flag = Flag::switch("meta", "Print the content hash and the log indexes too.");

/// Length of a full id. A shorter text is a prefix of an id.
const UUID_CHARS: usize = 36;
/// The built-in policies.
const BUILT_IN: [(&str, Uuid); 2] =
    [("global-management", GLOBAL_MANAGEMENT), ("builtin/global-read-only", GLOBAL_READ_ONLY)];
/// Accessor of the anonymous token, which applies to requests without a token.
const ANONYMOUS: &str = "00000000-0000-0000-0000-000000000002";

/// The column of a token's and a policy's values in the output, as in Consul.
const TOKEN_COLUMN: usize = 18;
const POLICY_COLUMN: usize = 14;

/// The fields of a token, without its links.
fn token_fields(token: &Token, with_meta: bool) -> Fields {
    let mut fields = Fields::at(TOKEN_COLUMN);
    fields.field("AccessorID", &token.accessor_id);
    fields.field("SecretID", token.secret_id.expose());
    fields.field("Description", &token.description);
    fields.field("Local", token.local);
    fields.field("Create Time", print::time(token.create_time));
    if !token.expiration_time.is_zero() {
        fields.field("Expiration Time", print::time(token.expiration_time));
    }
    if with_meta {
        fields.field("Hash", hash(&token.hash));
        fields.field("Create Index", token.create_index);
        fields.field("Modify Index", token.modify_index);
    }
    fields
}

/// A token as text.
fn token_text(token: &Token, with_meta: bool) -> String {
    let mut fields = token_fields(token, with_meta);
    if !token.policies.is_empty() {
        fields.head("Policies");
        for PolicyLink { id, name } in &token.policies {
            fields.item(format_args!("{id} - {name}"));
        }
    }
    if !token.service_identities.is_empty() {
        fields.head("Service Identities");
        for identity in &token.service_identities {
            fields.item(service_identity(identity));
        }
    }
    if !token.node_identities.is_empty() {
        fields.head("Node Identities");
        for identity in &token.node_identities {
            fields.item(node_identity(identity));
        }
    }
    fields.finish()
}

fn service_identity(identity: &ServiceIdentity) -> String {
    let ServiceIdentity { service_name, datacenters } = identity;
    let datacenters = if datacenters.is_empty() { "all".to_owned() } else { datacenters.join(", ") };
    format!("{service_name} (Datacenters: {datacenters})")
}

fn node_identity(identity: &NodeIdentity) -> String {
    let NodeIdentity { node_name, datacenter } = identity;
    format!("{node_name} (Datacenter: {datacenter})")
}

/// A hash in hexadecimal, as Consul prints it. The API has it in base64.
fn hash(base64: &str) -> String {
    match STANDARD.decode(base64) {
        Ok(bytes) => bytes.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        }),
        Err(_) => base64.to_owned(),
    }
}

/// The full accessor of a token that is given as a prefix, or as `anonymous`.
async fn accessor(name: &str, client: &Client, options: &QueryOptions) -> Result<String, Failure> {
    match name {
        "anonymous" => Ok(ANONYMOUS.to_owned()),
        whole if whole.len() >= UUID_CHARS => Ok(whole.to_owned()),
        beginning => {
            let tokens = client.acl_tokens(options).await.map_err(Failure::api("look the token up"))?.value;
            only(beginning, "token", tokens.into_iter().map(|token| token.accessor_id))
        }
    }
}

/// The full id of a policy that is given as a prefix. Built-in policies may also be given by name.
async fn policy_id(name: &str, client: &Client, options: &QueryOptions) -> Result<String, Failure> {
    if let Some((_, id)) = BUILT_IN.into_iter().find(|(own, _)| *own == name) {
        return Ok(id.to_string());
    }
    if name.len() >= UUID_CHARS {
        return Ok(name.to_owned());
    }
    let policies = client.acl_policies(options).await.map_err(Failure::api("look the policy up"))?.value;
    only(name, "policy", policies.into_iter().map(|policy| policy.id))
}

/// The only id with this prefix.
fn only(beginning: &str, what: &str, ids: impl Iterator<Item = String>) -> Result<String, Failure> {
    let mut found = ids.filter(|id| !beginning.is_empty() && id.starts_with(beginning));
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id),
        (None, _) => Err(Failure::input(format!("no {what} has an id that begins with {beginning:?}"))),
        (Some(one), Some(other)) => {
            let mut message = format!("several {what} ids begin with {beginning:?}: ");
            let _ = write!(message, "{one}, {other}");
            Err(Failure::input(message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_stands_for_the_one_id_that_has_it() {
        let ids = || ["aa1".to_owned(), "ab2".to_owned()].into_iter();
        assert_eq!(only("aa", "token", ids()).unwrap(), "aa1");
        assert!(only("a", "token", ids()).is_err());
        assert!(only("c", "token", ids()).is_err());
        assert!(only("", "token", ["aa1".to_owned()].into_iter()).is_err());
    }

    #[test]
    fn a_fingerprint_is_printed_in_hexadecimal() {
        assert_eq!(hash("AQL/"), "0102ff");
        assert_eq!(hash("*"), "*", "what is none stays as it is");
    }
}
