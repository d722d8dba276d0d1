//! Where traffic goes, as text.

use std::fmt::Write as _;

use crate::cli::print;
use concord_api::explain::{ExplainOrigin, ExplainSetting, PartExplain, RouteExplain, TargetExplain};

/// Where traffic goes.
pub(super) struct Goes<'a> {
    /// The protocol, if it is told with what decides it.
    pub(super) protocol: Option<&'a str>,
    /// Where it goes, if this is told.
    pub(super) route: Option<&'a RouteExplain>,
    /// Why it is not told.
    pub(super) why_not: &'a str,
}

/// Adds where traffic goes, or why this is not told.
pub(super) fn add(goes: Goes<'_>, text: &mut String) {
    let Some(route) = goes.route else {
        if !goes.why_not.is_empty() {
            let _ = writeln!(text, "\nWhere it goes is not told: {}", goes.why_not);
        }
        return;
    };
    let RouteExplain { origin, protocol_origin, settings, path, parts, parts_count } = route;
    text.push_str("\nWhere it goes\n");
    if let Some(protocol) = goes.protocol {
        let _ = writeln!(text, "  Protocol {protocol}{}", by(protocol_origin.as_slice()));
    }
    match origin {
        Some(origin) => _ = writeln!(text, "  Taken by {}", line(origin)),
        // Connections have no path, and each route may take their requests.
        None if path.is_empty() => {}
        None => text.push_str("  No route is written for it\n"),
    }
    settings.iter().for_each(|setting| add_setting(setting, "    ", text));
    if origin.is_some() {
        let _ = writeln!(text, "    Arrives as {}", print::safe(path));
    }
    parts.iter().for_each(|part| add_part(part, text));
    if *parts_count > parts.len() {
        let _ = writeln!(text, "  and {}", print::counted(parts_count - parts.len(), "more part"));
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
    let value = value.as_str().map_or_else(|| value.to_string(), print::safe);
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
