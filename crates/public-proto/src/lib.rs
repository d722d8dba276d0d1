//! The messages of Consul's public gRPC services, by hand from the numbers and types of their fields, and the paths of
//! their methods.
//!
//! Only what is served stands here. Fields that older clients send in another place are named so.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

use std::collections::HashMap;

/// What the paths of all public services begin with.
pub const PREFIX: &str = "/hashicorp.consul.";

/// Which servers there are.
pub mod serverdiscovery {
    /// A stream of [`WatchServersResponse`].
    pub const WATCH_SERVERS: &str = "/hashicorp.consul.serverdiscovery.ServerDiscoveryService/WatchServers";

    /// Asks for the servers.
    #[derive(Clone, Copy, Eq, PartialEq, prost::Message)]
    pub struct WatchServersRequest {
        /// At the addresses for other datacenters.
        #[prost(bool, tag = "1")]
        pub wan: bool,
    }

    /// All servers that are ready.
    #[derive(Clone, Eq, PartialEq, prost::Message)]
    pub struct WatchServersResponse {
        /// The servers.
        #[prost(message, repeated, tag = "1")]
        pub servers: Vec<Server>,
    }

    /// A server.
    #[derive(Clone, Eq, PartialEq, prost::Message)]
    pub struct Server {
        /// Its id.
        #[prost(string, tag = "1")]
        pub id: String,
        /// Its address, without a port.
        #[prost(string, tag = "2")]
        pub address: String,
        /// The version of Consul that it is compatible with.
        #[prost(string, tag = "3")]
        pub version: String,
    }
}

/// What consul-dataplane asks for.
pub mod dataplane {
    /// [`FeaturesResponse`] to [`FeaturesRequest`].
    pub const FEATURES: &str = "/hashicorp.consul.dataplane.DataplaneService/GetSupportedDataplaneFeatures";
    /// [`ParamsResponse`] to [`ParamsRequest`].
    pub const PARAMS: &str = "/hashicorp.consul.dataplane.DataplaneService/GetEnvoyBootstrapParams";

    /// Asks for the features.
    #[derive(Clone, Copy, Eq, PartialEq, prost::Message)]
    pub struct FeaturesRequest {}

    /// The features of this server.
    #[derive(Clone, Eq, PartialEq, prost::Message)]
    pub struct FeaturesResponse {
        /// All that it knows.
        #[prost(message, repeated, tag = "1")]
        pub supported_dataplane_features: Vec<FeatureSupport>,
    }

    /// Whether there is a feature.
    #[derive(Clone, Copy, Eq, PartialEq, prost::Message)]
    pub struct FeatureSupport {
        /// The feature.
        #[prost(enumeration = "Feature", tag = "1")]
        pub feature_name: i32,
        /// Whether it is there.
        #[prost(bool, tag = "2")]
        pub supported: bool,
    }

    /// A feature.
    #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, prost::Enumeration)]
    #[repr(i32)]
    pub enum Feature {
        /// None.
        Unspecified = 0,
        /// The servers can be watched.
        WatchServers = 1,
        /// Proxies get their certificates from the servers.
        EdgeCertificateManagement = 2,
        /// Servers tell what Envoy's bootstrap needs.
        EnvoyBootstrapConfiguration = 3,
        /// It is built with validated cryptography.
        Fips = 4,
    }

    /// Asks what the bootstrap of a proxy needs.
    #[derive(Clone, Eq, PartialEq, prost::Message)]
    pub struct ParamsRequest {
        /// The id of its node, if that is how the node is named. Both are one choice on the wire.
        #[prost(string, tag = "1")]
        pub node_id: String,
        /// The name of its node.
        #[prost(string, tag = "2")]
        pub node_name: String,
        /// Where older clients say the proxy's id.
        #[prost(string, tag = "3")]
        pub service_id: String,
        /// Its partition; empty: the default.
        #[prost(string, tag = "4")]
        pub partition: String,
        /// Its namespace; empty: the default.
        #[prost(string, tag = "5")]
        pub namespace: String,
        /// The id of the proxy.
        #[prost(string, tag = "6")]
        pub proxy_id: String,
    }

    /// What the bootstrap of a proxy needs.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct ParamsResponse {
        /// Where older clients read [`ParamsResponse::identity`].
        #[prost(string, tag = "2")]
        pub service: String,
        /// Its namespace.
        #[prost(string, tag = "3")]
        pub namespace: String,
        /// Its partition.
        #[prost(string, tag = "4")]
        pub partition: String,
        /// Its datacenter.
        #[prost(string, tag = "5")]
        pub datacenter: String,
        /// Its opaque settings, merged with entries.
        #[prost(message, optional, tag = "6")]
        pub config: Option<prost_types::Struct>,
        /// The name of its node.
        #[prost(string, tag = "8")]
        pub node_name: String,
        /// Its access logs, each as JSON of Envoy's.
        #[prost(string, repeated, tag = "9")]
        pub access_logs: Vec<String>,
        /// The service that it serves; of a gateway its own.
        #[prost(string, tag = "10")]
        pub identity: String,
    }
}

/// The certificate authority.
pub mod connectca {
    /// A stream of [`WatchRootsResponse`].
    pub const WATCH_ROOTS: &str = "/hashicorp.consul.connectca.ConnectCAService/WatchRoots";
    /// [`SignResponse`] to [`SignRequest`].
    pub const SIGN: &str = "/hashicorp.consul.connectca.ConnectCAService/Sign";

    /// Asks for the roots.
    #[derive(Clone, Copy, Eq, PartialEq, prost::Message)]
    pub struct WatchRootsRequest {}

    /// All trusted roots.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct WatchRootsResponse {
        /// The id of the one that signs.
        #[prost(string, tag = "1")]
        pub active_root_id: String,
        /// The trust domain.
        #[prost(string, tag = "2")]
        pub trust_domain: String,
        /// The roots.
        #[prost(message, repeated, tag = "3")]
        pub roots: Vec<Root>,
    }

    /// A root.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Root {
        /// Its id.
        #[prost(string, tag = "1")]
        pub id: String,
        /// Its name.
        #[prost(string, tag = "2")]
        pub name: String,
        /// The lowest bits of its serial number.
        #[prost(uint64, tag = "3")]
        pub serial_number: u64,
        /// The id of the key that signs leaves.
        #[prost(string, tag = "4")]
        pub signing_key_id: String,
        /// The certificate, PEM.
        #[prost(string, tag = "5")]
        pub root_cert: String,
        /// What stands between it and leaves, PEM.
        #[prost(string, repeated, tag = "6")]
        pub intermediate_certs: Vec<String>,
        /// Whether it signs.
        #[prost(bool, tag = "7")]
        pub active: bool,
        /// When it ended to sign.
        #[prost(message, optional, tag = "8")]
        pub rotated_out_at: Option<prost_types::Timestamp>,
    }

    /// Asks for a leaf.
    #[derive(Clone, Eq, PartialEq, prost::Message)]
    pub struct SignRequest {
        /// The request for a certificate, PEM.
        #[prost(string, tag = "1")]
        pub csr: String,
    }

    /// A leaf.
    #[derive(Clone, Eq, PartialEq, prost::Message)]
    pub struct SignResponse {
        /// The leaf and what stands between it and its root, PEM.
        #[prost(string, tag = "2")]
        pub cert_pem: String,
    }
}

/// Tokens by auth methods.
pub mod acl {
    use super::HashMap;

    /// Makes a token.
    pub const LOGIN: &str = "/hashicorp.consul.acl.ACLService/Login";
    /// Removes such a token.
    pub const LOGOUT: &str = "/hashicorp.consul.acl.ACLService/Logout";

    /// Asks for a token.
    #[derive(Clone, Eq, PartialEq, prost::Message)]
    pub struct LoginRequest {
        /// The auth method.
        #[prost(string, tag = "1")]
        pub auth_method: String,
        /// What proves who asks.
        #[prost(string, tag = "2")]
        pub bearer_token: String,
        /// Metadata of the token.
        #[prost(map = "string, string", tag = "3")]
        pub meta: HashMap<String, String>,
        /// The namespace of the method.
        #[prost(string, tag = "4")]
        pub namespace: String,
        /// The partition of the method.
        #[prost(string, tag = "5")]
        pub partition: String,
        /// The datacenter of the token.
        #[prost(string, tag = "6")]
        pub datacenter: String,
    }
}
