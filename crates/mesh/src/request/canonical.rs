//! Requests in their canonical form.

use concord_model::entry::{RequestNormalization, Underscores};

use super::authority::{self, Authority};
use super::lines::{self, Header, Headers};
use super::path::{self, Path};
use super::refusal::Refusal;
use super::token::{self, Token};

/// A request as it was received.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its target: the path with the query, in any of the forms of RFC 9112 §3.2.
    pub target: &'a [u8],
    /// `:authority` of HTTP/2. Of HTTP/1 it is among the headers.
    pub authority: Option<&'a str>,
    /// Its headers in order, with repetitions, without those that begin with a colon.
    pub headers: &'a [Header<'a>],
    /// The tokens that were verified.
    pub tokens: &'a [Token<'a>],
}

/// A request in its canonical form.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    pub(super) received: Received<'a>,
    pub(super) path: Path<'a>,
    pub(super) query: Option<&'a str>,
    pub(super) authority: Option<Authority<'a>>,
    pub(super) headers: Headers<'a>,
}

impl<'a> Request<'a> {
    /// Makes a request canonical, or refuses it.
    ///
    /// Always: a target with a fragment, a control character, an incomplete escape or a text that is not UTF-8 is
    /// refused, and so are headers that are not valid. Unless `InsecureDisablePathNormalization` is set: escapes of
    /// unreserved characters are decoded, those of others written in capitals, `\` becomes `/`, and dot segments are
    /// resolved (RFC 3986 §6.2.2). `MergeSlashes`, `PathWithEscapedSlashesAction` and `HeadersWithUnderscoresAction`
    /// act as documented by Consul; by default they change nothing.
    pub fn read(received: Received<'a>, settings: &RequestNormalization) -> Result<Self, Refusal> {
        let Received { method, target, authority, headers, tokens } = received;
        let target = path::Target::read(method, target, settings)?;
        lines::check(headers, settings.headers_with_underscores_action)?;
        let drop_underscores = settings.headers_with_underscores_action == Underscores::Drop;
        let headers = Headers { all: headers, drop_underscores };
        let authority = authority::of(target.authority, authority, headers)?;
        token::check(tokens)?;
        let path::Target { path, query, authority: _ } = target;
        Ok(Self { received, path, query, authority, headers })
    }

    /// The canonical path, which is what the backend must be sent.
    pub fn path(&self) -> &str {
        &self.path.text
    }

    /// The query as received, without its question mark.
    pub fn query(&self) -> Option<&'a str> {
        self.query
    }

    /// The canonical authority.
    pub fn authority(&self) -> Option<&str> {
        self.authority.as_ref().map(|authority| &*authority.text)
    }

    /// Whether a backend might read the path in another way than we do.
    pub fn is_ambiguous(&self) -> bool {
        !self.path.readings.is_empty()
    }
}
