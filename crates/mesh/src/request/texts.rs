//! The texts of permissions as they are compared, for those who turn permissions into rules of another proxy.

use concord_model::entry::RequestNormalization;

use super::authority::Authority;
use super::{header, path};

/// The text of a condition on a path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PathTexts {
    /// The canonical text, which is compared with canonical paths.
    pub text: String,
    /// The text in each of [`super::LENIENCIES`], which is compared with paths in the same reading.
    pub readings: Vec<String>,
}

impl PathTexts {
    /// The texts of `PathExact`, which is a whole path, or of `PathPrefix`, while the mesh has these settings.
    pub fn new(text: &str, whole: bool, settings: &RequestNormalization) -> Self {
        let (text, readings) = path::Wanted::of(text, whole, settings);
        Self { text, readings }
    }
}

/// A canonical authority.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuthorityText {
    /// The host.
    pub host: String,
    /// The port, if it is not a default one.
    pub port: Option<String>,
}

impl AuthorityText {
    /// Makes an authority canonical; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let authority = Authority::parse(text).ok()?;
        let host = authority.host().to_owned();
        let port = authority.has_port().then(|| authority.text[host.len() + 1..].to_owned());
        Some(Self { host, port })
    }
}

/// Whether an expression can be compared with whole texts. One that cannot is unclear about every text.
pub fn is_whole_pattern(text: &str) -> bool {
    header::whole_pattern(text).is_some()
}
