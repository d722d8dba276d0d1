//! Whether a route takes a request.

use concord_filter::Pattern;
use concord_model::entry::{HttpRouteMatch, Route, RouteHeader, RouteQueryParam};

use crate::explain::asked::AskedRequest;

/// Whether a route takes a request. One without conditions takes all.
pub(super) fn takes(route: &Route, asked: &AskedRequest) -> bool {
    let conditions = route.matching.as_ref().and_then(|matching| matching.http.as_ref());
    conditions.is_none_or(|http| {
        let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
        let methods = &http.methods;
        takes_path(http, path)
            && http.header.iter().all(|header| takes_header(header, asked))
            && http.query_param.iter().all(|parameter| takes_parameter(parameter, query))
            && (methods.is_empty() || methods.iter().any(|method| method.as_str() == asked.method))
    })
}

/// Whether a route certainly takes every request.
pub(super) fn takes_all(route: &Route) -> bool {
    let conditions = route.matching.as_ref().and_then(|matching| matching.http.as_ref());
    conditions.is_none_or(|http| {
        let HttpRouteMatch {
            path_exact,
            path_prefix,
            path_regex,
            case_insensitive: _,
            header,
            query_param,
            methods,
        } = http;
        let any_path = path_exact.is_empty() && path_regex.is_empty() && ["", "/"].contains(&&**path_prefix);
        any_path && header.is_empty() && query_param.is_empty() && methods.is_empty()
    })
}

fn takes_path(http: &HttpRouteMatch, path: &str) -> bool {
    let HttpRouteMatch { path_exact, path_prefix, path_regex, case_insensitive, .. } = http;
    let fold = |text: &str| if *case_insensitive { text.to_ascii_lowercase() } else { text.to_owned() };
    let path_folded = fold(path);
    if !path_exact.is_empty() {
        path_folded == fold(path_exact)
    } else if !path_prefix.is_empty() {
        path_folded.starts_with(&fold(path_prefix))
    } else {
        path_regex.is_empty() || whole(path_regex, path)
    }
}

fn takes_header(wanted: &RouteHeader, asked: &AskedRequest) -> bool {
    let RouteHeader { name, present, exact, prefix, suffix, regex, invert } = wanted;
    let lines = asked.headers.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
    let lines: Vec<_> = lines.map(|(_, value)| value.as_str()).collect();
    if *present {
        return lines.is_empty() == *invert;
    }
    let value = lines.join(",");
    let holds = if !exact.is_empty() {
        value == *exact
    } else if !prefix.is_empty() {
        value.starts_with(prefix)
    } else if !suffix.is_empty() {
        value.ends_with(suffix)
    } else {
        whole(regex, &value)
    };
    !lines.is_empty() && holds != *invert
}

fn takes_parameter(wanted: &RouteQueryParam, query: &str) -> bool {
    let RouteQueryParam { name, present, exact, regex } = wanted;
    let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let value = pairs.find(|(key, _)| key == name).map(|(_, value)| value);
    value.is_some_and(|value| *present || if exact.is_empty() { whole(regex, value) } else { value == exact })
}

/// Whether an expression matches a whole text. One that cannot be compiled matches none.
fn whole(expression: &str, text: &str) -> bool {
    Pattern::parse(expression).is_ok()
        && Pattern::parse(&format!(r"\A(?:{expression})\z")).is_ok_and(|pattern| pattern.is_match(text))
}
