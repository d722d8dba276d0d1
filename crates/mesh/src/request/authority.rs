//! Authorities: one canonical value for each request.

use std::borrow::Cow;

use super::fit::Fit;
use super::lines::Headers;
use super::refusal::Refusal;

/// Ports that mean the same as none.
const DEFAULT_PORTS: [&str; 2] = ["80", "443"];

/// A canonical authority: in lower case, without the final dot of the host, without a default port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Authority<'a> {
    pub(super) text: Cow<'a, str>,
    host: usize,
}

impl<'a> Authority<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Refusal> {
        let (host, port) = split(text).ok_or(Refusal::Authority)?;
        let port = port.filter(|port| !port.is_empty() && !DEFAULT_PORTS.contains(port));
        let host = host.strip_suffix('.').unwrap_or(host);
        let same = text.len() == host.len() + port.map_or(0, |port| port.len() + 1);
        let text = if same && !text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            text.into()
        } else {
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            format!("{}{port}", host.to_ascii_lowercase()).into()
        };
        Ok(Self { text, host: host.len() })
    }

    /// The authority without its port.
    pub(super) fn host(&self) -> &str {
        &self.text[..self.host]
    }

    pub(super) fn has_port(&self) -> bool {
        self.host < self.text.len()
    }

    /// Asks a question about the authority, which backends read with or without the port.
    pub(super) fn fit(&self, with_port_only: bool, test: impl Fn(&str) -> bool) -> Fit {
        let whole = test(&self.text);
        if with_port_only || !self.has_port() {
            return whole.into();
        }
        let host = test(self.host());
        Fit::of(whole && host, whole || host)
    }
}

/// The host and the port of an authority; `None` if it is none.
fn split(text: &str) -> Option<(&str, Option<&str>)> {
    let end = match text.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at(end);
    let port = rest.strip_prefix(':');
    let is_port = |port: &str| port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    let ends = if rest.is_empty() { true } else { port.is_some_and(is_port) };
    (ends && is_host(host)).then_some((host, port))
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => {
            !address.is_empty()
                && address.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte))
        }
        None => {
            let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            !host.trim_matches('.').is_empty() && host.bytes().all(named)
        }
    }
}

/// The one authority of a request, from its target, its `:authority` and its `Host`.
pub(super) fn of<'a>(
    target: Option<&'a str>,
    authority: Option<&'a str>,
    headers: Headers<'a>,
) -> Result<Option<Authority<'a>>, Refusal> {
    let mut one: Option<Authority<'a>> = None;
    let hosts = headers.all.iter().filter(|header| header.name.eq_ignore_ascii_case("host"));
    if hosts.clone().count() > 1 {
        return Err(Refusal::TwoAuthorities);
    }
    let hosts = hosts.map(|header| std::str::from_utf8(header.value).map_err(|_| Refusal::Authority));
    for text in target.into_iter().chain(authority).map(Ok).chain(hosts) {
        let next = Authority::parse(text?.trim_matches([' ', '\t']))?;
        if one.as_ref().is_some_and(|one| *one != next) {
            return Err(Refusal::TwoAuthorities);
        }
        one = Some(next);
    }
    Ok(one)
}
