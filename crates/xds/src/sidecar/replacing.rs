//! Settings that replace what Envoy is given as a whole. To pass over them would allow what they were to prevent.

use concord_model::proxy::Settings;

const OF_PROXY: [&str; 3] =
    ["envoy_public_listener_json", "envoy_local_cluster_json", "envoy_listener_tracing_json"];
const OF_UPSTREAM: [&str; 2] = ["envoy_listener_json", "envoy_cluster_json"];

/// The first such setting of a proxy.
pub(super) fn of_proxy(settings: &Settings) -> Option<&'static str> {
    first(settings, &OF_PROXY)
}

/// The first such setting of an upstream.
pub(super) fn of_upstream(settings: &Settings) -> Option<&'static str> {
    first(settings, &OF_UPSTREAM)
}

fn first(settings: &Settings, keys: &[&'static str]) -> Option<&'static str> {
    let is_set = |key: &&str| settings.get(*key).is_some_and(|value| !value.is_null() && value != "");
    keys.iter().copied().find(is_set)
}
