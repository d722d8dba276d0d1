//! Other spellings of requests: those that the `mesh` entry may refuse, or make canonical.

use super::examples::Examples;
use super::limits::EXAMPLES_MAX;
use crate::explain::request::AskedRequest;

impl Examples {
    /// Adds each request in the spellings that settings tell apart.
    pub(super) fn respell(&mut self) {
        let mut added = Vec::new();
        for other in self.requests.iter().flat_map(spellings) {
            if !self.requests.contains(&other) && !added.contains(&other) {
                if self.requests.len() + added.len() >= EXAMPLES_MAX {
                    self.cut = true;
                    break;
                }
                added.push(other);
            }
        }
        self.requests.extend(added);
    }
}

/// A request with two slashes, an escaped slash, a dot segment, an escaped letter, and a header with an underscore.
fn spellings(own: &AskedRequest) -> Vec<AskedRequest> {
    let target = &own.target;
    let mut all = Vec::new();
    if target.starts_with('/') {
        let targets = [format!("/{target}"), with_escaped_slash(target), format!("/x/..{target}")];
        let targets = targets.into_iter().chain(with_escaped_letter(target));
        all.extend(targets.map(|target| AskedRequest { target, ..own.clone() }));
    }
    all.push(with_underscore(own));
    all.retain(|other| !other.is_too_large());
    all
}

/// The last slash within the path escaped, or one added.
fn with_escaped_slash(target: &str) -> String {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    match path.rfind('/').filter(|at| *at > 0) {
        Some(at) => format!("{}%2F{}{query}", &path[..at], &path[at + 1..]),
        None => format!("{path}%2Fx{query}"),
    }
}

fn with_escaped_letter(target: &str) -> Option<String> {
    let path = &target[..target.find('?').unwrap_or(target.len())];
    let at = path.find(|c: char| c.is_ascii_alphabetic())?;
    Some(format!("{}%{:02X}{}", &target[..at], target.as_bytes()[at], &target[at + 1..]))
}

/// The names of headers with underscores in place of their hyphens, or another header that has one.
fn with_underscore(own: &AskedRequest) -> AskedRequest {
    let mut other = own.clone();
    other.headers.iter_mut().for_each(|(name, _)| *name = name.replace('-', "_"));
    if other.headers == own.headers {
        other.headers.push(("x_other".to_owned(), "x".to_owned()));
    }
    other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_each_spelling_once() {
        let of = |target: &str, header: &str| AskedRequest {
            method: "GET".to_owned(),
            target: target.to_owned(),
            headers: vec![(header.to_owned(), "1".to_owned())],
            ..AskedRequest::default()
        };
        let told = |own: &AskedRequest| format!("{} {}", own.target, own.headers.last().unwrap().0);
        let check = |own: AskedRequest, expected: &[&str]| {
            assert_eq!(spellings(&own).iter().map(told).collect::<Vec<_>>(), expected);
        };
        let all = ["//a/b?c/d x-y", "/a%2Fb?c/d x-y", "/x/../a/b?c/d x-y", "/%61/b?c/d x-y", "/a/b?c/d x_y"];
        check(of("/a/b?c/d", "x-y"), &all);
        check(of("/?a", "x"), &["//?a x", "/%2Fx?a x", "/x/../?a x", "/?a x_other"]);
        check(of("*", "x_y"), &["* x_other"]);
        let mut examples = Examples { requests: vec![of("/a", "x"), of("//a", "x")], ..Examples::default() };
        examples.respell();
        assert_eq!((examples.requests.len(), examples.cut), (2 + 5 + 5 - 1, false));
        let many = (0..EXAMPLES_MAX).map(|at| of(&format!("/{at}"), "x")).collect();
        let mut examples = Examples { requests: many, ..Examples::default() };
        examples.respell();
        assert_eq!((examples.requests.len(), examples.cut), (EXAMPLES_MAX, true));
    }
}
