//! Tokens that were verified, and what permissions and entries demand of them.

use concord_model::intention::{JwtProviderRequirement, JwtRequirement};
use serde_json::Value;

use super::fit::Fit;
use super::refusal::Refusal;

/// A JSON web token that the data plane verified.
#[derive(Clone, Copy, Debug)]
pub struct Token<'a> {
    /// The `jwt-provider` entry by which it was verified.
    pub provider: &'a str,
    /// Its claims.
    pub claims: &'a Value,
}

/// A provider has one token at most: of two it would be unclear which one the backend reads.
pub(super) fn check(tokens: &[Token<'_>]) -> Result<(), Refusal> {
    for (at, token) in tokens.iter().enumerate() {
        if tokens[..at].iter().any(|other| other.provider == token.provider) {
            return Err(Refusal::TwoTokens { provider: token.provider.to_owned() });
        }
    }
    Ok(())
}

/// Whether a token of one of the providers has the claims.
pub(super) fn fit(demand: &JwtRequirement, tokens: &[Token<'_>]) -> Fit {
    demand.providers.iter().map(|provider| fit_of(provider, tokens)).max().unwrap_or(Fit::No)
}

fn fit_of(demand: &JwtProviderRequirement, tokens: &[Token<'_>]) -> Fit {
    let Some(token) = tokens.iter().find(|token| token.provider == demand.name) else { return Fit::No };
    let claims = demand.verify_claims.iter().map(|(path, value)| claim(token.claims, path, value));
    claims.min().unwrap_or(Fit::Yes)
}

fn claim(claims: &Value, path: &[String], value: &str) -> Fit {
    match at(claims, path) {
        Some(Value::String(text)) => (text == value).into(),
        Some(found) => Fit::of(false, has_text(found, value)),
        None => Fit::No,
    }
}

fn at<'a>(claims: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(claims, |within, step| within.as_object()?.get(step))
}

fn has_text(found: &Value, text: &str) -> bool {
    let mut has = false;
    each_text(found, |own| has |= own == text);
    has
}

/// The texts for which a backend might take a value.
fn each_text(found: &Value, mut take: impl FnMut(&str)) {
    match found {
        Value::String(text) => take(text),
        Value::Bool(true) => take("true"),
        Value::Bool(false) => take("false"),
        Value::Number(number) => take(&number.to_string()),
        Value::Array(members) => members.iter().filter_map(Value::as_str).for_each(take),
        Value::Null | Value::Object(_) => {}
    }
}

/// The texts for which a claim of a provider's token might be taken.
pub(super) fn each_text_of(tokens: &[Token<'_>], provider: &str, path: &[String], take: impl FnMut(&str)) {
    let token = tokens.iter().find(|token| token.provider == provider);
    if let Some(found) = token.and_then(|token| at(token.claims, path)) {
        each_text(found, take);
    }
}
