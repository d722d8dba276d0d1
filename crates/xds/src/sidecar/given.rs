//! Listeners and clusters that operators write themselves, as JSON, in place of those that are made here.
//!
//! What protects the mesh is put into them: TLS and the intentions into a public listener, TLS with the identity of the
//! service into a cluster. One that cannot be read is left out, and nothing takes its place.

use concord_envoy_proto::envoy::config::cluster::v3::Cluster;
use concord_envoy_proto::envoy::config::cluster::v3::cluster::DiscoveryType;
use concord_envoy_proto::envoy::config::core::v3::TransportSocket;
use concord_envoy_proto::envoy::config::listener::v3::{Filter, Listener};
use concord_envoy_proto::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter,
};
use concord_envoy_proto::written::{self, DynamicMessage, JsonError, Value};
use concord_model::proxy::Settings;
use prost::Name as _;

use crate::resource::{Resource, ResourceType};

/// The listener for connections from the mesh.
pub(super) const PUBLIC_LISTENER: &str = "envoy_public_listener_json";
/// The cluster of the local service.
pub(super) const LOCAL_CLUSTER: &str = "envoy_local_cluster_json";
/// The listener of an upstream.
pub(super) const LISTENER: &str = "envoy_listener_json";
/// The cluster of an upstream.
pub(super) const CLUSTER: &str = "envoy_cluster_json";

/// Ways into a listener that lead past its filter chains.
const WAYS_PAST: [&str; 3] = ["udp_listener_config", "api_listener", "internal_listener"];

/// What a manager does to requests before rules see them: it does the same in every listener.
const SEEN_BY_RULES: [&str; 7] = [
    "normalize_path",
    "merge_slashes",
    "path_with_escaped_slashes_action",
    "path_normalization_options",
    "strip_matching_host_port",
    "strip_any_host_port",
    "strip_trailing_host_dot",
];

/// Why what an operator has written is not used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Fault {
    /// It is no text.
    #[error("it must be a text that holds JSON")]
    NoText,
    /// It is not the message that is needed.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It has no name.
    #[error("the field \"name\" is missing")]
    NoName,
    /// Its name is that of something else.
    #[error("the name {0:?} is that of another listener or cluster of the proxy")]
    Taken(String),
    /// Another name is needed.
    #[error("the name is {found:?}; the listener leads to the cluster {needed:?}")]
    Name {
        /// The name that it has.
        found: String,
        /// The name that it must have.
        needed: String,
    },
    /// It has a field that cannot be passed on.
    #[error("not available yet: one of its fields is deprecated in Envoy's API")]
    Tracing,
    /// Connections would be judged by nobody.
    #[error("the field {0:?} is refused: it leads past TLS and the intentions")]
    Past(&'static str),
}

/// The text of a key, if it says something.
pub(super) fn text<'a>(settings: &'a Settings, key: &str) -> Result<Option<&'a str>, Fault> {
    match settings.get(key) {
        None | Some(serde_json::Value::Null) => Ok(None),
        Some(serde_json::Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => Err(Fault::NoText),
    }
}

/// A listener or cluster that an operator has written.
pub(super) struct Given {
    message: DynamicMessage,
    pub(super) name: String,
}

/// How requests are judged in a manager that an operator has written.
pub(super) struct Requests {
    /// The manager that is made here, for the way in which it reads requests.
    pub(super) manager: HttpConnectionManager,
    /// What comes before all other filters.
    pub(super) filters: Vec<HttpFilter>,
}

impl Given {
    /// The listener of this key; `None` if the key says nothing.
    pub(super) fn listener(settings: &Settings, key: &str) -> Result<Option<Self>, Fault> {
        text(settings, key)?.map(|text| Self::named(written::parse::<Listener>(text)?)).transpose()
    }

    /// The cluster of this key; `None` if the key says nothing.
    pub(super) fn cluster(settings: &Settings, key: &str) -> Result<Option<Self>, Fault> {
        text(settings, key)?.map(|text| Self::named(written::parse::<Cluster>(text)?)).transpose()
    }

    fn named(message: DynamicMessage) -> Result<Self, Fault> {
        let name = string(&message, "name").filter(|name| !name.is_empty()).ok_or(Fault::NoName)?;
        Ok(Self { message, name })
    }

    /// The resource. Envoy asks for the routes that it names.
    pub(super) fn resource(mut self) -> Resource {
        let routes = self.routes();
        let resource = Resource::of(self.name, written::pack(&self.message));
        routes.into_iter().fold(resource, |own, name| own.with_child(ResourceType::Route, name))
    }

    /// Whether Envoy asks for the instances of this cluster by its name.
    pub(super) fn is_discovered(&self) -> bool {
        let kind = self.message.get_field_by_name("type").and_then(|own| own.as_enum_number());
        let config = self.message.get_field_by_name("eds_cluster_config");
        let asks_for = config.and_then(|own| string(own.as_message()?, "service_name")).unwrap_or_default();
        let is_own_name = asks_for.is_empty() || asks_for == self.name;
        kind == Some(DiscoveryType::Eds.into()) && is_own_name
    }

    /// Puts TLS and the rules into every filter chain: those for requests into its manager, or, where it has none, those
    /// for connections before all other filters.
    pub(super) fn guard(
        &mut self,
        tls: &TransportSocket,
        connections: &Filter,
        requests: Option<&Requests>,
    ) -> Result<(), Fault> {
        if let Some(past) = WAYS_PAST.iter().find(|name| self.message.has_field_by_name(name)) {
            return Err(Fault::Past(past));
        }
        for chain in chains(&mut self.message) {
            chain.set_field_by_name("transport_socket", Value::Message(written::of(tls)));
            if !requests.is_some_and(|requests| requests.guard(chain)) {
                list(chain, "filters").insert(0, Value::Message(written::of(connections)));
            }
        }
        Ok(())
    }

    /// Makes it prove the identity of whom it leads to, for every instance.
    pub(super) fn expect(&mut self, tls: &TransportSocket) {
        self.message.clear_field_by_name("transport_socket_matches");
        self.message.set_field_by_name("transport_socket", Value::Message(written::of(tls)));
    }

    /// The names of the route configurations for which its managers ask.
    fn routes(&mut self) -> Vec<String> {
        if !self.message.has_field_by_name("filter_chains")
            && !self.message.has_field_by_name("default_filter_chain")
        {
            return Vec::new();
        }
        let mut names = Vec::new();
        for chain in chains(&mut self.message) {
            let managers = list(chain, "filters").iter().filter_map(Value::as_message).filter_map(manager);
            names.extend(
                managers.filter_map(|own| {
                    string(own.get_field_by_name("rds")?.as_message()?, "route_config_name")
                }),
            );
        }
        names
    }
}

impl Requests {
    /// Puts the rules into the manager of a chain. Returns whether it has one.
    fn guard(&self, chain: &mut DynamicMessage) -> bool {
        let mut filters = list(chain, "filters").iter_mut().filter_map(Value::as_message_mut);
        let Some((filter, mut own)) = filters.find_map(|filter| manager(filter).map(|own| (filter, own)))
        else {
            return false;
        };
        self.read_as_here(&mut own);
        let first = self.filters.iter().map(|filter| Value::Message(written::of(filter)));
        list(&mut own, "http_filters").splice(0..0, first);
        filter.set_field_by_name("typed_config", Value::Message(written::of(&written::pack(&own))));
        true
    }

    /// Rules would be deceived by paths and names that are read in another way.
    fn read_as_here(&self, own: &mut DynamicMessage) {
        let here = written::of(&self.manager);
        for name in SEEN_BY_RULES {
            own.clear_field_by_name(name);
            if let Some(value) = here.get_field_by_name(name).filter(|_| here.has_field_by_name(name)) {
                own.set_field_by_name(name, value.into_owned());
            }
        }
        let action = "headers_with_underscores_action";
        let said = here.get_field_by_name("common_http_protocol_options");
        let said = said.as_deref().and_then(Value::as_message).and_then(|all| all.get_field_by_name(action));
        let options =
            own.get_field_by_name_mut("common_http_protocol_options").and_then(Value::as_message_mut);
        if let (Some(options), Some(said)) = (options, said) {
            options.set_field_by_name(action, said.into_owned());
        }
    }
}

/// All filter chains.
fn chains(listener: &mut DynamicMessage) -> Vec<&mut DynamicMessage> {
    let names = ["filter_chains", "default_filter_chain"];
    let has_default = listener.has_field_by_name(names[1]);
    let mut found = Vec::new();
    for (field, value) in listener.fields_mut() {
        match value {
            Value::List(list) if field.name() == names[0] => {
                found.extend(list.iter_mut().filter_map(Value::as_message_mut));
            }
            Value::Message(own) if field.name() == names[1] && has_default => found.push(own),
            _ => {}
        }
    }
    found
}

/// The manager of requests of a filter, if it is one.
fn manager(filter: &DynamicMessage) -> Option<DynamicMessage> {
    let config = filter.get_field_by_name("typed_config")?;
    let config = config.as_message()?;
    let url = string(config, "type_url")?;
    if url.rsplit('/').next()? != HttpConnectionManager::full_name() {
        return None;
    }
    written::unpack(config)
}

fn string(message: &DynamicMessage, field: &str) -> Option<String> {
    message.get_field_by_name(field)?.as_str().map(str::to_owned)
}

/// A list within a message, which is made if it is not there.
fn list<'a>(message: &'a mut DynamicMessage, field: &str) -> &'a mut Vec<Value> {
    let value = message.get_field_by_name_mut(field).and_then(Value::as_list_mut);
    value.expect("the message has this list")
}
