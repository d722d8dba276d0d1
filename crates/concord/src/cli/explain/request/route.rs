//! Where a request goes, as text.

use std::fmt::Write as _;

use concord_api::explain::{
    ExplainOrigin, ExplainSetting, PartExplain, RequestExplain, RouteExplain, TargetExplain,
};

/// Whether a target of the request judges it otherwise than the service that was asked for.
pub(super) fn leads_elsewhere(explained: &RequestExplain) -> bool {
    let parts = explained.route.iter().flat_map(|route| &route.parts);
    let mut targets = parts.flat_map(|part| &part.targets);
    targets.any(|target| target.allowed.is_some_and(|allowed| allowed != explained.allowed))
}

/// Adds where the request goes, or why this is not told.
pub(super) fn add(explained: &RequestExplain, text: &mut String) {
    let Some(route) = &explained.route else {
        if !explained.why_no_route.is_empty() {
            let _ = writeln!(text, "\nWhere it goes is not told: {}", explained.why_no_route);
        }
        return;
    };
    let RouteExplain { origin, protocol_origin, settings, path, parts, parts_count } = route;
    text.push_str("\nWhere it goes\n");
    let protocol = by(protocol_origin.as_slice());
    let _ = writeln!(text, "  Protocol {}{protocol}", explained.protocol);
    match origin {
        Some(origin) => _ = writeln!(text, "  Taken by {}", line(origin)),
        None => text.push_str("  No route is written for it\n"),
    }
    settings.iter().for_each(|setting| add_setting(setting, "    ", text));
    if origin.is_some() {
        let _ = writeln!(text, "    Arrives as {}", path.replace(char::is_control, " "));
    }
    parts.iter().for_each(|part| add_part(part, text));
    if *parts_count > parts.len() {
        let _ = writeln!(text, "  and {} more parts", parts_count - parts.len());
    }
}

fn add_part(part: &PartExplain, text: &mut String) {
    let PartExplain { weight, origins, settings, targets } = part;
    for (at, target) in targets.iter().enumerate() {
        match at {
            0 => _ = writeln!(text, "  {weight} % to {}{}", place(target), by(origins)),
            _ => _ = writeln!(text, "    else to {}{}", place(target), by(&target.origins)),
        }
        let verdict = match target.allowed {
            Some(true) => "Allowed there",
            Some(false) => "Denied there",
            None => "Not known there",
        };
        let _ = writeln!(text, "      {verdict}: {}", target.reason);
        if at == 0 {
            settings.iter().for_each(|setting| add_setting(setting, "      ", text));
        }
    }
}

fn add_setting(setting: &ExplainSetting, indent: &str, text: &mut String) {
    let ExplainSetting { setting, value, origin } = setting;
    let written = match origin {
        Some(origin) => by(std::slice::from_ref(origin)),
        None => " (default)".to_owned(),
    };
    let value = value.as_str().map_or_else(|| value.to_string(), |text| text.replace(char::is_control, " "));
    let _ = writeln!(text, "{indent}{setting} {value}{written}");
}

fn place(target: &TargetExplain) -> String {
    let TargetExplain { service, subset, datacenter, .. } = target;
    let mut text = service.clone();
    if !subset.is_empty() {
        let _ = write!(text, ", subset {subset}");
    }
    if !datacenter.is_empty() {
        let _ = write!(text, ", in {datacenter}");
    }
    text
}

fn by(origins: &[ExplainOrigin]) -> String {
    origins.iter().map(|origin| format!(", by {}", line(origin))).collect()
}

fn line(origin: &ExplainOrigin) -> String {
    let ExplainOrigin { kind, name, field } = origin;
    format!("{field} of {kind} {name:?}")
}
