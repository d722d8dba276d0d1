//! `bound-api-gateway`: what an API gateway uses.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::status::Reference;

/// What a gateway uses, as the leader has computed it. Nobody else can write it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct BoundApiGateway {
    /// What each listener uses, in the order of the gateway's listeners.
    pub listeners: Vec<BoundListener>,
    /// The services that it reaches, each with the routes that lead to it.
    pub services: BTreeMap<String, Vec<Reference>>,
}

/// What a listener uses.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct BoundListener {
    /// The listener.
    pub name: String,
    /// Its routes.
    pub routes: Vec<Reference>,
    /// Its certificates.
    pub certificates: Vec<Reference>,
}
