//! The settings that this kind alone has: a root and a key that the operator brings along.

use concord_model::proxy::Settings;

use crate::provider::{ParsedSettings, SettingFault, SettingReader};

/// A root's certificate, PEM.
pub(super) const ROOT_CERT: &str = "RootCert";
/// The root's key, PEM.
pub(super) const PRIVATE_KEY: &str = "PrivateKey";
/// Either of them.
pub(super) const ROOT_OR_KEY: &str = "RootCert or PrivateKey";

/// Reads them beside the settings that all kinds have.
pub(super) fn parse(settings: &Settings) -> Result<ParsedSettings, Vec<SettingFault>> {
    let mut reader = SettingReader::of(settings);
    let common = reader.common();
    let supplied = reader.filled(ROOT_CERT).is_some();
    reader.secret(PRIVATE_KEY);
    reader.finish(common, supplied)
}

/// The root's certificate in settings that have been read.
pub(super) fn root_cert(settings: &ParsedSettings) -> Option<String> {
    SettingReader::of(&settings.stored).filled(ROOT_CERT)
}
