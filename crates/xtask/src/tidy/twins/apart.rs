//! Twins that are allowed, with the reason.

/// The reason, and its pairs. Both names are `crate::module::Name`, sorted.
pub(super) type Reason = (&'static str, &'static [(&'static str, &'static str)]);

pub(super) const APART: &[Reason] = &[
    (
        "the public JSON has its own spellings, empty values and order of keys; the other is what it means",
        &[
            ("api::acl::Policy", "model::token::AclPolicy"),
            ("api::acl::Policy", "rpc::request::acl::SetPolicy"),
            ("api::acl::body::PolicyBody", "model::token::AclPolicy"),
            ("api::acl::body::PolicyBody", "rpc::request::acl::SetPolicy"),
            ("api::acl::PolicyStub", "rpc::request::acl::SetPolicy"),
            ("api::acl::body::PolicyUpsert", "model::token::AclPolicy"),
            ("api::acl::body::PolicyUpsert", "rpc::request::acl::SetPolicy"),
            ("api::acl::body::TokenUpsert", "model::token::Token"),
            ("api::acl::body::TokenUpsert", "rpc::request::acl::SetToken"),
            ("api::acl::body::TokenUpsert", "rpc::request::acl::TokenRecord"),
            ("api::catalog::register::CheckBody", "model::catalog::Check"),
            ("api::connect::configuration::Body", "rpc::request::certificate::SetCaConfig"),
            ("api::connect::configuration::CaConfigurationBody", "ca::rotation::event::Change"),
            ("api::connect::configuration::CaConfigurationBody", "model::ca::CaConfig"),
            ("api::connect::configuration::CaConfigurationBody", "rpc::request::certificate::SetCaConfig"),
            ("api::definition::proxy::ExposedPathDefinition", "model::proxy::ExposedPath"),
            ("api::explain::IntentionExplain", "mesh::explain::Explanation"),
            ("api::health::HealthCheck", "model::catalog::Check"),
            ("api::intention::IntentionParts", "mesh::intention::Intention"),
            ("api::intention::IntentionParts", "rpc::request::intention::PlainIntention"),
            ("api::intention::by_id::IntentionWithId", "mesh::intention::Intention"),
            ("api::intention::by_id::IntentionWithId", "rpc::request::intention::PlainIntention"),
            ("api::proxy::CatalogProxy", "model::entry::proxy_defaults::ProxyDefaults"),
            ("api::proxy::ExposedPath", "model::proxy::ExposedPath"),
            ("api::query::ReadQuery", "client::query::QueryOptions"),
            ("api::query::ReadQuery", "rpc::head::Head"),
            ("api::service::AgentService", "model::catalog::ServiceInstance"),
            ("api::service::NodeService", "model::catalog::ServiceInstance"),
        ],
    ),
    (
        "endpoints of the public JSON show or take the same record in shapes that differ in their keys and their empty values",
        &[
            ("api::acl::Policy", "api::acl::PolicyStub"),
            ("api::catalog::Node", "api::service::AgentService"),
            ("api::catalog::Node", "api::service::NodeService"),
            ("api::catalog::Node", "api::service::ServiceNode"),
            ("api::proxy::AgentProxy", "api::proxy::CatalogProxy"),
            ("api::proxy::AgentUpstream", "api::proxy::CatalogUpstream"),
            ("api::service::AgentService", "api::service::NodeService"),
        ],
    ),
    (
        "one is read leniently from a caller, the other is an answer or what was read after its faults were told",
        &[
            ("api::acl::Policy", "api::acl::body::PolicyUpsert"),
            ("api::acl::body::PolicyBody", "api::acl::body::PolicyUpsert"),
            ("api::acl::PolicyStub", "api::acl::body::PolicyUpsert"),
            ("api::catalog::register::CheckBody", "api::health::HealthCheck"),
            ("api::connect::configuration::Body", "api::connect::configuration::CaConfigurationBody"),
            ("api::definition::check::CheckDefinition", "api::health::definition::CheckDefinition"),
            ("api::definition::proxy::ExposedPathDefinition", "api::proxy::ExposedPath"),
            ("api::definition::proxy::ProxyDefinition", "api::proxy::AgentProxy"),
            ("api::definition::proxy::ProxyDefinition", "api::proxy::CatalogProxy"),
            ("api::definition::proxy::UpstreamDefinition", "api::proxy::AgentUpstream"),
            ("api::definition::proxy::UpstreamDefinition", "api::proxy::CatalogUpstream"),
            ("api::intention::IntentionParts", "api::intention::by_id::IntentionWithId"),
        ],
    ),
    (
        "one is kept or replicated with its stamp, the other asks for it or shows it",
        &[
            ("ca::rotation::event::Change", "rpc::request::certificate::SetCaConfig"),
            ("model::ca::CaConfig", "rpc::request::certificate::SetCaConfig"),
            ("model::intention::ServiceIntentions", "state::row::IntentionHead"),
            ("model::token::AclPolicy", "rpc::request::acl::SetPolicy"),
            ("model::token::Token", "rpc::request::acl::TokenRecord"),
        ],
    ),
    (
        "the client takes names unparsed and fills in its own defaults, the servers' head is parsed",
        &[("client::query::QueryOptions", "rpc::head::Head")],
    ),
    (
        "a file on disk has its own form, which stays readable when the model changes",
        &[
            ("agent::local::check::Verdict", "agent::persist::verdicts::VerdictFile"),
            ("agent::persist::CheckFile", "model::registration::CheckSpec"),
        ],
    ),
    (
        "the answer's body has gone when its head is written, and Consul leaves the consistency out of some",
        &[("front::http::reply::Meta", "rpc::head::Answer")],
    ),
    (
        "one goes with each entry of the log, the other with the whole state",
        &[("state::envelope::Envelope", "state::snapshot::header::SnapshotHeader")],
    ),
    (
        "tasks of one proxy hold handles to the same parts",
        &[
            ("proxy::control::Follower", "proxy::control::Proxy"),
            ("proxy::control::Follower", "proxy::control::leaf::Keeper"),
        ],
    ),
    (
        "one borrows what is about to be signed, the other owns what was read from bytes",
        &[("ca::x509::Certificate", "ca::x509::build::Body")],
    ),
    (
        "the names are those of a place or of a time, the things are different ones",
        &[
            ("agent::cache::slot::State", "agent::leaves::entry::LeafState"),
            ("api::catalog::register::RegisterBody", "model::spiffe::ServiceIdentity"),
            ("api::definition::proxy::ProxyDefinition", "model::entry::proxy_defaults::ProxyDefaults"),
            ("api::intention::IntentionParts", "model::intention::ServiceIntentions"),
            ("api::intention::permission::HeaderPermission", "model::entry::service_router::RouteHeader"),
            ("api::intention::permission::HttpPermission", "model::entry::service_router::HttpRouteMatch"),
            ("api::service::AgentService", "model::spiffe::ServiceIdentity"),
            ("ca::csr::SigningScope", "model::spiffe::ServiceIdentity"),
            ("ca::verify::leaf::Verified", "model::ca::CaRoot"),
            ("model::entry::service_resolver::ResolverTarget", "model::spiffe::ServiceIdentity"),
            ("model::entry::service_router::RouteDestination", "model::entry::service_splitter::Split"),
            ("mesh::intention::Intention", "model::intention::ServiceIntentions"),
            ("mesh::intention::Intention", "rpc::request::intention::PlainIntention"),
        ],
    ),
];
