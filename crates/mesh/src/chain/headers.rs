//! Joins changes of headers that two splitters make one after the other.

use concord_model::entry::{HeaderModifiers, Split};

/// What a part does if requests reach it through a part of another splitter. Requests meet the outer one first,
/// responses meet it last; whoever is met last wins.
pub(super) fn joined(outer: &Split, inner: &Split) -> Split {
    Split {
        request_headers: one_after_the_other(&outer.request_headers, &inner.request_headers),
        response_headers: one_after_the_other(&inner.response_headers, &outer.response_headers),
        ..inner.clone()
    }
}

fn one_after_the_other(
    first: &Option<HeaderModifiers>,
    last: &Option<HeaderModifiers>,
) -> Option<HeaderModifiers> {
    let says = |own: &Option<HeaderModifiers>| own.as_ref().is_some_and(|own| !own.is_empty());
    match (first, last) {
        (first, last) if !says(first) => last.clone(),
        (first, last) if !says(last) => first.clone(),
        (Some(first), Some(last)) => Some(over(first.clone(), last)),
        (first, _) => first.clone(),
    }
}

fn over(mut first: HeaderModifiers, last: &HeaderModifiers) -> HeaderModifiers {
    first.add.extend(last.add.clone());
    first.set.extend(last.set.clone());
    for name in &last.remove {
        if !first.remove.contains(name) {
            first.remove.push(name.clone());
        }
    }
    first
}
