//! The decision about requests, implemented a second time from the text of `mesh::request`, without an index, without
//! compilation and without a shortcut. It shares only the types with the product.

use std::cell::RefCell;
use std::collections::BTreeMap;

use concord_mesh::request::{Header, Received, Token};
use concord_model::ServiceRef;
use concord_model::entry::{EscapedSlashes, RequestNormalization, Underscores};
use concord_model::intention::{
    Action, Decision, HeaderMatch, HeaderValueMatch, JwtRequirement, PathMatch, Permission, ServiceIntentions,
};
use regex::Regex;
use serde_json::Value;

use crate::oracle;

/// What the oracle answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Answer {
    pub(crate) allowed: bool,
    /// The permission that decided.
    pub(crate) permission: Option<usize>,
    /// Whether the request was refused before any rule.
    pub(crate) refused: bool,
}

/// Certain and possible.
type Both = (bool, bool);

fn not((certain, possible): Both) -> Both {
    (!possible, !certain)
}

/// What the rules are applied to.
struct Seen<'a> {
    received: Received<'a>,
    path: String,
    authority: Option<String>,
    headers: Vec<Header<'a>>,
    settings: RequestNormalization,
}

pub(crate) fn decide(
    entries: &[ServiceIntentions],
    (from, to): (&ServiceRef, &ServiceRef),
    received: Received<'_>,
    settings: &RequestNormalization,
    default: Action,
) -> Answer {
    let Some(seen) = see(received, settings) else {
        return Answer { allowed: false, permission: None, refused: true };
    };
    let answer = |allowed, permission| Answer { allowed, permission, refused: false };
    let by = oracle::covering(entries, from, to).first().copied();
    let decision = by.map(|(entry, source)| &entries[entry].sources[source].decision);
    if decision == Some(&Decision::Connection(Action::Deny)) {
        return answer(false, None);
    }
    let exactness = |at: usize| {
        let destination = &entries[at].destination;
        u8::from(!destination.namespace.is_any()) * (1 + u8::from(!destination.name.is_any()))
    };
    for (at, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.destination.covers(to)) {
        let counts = by.is_none_or(|(deciding, _)| exactness(at) > exactness(deciding) || at == deciding);
        if let Some(demand) = entry.jwt.as_ref().filter(|_| counts)
            && !token(demand, received.tokens).0
        {
            return answer(false, None);
        }
    }
    match decision {
        None => answer(default == Action::Allow, None),
        Some(Decision::Connection(action)) => answer(*action == Action::Allow, None),
        Some(Decision::Requests(permissions)) => {
            for (at, permission) in permissions.iter().enumerate() {
                let (certain, possible) = holds(permission, &seen);
                match permission.action {
                    Action::Allow if certain => return answer(true, Some(at)),
                    Action::Deny if possible => return answer(false, Some(at)),
                    Action::Allow | Action::Deny => {}
                }
            }
            answer(default == Action::Allow, None)
        }
    }
}

fn see<'a>(received: Received<'a>, settings: &RequestNormalization) -> Option<Seen<'a>> {
    let target = String::from_utf8(received.target.to_vec()).ok()?;
    if target.contains(|c: char| c <= ' ' || c == '\u{7f}' || c == '#') {
        return None;
    }
    let mut authorities: Vec<String> = received.authority.map(str::to_owned).into_iter().collect();
    let mut rest = target.clone();
    if let Some(after) = target.strip_prefix("http://") {
        let host: String = after.chars().take_while(|c| !"/?".contains(*c)).collect();
        rest = after[host.len()..].to_owned();
        if !rest.starts_with('/') {
            rest.insert(0, '/');
        }
        authorities.push(host);
    } else if target == "*" && received.method == "OPTIONS" {
    } else if !target.starts_with('/') {
        return None;
    }
    let path = rest.split('?').next().unwrap().to_owned();
    let path = if path == "*" { path } else { canonical(&path, settings)? };
    for header in received.headers {
        let under = header.name.contains('_');
        if under && settings.headers_with_underscores_action == Underscores::Reject {
            return None;
        }
        if header.value.contains(&0) {
            return None;
        }
    }
    let hosts: Vec<_> =
        received.headers.iter().filter(|header| header.name.to_lowercase() == "host").collect();
    if hosts.len() > 1 {
        return None;
    }
    authorities.extend(hosts.iter().map(|host| String::from_utf8_lossy(host.value).into_owned()));
    let mut same: Vec<String> = Vec::new();
    for authority in &authorities {
        same.push(canonical_authority(authority)?);
    }
    same.dedup();
    if same.len() > 1 {
        return None;
    }
    for (at, token) in received.tokens.iter().enumerate() {
        if received.tokens.iter().skip(at + 1).any(|other| other.provider == token.provider) {
            return None;
        }
    }
    let drops = settings.headers_with_underscores_action == Underscores::Drop;
    let headers =
        received.headers.iter().filter(|header| !drops || !header.name.contains('_')).copied().collect();
    Some(Seen { received, path, authority: same.pop(), headers, settings: *settings })
}

fn canonical_authority(text: &str) -> Option<String> {
    let text = text.to_lowercase();
    let (host, port) = text.split_once(':').unwrap_or((&text, ""));
    let host = host.strip_suffix('.').unwrap_or(host);
    let good = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
    if !good || !port.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    Some(if matches!(port, "" | "80" | "443") { host.to_owned() } else { format!("{host}:{port}") })
}

/// A byte of a path, and whether it is escaped.
type Unit = (u8, bool);

fn units(path: &str) -> Option<Vec<Unit>> {
    let mut units = Vec::new();
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let (high, low) =
                (char::from(bytes.next()?).to_digit(16)?, char::from(bytes.next()?).to_digit(16)?);
            units.push(((high * 16 + low) as u8, true));
        } else {
            units.push((byte, false));
        }
    }
    Some(units)
}

fn spelled(units: &[Unit]) -> String {
    let mut bytes = Vec::new();
    for (byte, escaped) in units {
        if *escaped { bytes.extend(format!("%{byte:02X}").bytes()) } else { bytes.push(*byte) }
    }
    String::from_utf8(bytes).unwrap()
}

fn canonical_units(path: &str, normal: bool, unescape_slashes: bool) -> Option<String> {
    let mut units = units(path)?;
    if units.iter().any(|(byte, escaped)| *escaped && (*byte < 32 || *byte == 127)) {
        return None;
    }
    String::from_utf8(units.iter().map(|(byte, _)| *byte).collect()).ok()?;
    if !normal {
        let slashes = ["%2f", "%2F", "%5c", "%5C"].into_iter().filter(|_| unescape_slashes);
        return Some(slashes.fold(path.to_owned(), |path, slash| path.replace(slash, "/")));
    }
    for unit in &mut units {
        let sign = char::from(unit.0);
        let slash = matches!(sign, '/' | '\\');
        if unescape_slashes && unit.1 && slash {
            *unit = (b'/', false);
        } else if unit.1 && (sign.is_ascii_alphanumeric() || "-._~".contains(sign)) {
            unit.1 = false;
        } else if !unit.1 && sign == '\\' {
            unit.0 = b'/';
        } else if normal && !(sign.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/".contains(sign)) {
            unit.1 = true;
        }
    }
    Some(spelled(&units))
}

fn canonical(path: &str, settings: &RequestNormalization) -> Option<String> {
    let normal = !settings.insecure_disable_path_normalization;
    let lower = path.to_lowercase();
    let escaped_slash = lower.contains("%2f") || lower.contains("%5c");
    let unescape = match settings.path_with_escaped_slashes_action {
        EscapedSlashes::Reject | EscapedSlashes::Redirect if escaped_slash => return None,
        EscapedSlashes::Forward => true,
        _ => false,
    };
    let mut path = canonical_units(path, normal, unescape && escaped_slash)?;
    if normal {
        path = resolved(&path);
    }
    while settings.merge_slashes && path.contains("//") {
        path = path.replace("//", "/");
    }
    Some(path)
}

/// The algorithm of RFC 3986 §5.2.4, step by step.
fn resolved(path: &str) -> String {
    let (mut input, mut output) = (path.to_owned(), String::new());
    while !input.is_empty() {
        if input.starts_with("/./") || input == "/." {
            input = format!("/{}", input.get(3..).unwrap_or_default());
        } else if input.starts_with("/../") || input == "/.." {
            input = format!("/{}", input.get(4..).unwrap_or_default());
            output.truncate(output.rfind('/').unwrap_or(0));
        } else {
            let end = input[1..].find('/').map_or(input.len(), |at| at + 1);
            output.push_str(&input[..end]);
            input = input[end..].to_owned();
        }
    }
    if output.is_empty() { "/".to_owned() } else { output }
}

/// Every reading of a text, always in the same order.
fn readings(text: &str, whole: bool) -> Vec<String> {
    let mut all = vec![text.to_owned()];
    for decode in [false, true] {
        for order in 0..3 {
            for merge in [false, true] {
                let mut text = text.to_owned();
                if order == 1 {
                    text = stripped(&text);
                }
                if decode && let Some(units) = units(&text) {
                    let bytes: Vec<u8> = units.iter().map(|(byte, _)| *byte).collect();
                    text = String::from_utf8_lossy(&bytes).into_owned();
                }
                text = text.replace('\\', "/");
                if order == 2 {
                    text = stripped(&text);
                }
                while merge && text.contains("//") {
                    text = text.replace("//", "/");
                }
                all.push(if whole { resolved(&text) } else { text });
            }
        }
    }
    all
}

fn stripped(text: &str) -> String {
    let mut skipping = false;
    text.chars()
        .filter(|c| {
            skipping = (skipping || *c == ';') && *c != '/';
            !skipping
        })
        .collect()
}

/// The text of a permission as it would be sent.
fn wanted(text: &str, whole: bool, settings: &RequestNormalization) -> String {
    let normal = !settings.insecure_disable_path_normalization;
    let unescape = [EscapedSlashes::Forward, EscapedSlashes::Redirect];
    let unescape = unescape.contains(&settings.path_with_escaped_slashes_action);
    let mut text = canonical_units(text, normal, unescape).unwrap_or_else(|| text.to_owned());
    if whole && normal {
        text = resolved(&text);
    }
    while settings.merge_slashes && text.contains("//") {
        text = text.replace("//", "/");
    }
    text
}

thread_local! {
    /// Compiling is slow, and there are few.
    static PATTERNS: RefCell<BTreeMap<String, Option<Regex>>> = RefCell::default();
}

fn whole(text: &str) -> Option<Regex> {
    let compile = || Regex::new(&format!("^(?:{text})$")).ok();
    PATTERNS.with_borrow_mut(|all| all.entry(text.to_owned()).or_insert_with(compile).clone())
}

fn path_holds(wanted_path: &PathMatch, path: &str, settings: &RequestNormalization) -> Both {
    let readings_of_path =
        if path.starts_with('/') { readings(path, true) } else { vec![path.to_owned(); 13] };
    let answers: Vec<bool> = match wanted_path {
        PathMatch::Exact(text) => {
            let texts = readings(&wanted(text, true, settings), true);
            readings_of_path.iter().zip(texts).map(|(path, text)| *path == text).collect()
        }
        PathMatch::Prefix(text) => {
            let texts = readings(&wanted(text, false, settings), false);
            readings_of_path.iter().zip(texts).map(|(path, text)| path.starts_with(&text)).collect()
        }
        PathMatch::Regex(text) => match whole(text) {
            Some(regex) => readings_of_path.iter().map(|path| regex.is_match(path)).collect(),
            None => return (false, true),
        },
    };
    (answers.iter().all(|yes| *yes), answers.iter().any(|yes| *yes))
}

fn value_holds(wanted: &HeaderMatch, value: &[u8], lower: bool) -> Both {
    if std::str::from_utf8(value).is_err() && matches!(wanted.value, HeaderValueMatch::Regex(_)) {
        return (false, true);
    }
    // No text of a condition has the sign that stands for what is not UTF-8.
    let text = &*String::from_utf8_lossy(value);
    let fold =
        |text: &str| if wanted.ignore_case || lower { text.to_ascii_lowercase() } else { text.to_owned() };
    let (text, plain) = (fold(text), text);
    let yes = match &wanted.value {
        HeaderValueMatch::Present => true,
        HeaderValueMatch::Exact(own) => text == fold(own),
        HeaderValueMatch::Prefix(own) => text.starts_with(&fold(own)),
        HeaderValueMatch::Suffix(own) => text.ends_with(&fold(own)),
        HeaderValueMatch::Contains(own) => text.contains(&fold(own)),
        HeaderValueMatch::Regex(own) => match whole(own) {
            Some(regex) => regex.is_match(plain),
            None => return (false, true),
        },
    };
    (yes, yes)
}

fn header_holds(wanted: &HeaderMatch, seen: &Seen<'_>) -> Both {
    let dashed = |name: &str| name.to_lowercase().replace('_', "-");
    if wanted.name == "host" {
        return authority_holds(wanted, seen);
    }
    let lines: Vec<_> =
        seen.headers.iter().filter(|line| dashed(line.name) == dashed(&wanted.name)).collect();
    let exactly = lines.iter().any(|line| line.name.to_lowercase() == wanted.name.to_lowercase());
    if wanted.value == HeaderValueMatch::Present {
        let plain = (exactly, !lines.is_empty());
        return if wanted.invert { not(plain) } else { plain };
    }
    // What must match for certain, and what may match.
    let (mut certain, mut possible) = (Vec::new(), Vec::new());
    for line in &lines {
        let whole = line.value.trim_ascii().to_vec();
        certain.push(whole.clone());
        possible.push(whole.clone());
        if whole.contains(&b',') {
            for member in whole.split(|byte| *byte == b',') {
                possible.push(member.trim_ascii().to_vec());
                if !matches!(wanted.value, HeaderValueMatch::Exact(_)) {
                    certain.push(member.trim_ascii().to_vec());
                }
            }
        }
    }
    if lines.len() > 1 {
        possible.push(lines.iter().map(|line| line.value.trim_ascii()).collect::<Vec<_>>().join(&b','));
    }
    let all = exactly && certain.iter().all(|value| value_holds(wanted, value, false).0);
    let any = possible.iter().any(|value| value_holds(wanted, value, false).1);
    match (wanted.invert, exactly) {
        (false, _) => (all, any),
        (true, true) => (!any, !all),
        (true, false) => (false, true),
    }
}

fn authority_holds(wanted: &HeaderMatch, seen: &Seen<'_>) -> Both {
    let Some(authority) = &seen.authority else {
        return match (wanted.invert, &wanted.value) {
            (true, HeaderValueMatch::Present) => (true, true),
            (true, _) => (false, true),
            (false, _) => (false, false),
        };
    };
    let mut wanted = wanted.clone();
    let mut values = vec![authority.clone()];
    let bare = authority.split(':').next().unwrap().to_owned();
    match &mut wanted.value {
        HeaderValueMatch::Exact(text) => {
            *text = canonical_authority(text).unwrap_or_else(|| text.clone());
            if !text.contains(':') {
                values.push(bare);
            }
        }
        _ => values.push(bare),
    }
    let answers: Vec<_> = values.iter().map(|value| value_holds(&wanted, value.as_bytes(), true)).collect();
    let plain = (answers.iter().all(|(certain, _)| *certain), answers.iter().any(|(_, possible)| *possible));
    if wanted.invert { not(plain) } else { plain }
}

fn token(demand: &JwtRequirement, tokens: &[Token<'_>]) -> Both {
    let mut best = (false, false);
    for provider in &demand.providers {
        for token in tokens.iter().filter(|token| token.provider == provider.name) {
            let mut own = (true, true);
            for (path, text) in &provider.verify_claims {
                let pointer: String = path.iter().map(|step| format!("/{step}")).collect();
                let (certain, possible) = match token.claims.pointer(&pointer) {
                    Some(Value::String(found)) => (found == text, found == text),
                    Some(Value::Array(list)) => (false, list.contains(&Value::String(text.clone()))),
                    Some(other @ (Value::Number(_) | Value::Bool(_))) => (false, format!("{other}") == *text),
                    _ => (false, false),
                };
                own = (own.0 && certain, own.1 && possible);
            }
            best = (best.0 || own.0, best.1 || own.1);
        }
    }
    best
}

fn holds(permission: &Permission, seen: &Seen<'_>) -> Both {
    let mut answers = Vec::new();
    if let Some(http) = &permission.http {
        if !http.methods.is_empty() {
            let method = seen.received.method;
            let exactly = http.methods.iter().any(|one| one == method);
            answers.push((exactly, http.methods.iter().any(|one| *one == method.to_uppercase())));
        }
        answers.extend(http.path.iter().map(|wanted| path_holds(wanted, &seen.path, &seen.settings)));
        answers.extend(http.headers.iter().map(|wanted| header_holds(wanted, seen)));
    }
    answers.extend(permission.jwt.iter().map(|demand| token(demand, seen.received.tokens)));
    (answers.iter().all(|(certain, _)| *certain), answers.iter().all(|(_, possible)| *possible))
}
