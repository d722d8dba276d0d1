//! The bodies of writes of tokens and policies: what may stand in them, and what they mean.

use std::time::Duration;

use concord_model::token::{self, ANONYMOUS_ACCESSOR, Identities, NodeLink, ServiceLink};
use concord_model::{Datacenter, Secret, Timestamp, Uuid};
use concord_syntax::{Node, duration::serde_go};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::link::{NodeIdentity, PolicyLink, ServiceIdentity};
use crate::Moment;
use crate::decode;
use crate::definition::field;
use crate::fault::{Fault, Faults};
use crate::limits::TOKEN_TTL_MIN;
use crate::shape::{null_default, secret};

/// The rule for names in identities.
const IDENTITY_NAMES: &str = "Only lowercase alphanumeric characters, '-' and '_' are allowed";

/// Body of a token's write, as sent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct TokenBody {
    #[serde(rename = "AccessorID")]
    accessor_id: String,
    #[serde(rename = "SecretID", deserialize_with = "secret")]
    secret_id: Option<Secret>,
    description: String,
    #[serde(deserialize_with = "null_default")]
    policies: Vec<PolicyLink>,
    #[serde(deserialize_with = "null_default")]
    roles: Vec<Node>,
    #[serde(deserialize_with = "null_default")]
    service_identities: Vec<ServiceIdentity>,
    #[serde(deserialize_with = "null_default")]
    node_identities: Vec<NodeIdentity>,
    #[serde(deserialize_with = "null_default")]
    templated_policies: Vec<Node>,
    local: bool,
    auth_method: String,
    expiration_time: Moment,
    #[serde(rename = "ExpirationTTL", with = "serde_go")]
    expiration_ttl: Duration,
    namespace: String,
    partition: String,

    // Answers contain these fields, and clients send back what they read.
    _create_time: IgnoredAny,
    _hash: IgnoredAny,
    _auth_method_namespace: IgnoredAny,
    _create_index: IgnoredAny,
    _modify_index: IgnoredAny,
}

/// A token to create or change.
#[derive(Clone, Debug)]
pub struct TokenUpsert {
    /// The accessor; `None`: a new token.
    pub accessor: Option<Uuid>,
    /// Its secret; `None`: generated for a new token, unchanged for an existing one.
    pub secret: Option<Secret>,
    /// A description for people.
    pub description: String,
    /// Its policies.
    pub policies: Vec<PolicyRef>,
    /// The services and nodes whose identity it has.
    pub identities: Identities,
    /// Whether it is valid in this datacenter only.
    pub local: bool,
    /// When it expires.
    pub expires: Expiry,
}

/// How a write names a policy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PolicyRef {
    /// By id; this wins over a name.
    Id(Uuid),
    /// By name.
    Name(String),
}

/// When a token expires.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expiry {
    /// Never.
    Never,
    /// At this moment.
    At(Timestamp),
    /// This long after its creation.
    After(Duration),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct PolicyBody {
    #[serde(rename = "ID")]
    id: String,
    name: String,
    description: String,
    rules: String,
    #[serde(deserialize_with = "null_default")]
    datacenters: Vec<String>,
    namespace: String,
    partition: String,

    // Answers contain these fields, and clients send back what they read.
    _hash: IgnoredAny,
    _create_index: IgnoredAny,
    _modify_index: IgnoredAny,
}

/// A policy to create or change. Its rules are not parsed yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PolicyUpsert {
    /// The id; `None`: a new policy.
    pub id: Option<Uuid>,
    /// Its name.
    pub name: String,
    /// A description for people.
    pub description: String,
    /// The rules.
    pub rules: String,
    /// Datacenters it is valid in; empty: all.
    pub datacenters: Vec<Datacenter>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct BootstrapBody {
    #[serde(deserialize_with = "secret")]
    bootstrap_secret: Option<Secret>,
}

impl TokenUpsert {
    /// Parses the body of `PUT acl/token`, or with `accessor` that of `PUT acl/token/:accessor`.
    pub fn decode(body: &[u8], accessor: Option<Uuid>) -> Result<Self, Faults> {
        decode::body::<TokenBody>(body, "Token decoding failed")?.resolve(accessor)
    }
}

impl TokenBody {
    fn resolve(self, in_path: Option<Uuid>) -> Result<TokenUpsert, Faults> {
        let mut faults = Vec::new();
        field::tenancy(&self.namespace, &self.partition, &mut faults);
        for (name, used) in [
            ("Roles", !self.roles.is_empty()),
            ("TemplatedPolicies", !self.templated_policies.is_empty()),
            ("AuthMethod", !self.auth_method.is_empty()),
        ] {
            field::not_available(name, used, &format!("{name} of tokens"), &mut faults);
        }
        let accessor = self.accessor(in_path, &mut faults);
        if let Some(secret) = &self.secret_id
            && accessor != Some(ANONYMOUS_ACCESSOR)
        {
            check_secret("SecretID", secret, &mut faults);
        }
        let expires = self.expiry(&mut faults);
        let policies = self.policy_refs(&mut faults);
        let identities = self.identities(&mut faults);
        let upsert = TokenUpsert {
            accessor,
            secret: self.secret_id,
            description: self.description,
            policies,
            identities,
            local: self.local,
            expires,
        };
        Faults::or("", faults, upsert)
    }

    fn accessor(&self, in_path: Option<Uuid>, faults: &mut Vec<Fault>) -> Option<Uuid> {
        if self.accessor_id.is_empty() {
            return in_path;
        }
        match Uuid::parse(&self.accessor_id) {
            Ok(id) if in_path.is_some_and(|path| path != id) => {
                let text = "Token Accessor ID in URL and payload do not match";
                faults.push(Fault::rule("AccessorID", text));
                None
            }
            Ok(id) if in_path.is_none() && token::is_reserved(id) => {
                faults.push(Fault::rule("AccessorID", reserved("AccessorID")));
                None
            }
            Ok(id) => Some(id),
            Err(_) => {
                faults.push(Fault::rule("AccessorID", "Invalid Token: AccessorID - not a valid UUID"));
                None
            }
        }
    }

    fn expiry(&self, faults: &mut Vec<Fault>) -> Expiry {
        match (self.expiration_time.0, self.expiration_ttl) {
            (None, Duration::ZERO) => Expiry::Never,
            (Some(at), Duration::ZERO) => Expiry::At(at),
            (Some(_), _) => {
                let text = "Token Expiration TTL and Expiration Time cannot both be set";
                faults.push(Fault::rule("ExpirationTTL", text));
                Expiry::Never
            }
            (None, ttl) => {
                if ttl < TOKEN_TTL_MIN {
                    let text = format!(
                        "ExpirationTime cannot be less than 1m0s in the future (was {})",
                        concord_syntax::duration::format(ttl)
                    );
                    faults.push(Fault::rule("ExpirationTTL", text));
                }
                Expiry::After(ttl)
            }
        }
    }

    /// The identities, without repetitions. Errors have Consul's wording.
    fn identities(&self, faults: &mut Vec<Fault>) -> Identities {
        let mut identities = Identities::default();
        for (at, ServiceIdentity { service_name, datacenters }) in self.service_identities.iter().enumerate()
        {
            let field = format!("ServiceIdentities[{at}]");
            if service_name.is_empty() {
                let text = "Service identity is missing the service name field on this token";
                faults.push(Fault::rule(field, text));
                continue;
            }
            if self.local && !datacenters.is_empty() {
                let text = format!(
                    "Service identity {service_name:?} cannot specify a list of datacenters on a local token"
                );
                faults.push(Fault::rule(&field, text));
            }
            let place = format!("{field}.Datacenters");
            let datacenters =
                datacenters.iter().filter_map(|name| field::name(&place, name, faults)).collect();
            match token::identity_name(service_name) {
                Some(service) => identities.add_service(ServiceLink { service, datacenters }),
                None => {
                    let text =
                        format!("Service identity {service_name:?} has an invalid name. {IDENTITY_NAMES}");
                    faults.push(Fault::rule(field, text));
                }
            }
        }
        for (at, NodeIdentity { node_name, datacenter }) in self.node_identities.iter().enumerate() {
            let field = format!("NodeIdentities[{at}]");
            if node_name.is_empty() {
                faults
                    .push(Fault::rule(&field, "Node identity is missing the node name field on this token"));
            }
            if datacenter.is_empty() {
                faults
                    .push(Fault::rule(&field, "Node identity is missing the datacenter field on this token"));
            }
            if node_name.is_empty() || datacenter.is_empty() {
                continue;
            }
            let datacenter = field::name(&format!("{field}.Datacenter"), datacenter, faults);
            match (token::identity_name(node_name), datacenter) {
                (Some(node), Some(datacenter)) => identities.add_node(NodeLink { node, datacenter }),
                (Some(_), None) => {}
                (None, _) => {
                    let text = format!("Node identity has an invalid name. {IDENTITY_NAMES}");
                    faults.push(Fault::rule(field, text));
                }
            }
        }
        identities
    }

    fn policy_refs(&self, faults: &mut Vec<Fault>) -> Vec<PolicyRef> {
        let mut refs = Vec::with_capacity(self.policies.len());
        for (at, PolicyLink { id, name }) in self.policies.iter().enumerate() {
            let field = format!("Policies[{at}]");
            match (id.as_str(), name.as_str()) {
                ("", "") => faults.push(Fault::rule(&field, format!("{field} needs an ID or a Name"))),
                ("", name) => refs.push(PolicyRef::Name(name.to_owned())),
                (id, _) => match Uuid::parse(id) {
                    Ok(id) => refs.push(PolicyRef::Id(id)),
                    Err(error) => faults.push(Fault::rule(&field, format!("{field}.ID: {error}"))),
                },
            }
        }
        refs
    }
}

impl PolicyUpsert {
    /// Parses the body of `PUT acl/policy`, or with `id` that of `PUT acl/policy/:id`.
    pub fn decode(body: &[u8], id: Option<Uuid>) -> Result<Self, Faults> {
        decode::body::<PolicyBody>(body, "Policy decoding failed")?.resolve(id)
    }
}

impl PolicyBody {
    fn resolve(self, in_path: Option<Uuid>) -> Result<PolicyUpsert, Faults> {
        let mut faults = Vec::new();
        field::tenancy(&self.namespace, &self.partition, &mut faults);
        let written = (!self.id.is_empty()).then(|| Uuid::parse(&self.id));
        match (in_path, &written) {
            (None, Some(_)) => {
                faults.push(Fault::rule("ID", "Cannot specify the ID when creating a new policy"));
            }
            (Some(path), Some(id)) if id.as_ref().ok() != Some(&path) => {
                faults.push(Fault::rule("ID", "Policy ID in URL and payload do not match"));
            }
            (None | Some(_), None) | (Some(_), Some(_)) => {}
        }
        if self.name.is_empty() {
            faults.push(Fault::rule("Name", "Invalid Policy: no Name is set"));
        } else if let Err(error) = token::policy_name(&self.name)
            && !in_path.is_some_and(token::is_reserved)
        {
            faults.push(Fault::rule("Name", format!("Invalid Policy: invalid Name. {error}")));
        }
        let datacenters = self
            .datacenters
            .iter()
            .filter_map(|name| field::name("Datacenters", name, &mut faults))
            .collect();
        let Self { name, description, rules, .. } = self;
        Faults::or("", faults, PolicyUpsert { id: in_path, name, description, rules, datacenters })
    }
}

/// Parses the body of `acl/bootstrap`, which may be empty. Returns the secret that the caller chose.
pub fn decode_bootstrap(body: &[u8]) -> Result<Option<Secret>, Faults> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let BootstrapBody { bootstrap_secret } = decode::body(body, "Request decoding failed")?;
    let mut faults = Vec::new();
    if let Some(secret) = &bootstrap_secret {
        check_secret("BootstrapSecret", secret, &mut faults);
    }
    Faults::or("", faults, bootstrap_secret)
}

fn check_secret(field: &str, secret: &Secret, faults: &mut Vec<Fault>) {
    match Uuid::parse(secret.expose()) {
        Err(_) => faults.push(Fault::rule(field, format!("Invalid Token: {field} - not a valid UUID"))),
        Ok(id) if token::is_reserved(id) => faults.push(Fault::rule(field, reserved(field))),
        Ok(_) => {}
    }
}

fn reserved(field: &str) -> String {
    format!(
        "Invalid Token: {field} - UUIDs with the prefix \"00000000-0000-0000-0000-0000000000\" are reserved"
    )
}
