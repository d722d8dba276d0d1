//! Validation of configuration entries, alone and together with the others. All errors of an entry are reported at
//! once.
//!
//! Each kind has a file and a row in the table here.

mod api_gateway;
mod bound_api_gateway;
mod chains;
mod ejection;
mod exported_services;
mod fault;
mod file_system_certificate;
mod gates;
mod gateway_fault;
mod graph;
mod http_route;
mod ingress_gateway;
mod inline_certificate;
mod jwt_provider;
mod limits;
mod mesh;
mod protocol;
mod proxy_defaults;
mod requests;
mod routing;
mod service_defaults;
mod service_intentions;
mod service_resolver;
mod service_router;
mod service_splitter;
mod tcp_route;
mod terminating_gateway;
mod trial;

use concord_model::ServiceRef;
use concord_model::entry::{Entry, EntryKind};

pub(crate) use self::chains::leading_to;
pub use self::exported_services::CONSUMERS_MAX;
use self::fault::Faults;
pub use self::fault::{EntryFault, Fault, Given, RoutingFault};
pub use self::gates::{HOSTS_MAX, LISTENERS_MAX, REFERENCES_MAX, SERVICES_MAX};
pub use self::gateway_fault::GatewayFault;
use self::graph::Proposed;
pub use self::graph::{Change, GraphFault, Lookup, REFERENCE_RULES};
pub use self::http_route::RULES_MAX;
pub use self::jwt_provider::{named as providers_of, of_source as providers_of_source};
pub use self::limits::{
    AUDIENCES_MAX, CLAIM_DEPTH_MAX, CLAIMS_MAX, COMPILED_BYTES_MAX, EXPOSED_PATHS_MAX, HEADERS_MAX,
    KEY_SET_BYTES_MAX, LOCATIONS_MAX, META_KEY_BYTES_MAX, META_PAIRS_MAX, META_VALUE_BYTES_MAX,
    PATTERN_BYTES_MAX, PATTERNS_MAX, PERMISSIONS_MAX, PROVIDERS_MAX, SOURCES_MAX, TEXT_BYTES_MAX,
};
pub use self::requests::check_source;
pub use self::routing::SUBSET_BYTES_MAX;
pub use self::service_defaults::{ADDRESSES_MAX, OVERRIDES_MAX};
pub use self::service_intentions::{links_of, validate_patterns, validate_source};
pub use self::service_resolver::{
    FAILOVER_TARGETS_MAX, FAILOVERS_MAX, HASH_POLICIES_MAX, RING_SIZE_MAX, SUBSETS_MAX,
};
pub use self::service_router::{QUERY_PARAMS_MAX, RETRY_CODES_MAX, RETRY_CONDITIONS_MAX, ROUTES_MAX};
pub use self::service_splitter::SPLITS_MAX;

macro_rules! kinds {
    ($($kind:ident => $file:ident;)*) => {
        /// Checks a change against all stored entries.
        pub fn check_graph(kept: &dyn Lookup, change: Change<'_>) -> Result<(), GraphFault> {
            let proposed = Proposed::new(kept, change);
            match change.name.kind { $(EntryKind::$kind => $file::graph(proposed),)* }
        }

        /// The services on which an entry depends.
        pub fn links(entry: &Entry) -> Vec<ServiceRef> {
            match entry { $(Entry::$kind(entry) => $file::links(entry),)* }
        }

        /// Validates an entry alone. Returns all its errors, in the order of the entry's fields.
        pub fn validate(entry: &Entry) -> Result<(), Vec<EntryFault>> {
            let mut faults = Faults::default();
            faults.name(&entry.name());
            match entry { $(Entry::$kind(entry) => $file::check(entry, &mut faults),)* }
            faults.none_or()
        }
    };
}

kinds! {
    ServiceIntentions => service_intentions;
    ServiceDefaults => service_defaults;
    ProxyDefaults => proxy_defaults;
    Mesh => mesh;
    ServiceResolver => service_resolver;
    ServiceRouter => service_router;
    ServiceSplitter => service_splitter;
    JwtProvider => jwt_provider;
    IngressGateway => ingress_gateway;
    TerminatingGateway => terminating_gateway;
    ExportedServices => exported_services;
    InlineCertificate => inline_certificate;
    FileSystemCertificate => file_system_certificate;
    ApiGateway => api_gateway;
    BoundApiGateway => bound_api_gateway;
    HttpRoute => http_route;
    TcpRoute => tcp_route;
}
