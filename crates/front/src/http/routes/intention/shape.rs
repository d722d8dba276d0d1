//! The JSON form of intentions.

use concord_api::intention::{Intention, IntentionParts};
use concord_mesh::intention::Intention as Flat;
use concord_model::intention::ServiceIntentions;

/// Converts one intention to its JSON form.
pub(super) fn shape(flat: &Flat) -> Intention {
    let Flat { destination, source, precedence, decision, description, legacy, jwt, meta, stamp } = flat;
    Intention::from_model(IntentionParts {
        destination,
        source,
        precedence: *precedence,
        decision,
        description,
        legacy: legacy.as_ref(),
        jwt: jwt.as_deref(),
        meta,
        stamp: *stamp,
    })
}

/// Converts the intentions of entries, in order of precedence.
pub(in crate::http::routes) fn shapes<'a>(
    entries: impl IntoIterator<Item = &'a ServiceIntentions>,
) -> Vec<Intention> {
    let mut flat: Vec<Flat> = entries.into_iter().flat_map(Flat::of_entry).collect();
    flat.sort_by(Flat::order);
    flat.iter().map(shape).collect()
}
