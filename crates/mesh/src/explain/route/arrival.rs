//! A request as it arrives: routes change its path and headers, splits its headers.
//!
//! As in Envoy, the changes of the split come first, then those of the route, and each removes headers before it adds
//! and replaces. What Envoy puts in for `%…%` in a value is known to nobody before.

use concord_model::entry::{HeaderModifiers, HttpRouteMatch, Route, RouteDestination, Split};

use crate::explain::asked::AskedRequest;

/// A request that a route has taken.
pub(super) struct Arrival<'a> {
    says: Option<&'a RouteDestination>,
    asked: AskedRequest,
}

impl<'a> Arrival<'a> {
    /// The request with the path that the route gives it.
    pub(super) fn by(asked: &AskedRequest, route: Option<&'a Route>) -> Self {
        let says = route.and_then(|route| route.destination.as_ref());
        let matching = route.and_then(|route| route.matching.as_ref()?.http.as_ref());
        let target = match (says, matching) {
            (Some(says), Some(matching)) if !says.prefix_rewrite.is_empty() => {
                rewritten(&asked.target, matching, &says.prefix_rewrite)
            }
            _ => asked.target.clone(),
        };
        Self { says, asked: AskedRequest { target, ..asked.clone() } }
    }

    /// The target of its request line.
    pub(super) fn target(&self) -> &str {
        &self.asked.target
    }

    /// The request after a split; `None` if a value of a header is not known before.
    pub(super) fn through(&self, split: Option<&Split>) -> Option<AskedRequest> {
        let mut asked = self.asked.clone();
        let split = split.and_then(|split| split.request_headers.as_ref());
        let route = self.says.and_then(|says| says.request_headers.as_ref());
        for own in split.into_iter().chain(route) {
            if own.add.values().chain(own.set.values()).any(|value| value.contains('%')) {
                return None;
            }
            modify(&mut asked.headers, own);
        }
        Some(asked)
    }
}

/// Replaces what the route matched: the prefix, or the whole path. The query stays.
fn rewritten(target: &str, matching: &HttpRouteMatch, by: &str) -> String {
    let HttpRouteMatch { path_exact, path_prefix, .. } = matching;
    let matched = if path_exact.is_empty() { path_prefix.len() } else { path_exact.len() };
    match target.get(matched..) {
        Some(rest) if matched > 0 => format!("{by}{rest}"),
        _ => target.to_owned(),
    }
}

fn modify(headers: &mut Vec<(String, String)>, own: &HeaderModifiers) {
    let HeaderModifiers { add, set, remove } = own;
    headers.retain(|(name, _)| !remove.iter().any(|gone| gone.eq_ignore_ascii_case(name)));
    headers.extend(add.iter().map(|(name, value)| (name.clone(), value.clone())));
    for (name, value) in set {
        headers.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
        headers.push((name.clone(), value.clone()));
    }
}
