//! Settings that replace a part of what Envoy is given, and are not available yet. To pass over them would allow what
//! they were to prevent.

use concord_model::proxy::Settings;

const OF_PROXY: [&str; 1] = ["envoy_listener_tracing_json"];

/// The first such setting of a proxy.
pub(super) fn of_proxy(settings: &Settings) -> Option<&'static str> {
    first(settings, &OF_PROXY)
}

fn first(settings: &Settings, keys: &[&'static str]) -> Option<&'static str> {
    let is_set = |key: &&str| settings.get(*key).is_some_and(|value| !value.is_null() && value != "");
    keys.iter().copied().find(is_set)
}
