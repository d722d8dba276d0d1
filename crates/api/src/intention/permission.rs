//! Permissions of request-level intentions. Requests and answers have the same JSON.

use std::collections::BTreeSet;

use concord_model::intention as model;
use concord_model::intention::{
    Action, Decision, HeaderMatch, HeaderValueMatch, JwtProviderRequirement, JwtRequirement, PathMatch,
};
use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::shape::{is_default, null_default};

/// One permission.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Permission {
    /// `allow` or `deny`.
    pub action: String,
    /// The requests that it matches.
    #[serde(rename = "HTTP", skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpPermission>,
    /// The token that the request must carry.
    #[serde(rename = "JWT", skip_serializing_if = "Option::is_none")]
    pub jwt: Option<Jwt>,
}

/// The requests that a permission matches.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct HttpPermission {
    /// The whole path.
    #[serde(skip_serializing_if = "is_default")]
    pub path_exact: String,
    /// A prefix of the path.
    #[serde(skip_serializing_if = "is_default")]
    pub path_prefix: String,
    /// A regular expression for the path.
    #[serde(skip_serializing_if = "is_default")]
    pub path_regex: String,
    /// Conditions on headers.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub header: Vec<HeaderPermission>,
    /// Methods.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
}

/// A condition on a header; exactly one of the six comparisons is used.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct HeaderPermission {
    /// The header's name.
    pub name: String,
    /// The header is present.
    #[serde(skip_serializing_if = "is_default")]
    pub present: bool,
    /// The whole value.
    #[serde(skip_serializing_if = "is_default")]
    pub exact: String,
    /// A prefix of the value.
    #[serde(skip_serializing_if = "is_default")]
    pub prefix: String,
    /// A suffix of the value.
    #[serde(skip_serializing_if = "is_default")]
    pub suffix: String,
    /// A part of the value.
    #[serde(skip_serializing_if = "is_default")]
    pub contains: String,
    /// A regular expression for the value.
    #[serde(skip_serializing_if = "is_default")]
    pub regex: String,
    /// Match if the condition does not hold.
    #[serde(skip_serializing_if = "is_default")]
    pub invert: bool,
    /// Ignore case.
    #[serde(skip_serializing_if = "is_default")]
    pub ignore_case: bool,
}

/// Which JSON web tokens a request must carry.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Jwt {
    /// Providers; any of them may have issued the token.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<JwtProvider>,
}

/// A provider, and the claims that its tokens must have.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct JwtProvider {
    /// Name of the `jwt-provider` entry.
    #[serde(skip_serializing_if = "is_default")]
    pub name: String,
    /// Claims that the token must have.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub verify_claims: Vec<JwtClaim>,
}

/// A claim that a token must have.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct JwtClaim {
    /// The path of the claim.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
    /// The value that it must have.
    #[serde(skip_serializing_if = "is_default")]
    pub value: String,
}

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"];

/// The decision from `Action` and `Permissions`, exactly one of which must be given. `at` is the prefix of field
/// names in errors.
pub(crate) fn decide(
    at: &str,
    action: &str,
    permissions: &[Permission],
    wildcard_destination: bool,
    faults: &mut Vec<Fault>,
) -> Option<Decision> {
    let action_field = format!("{at}Action");
    if permissions.is_empty() {
        let decision = Action::parse(action).map(Decision::Connection);
        if decision.is_none() {
            faults
                .push(Fault::rule(&action_field, format!("{action_field} must be set to 'allow' or 'deny'")));
        }
        return decision;
    }
    if !action.is_empty() {
        let text = format!("{action_field} must be omitted if Permissions are specified");
        faults.push(Fault::rule(action_field, text));
    }
    if wildcard_destination {
        let text = format!("{at}Permissions cannot be specified on intentions with wildcarded destinations");
        faults.push(Fault::rule(format!("{at}Permissions"), text));
    }
    let resolved = permissions.iter().enumerate();
    let resolved =
        resolved.filter_map(|(j, permission)| permission.resolve(&format!("{at}Permissions[{j}]"), faults));
    let resolved: Vec<_> = resolved.collect();
    (resolved.len() == permissions.len()).then_some(Decision::Requests(resolved))
}

/// `Action` and `Permissions` of a decision.
pub(crate) fn split(decision: &Decision) -> (String, Vec<Permission>) {
    match decision {
        Decision::Connection(action) => (action.as_str().to_owned(), Vec::new()),
        Decision::Requests(permissions) => {
            (String::new(), permissions.iter().map(Permission::from_model).collect())
        }
    }
}

impl Permission {
    fn from_model(permission: &model::Permission) -> Self {
        let model::Permission { action, http, jwt } = permission;
        Self {
            action: action.as_str().to_owned(),
            http: http.as_ref().map(HttpPermission::from_model),
            jwt: jwt.as_ref().map(Jwt::from_model),
        }
    }

    fn resolve(&self, at: &str, faults: &mut Vec<Fault>) -> Option<model::Permission> {
        let action = Action::parse(&self.action);
        if action.is_none() {
            let text = format!("{at}.Action must be set to 'allow' or 'deny'");
            faults.push(Fault::rule(format!("{at}.Action"), text));
        }
        let Some(http) = &self.http else {
            faults.push(Fault::rule(format!("{at}.HTTP"), format!("{at}.HTTP is required")));
            return None;
        };
        let http = http.resolve(&format!("{at}.HTTP"), faults)?;
        Some(model::Permission {
            action: action?,
            http: Some(http),
            jwt: self.jwt.as_ref().map(Jwt::to_model),
        })
    }
}

impl HttpPermission {
    fn from_model(http: &model::HttpPermission) -> Self {
        let model::HttpPermission { path, headers, methods } = http;
        let mut own = Self {
            header: headers.iter().map(HeaderPermission::from_model).collect(),
            methods: methods.clone(),
            ..Self::default()
        };
        match path {
            None => {}
            Some(PathMatch::Exact(path)) => own.path_exact.clone_from(path),
            Some(PathMatch::Prefix(path)) => own.path_prefix.clone_from(path),
            Some(PathMatch::Regex(path)) => own.path_regex.clone_from(path),
        }
        own
    }

    fn resolve(&self, at: &str, faults: &mut Vec<Fault>) -> Option<model::HttpPermission> {
        let found = faults.len();
        let path = self.path(at, faults);
        let headers: Vec<_> = self
            .header
            .iter()
            .enumerate()
            .filter_map(|(k, header)| header.resolve(&format!("{at}.Header[{k}]"), faults))
            .collect();
        let methods = self.methods(at, faults);
        if path.is_none() && self.header.is_empty() && methods.is_empty() && faults.len() == found {
            faults.push(Fault::rule(at, format!("{at} should not be empty")));
        }
        (faults.len() == found).then_some(model::HttpPermission { path, headers, methods })
    }

    fn path(&self, at: &str, faults: &mut Vec<Fault>) -> Option<PathMatch> {
        let exact =
            (!self.path_exact.is_empty()).then(|| ("PathExact", PathMatch::Exact(self.path_exact.clone())));
        let prefix = (!self.path_prefix.is_empty())
            .then(|| ("PathPrefix", PathMatch::Prefix(self.path_prefix.clone())));
        let regex =
            (!self.path_regex.is_empty()).then(|| ("PathRegex", PathMatch::Regex(self.path_regex.clone())));
        let mut set: Vec<_> = [exact, prefix, regex].into_iter().flatten().collect();
        if set.len() > 1 {
            let text = format!("{at} should only contain one of PathExact, PathPrefix, or PathRegex");
            faults.push(Fault::rule(at, text));
        }
        let (name, path) = set.pop()?;
        if let PathMatch::Exact(text) | PathMatch::Prefix(text) = &path
            && !text.starts_with('/')
        {
            let text = format!("{at}.{name} doesn't start with '/': {text:?}");
            faults.push(Fault::rule(format!("{at}.{name}"), text));
        }
        Some(path)
    }

    fn methods(&self, at: &str, faults: &mut Vec<Fault>) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let methods: Vec<_> = self.methods.iter().map(|method| method.to_uppercase()).collect();
        for method in &methods {
            if !METHODS.contains(&method.as_str()) {
                let text = format!("{at}.Methods contains an invalid method {method:?}");
                faults.push(Fault::rule(format!("{at}.Methods"), text));
            } else if !seen.insert(method) {
                let text = format!("{at}.Methods contains {method:?} more than once");
                faults.push(Fault::rule(format!("{at}.Methods"), text));
            }
        }
        methods
    }
}

impl HeaderPermission {
    fn from_model(header: &HeaderMatch) -> Self {
        let HeaderMatch { name, value, ignore_case, invert } = header;
        let mut own =
            Self { name: name.clone(), invert: *invert, ignore_case: *ignore_case, ..Self::default() };
        match value {
            HeaderValueMatch::Present => own.present = true,
            HeaderValueMatch::Exact(text) => own.exact.clone_from(text),
            HeaderValueMatch::Prefix(text) => own.prefix.clone_from(text),
            HeaderValueMatch::Suffix(text) => own.suffix.clone_from(text),
            HeaderValueMatch::Contains(text) => own.contains.clone_from(text),
            HeaderValueMatch::Regex(text) => own.regex.clone_from(text),
        }
        own
    }

    fn resolve(&self, at: &str, faults: &mut Vec<Fault>) -> Option<HeaderMatch> {
        if self.name.is_empty() {
            faults.push(Fault::rule(format!("{at}.Name"), format!("{at} missing required Name field")));
            return None;
        }
        let written = |text: &String, make: fn(String) -> HeaderValueMatch| {
            (!text.is_empty()).then(|| make(text.clone()))
        };
        let mut set: Vec<_> = [
            self.present.then_some(HeaderValueMatch::Present),
            written(&self.exact, HeaderValueMatch::Exact),
            written(&self.prefix, HeaderValueMatch::Prefix),
            written(&self.suffix, HeaderValueMatch::Suffix),
            written(&self.contains, HeaderValueMatch::Contains),
            written(&self.regex, HeaderValueMatch::Regex),
        ]
        .into_iter()
        .flatten()
        .collect();
        let (Some(value), true) = (set.pop(), set.is_empty()) else {
            let text =
                format!("{at} should only contain one of Present, Exact, Prefix, Suffix, Contains, or Regex");
            faults.push(Fault::rule(at, text));
            return None;
        };
        if self.ignore_case && matches!(value, HeaderValueMatch::Present | HeaderValueMatch::Regex(_)) {
            let text =
                format!("{at} should set one of Exact, Prefix, Suffix, or Contains when using IgnoreCase");
            faults.push(Fault::rule(at, text));
            return None;
        }
        Some(HeaderMatch {
            name: self.name.clone(),
            value,
            ignore_case: self.ignore_case,
            invert: self.invert,
        })
    }
}

impl Jwt {
    /// The JSON of a requirement.
    pub fn from_model(jwt: &JwtRequirement) -> Self {
        let JwtRequirement { providers } = jwt;
        Self { providers: providers.iter().map(JwtProvider::from_model).collect() }
    }

    /// The requirement. What it must say is checked with the entry.
    pub(crate) fn to_model(&self) -> JwtRequirement {
        let Self { providers } = self;
        JwtRequirement { providers: providers.iter().map(JwtProvider::to_model).collect() }
    }
}

impl JwtProvider {
    fn from_model(provider: &JwtProviderRequirement) -> Self {
        let JwtProviderRequirement { name, verify_claims } = provider;
        let claim =
            |(path, value): &(Vec<String>, String)| JwtClaim { path: path.clone(), value: value.clone() };
        Self { name: name.clone(), verify_claims: verify_claims.iter().map(claim).collect() }
    }

    fn to_model(&self) -> JwtProviderRequirement {
        let Self { name, verify_claims } = self;
        let claim = |JwtClaim { path, value }: &JwtClaim| (path.clone(), value.clone());
        JwtProviderRequirement {
            name: name.clone(),
            verify_claims: verify_claims.iter().map(claim).collect(),
        }
    }
}
