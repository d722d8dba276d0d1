//! The settings of this kind alone: a root and a key that the operator supplies.

use concord_model::proxy::Settings;

use crate::provider::{ParsedSettings, SettingFault, SettingReader};

/// The root's certificate as PEM.
pub(super) const ROOT_CERT: &str = "RootCert";
/// The root's key as PEM.
pub(super) const PRIVATE_KEY: &str = "PrivateKey";
/// Names both settings in an error.
pub(super) const ROOT_OR_KEY: &str = "RootCert or PrivateKey";

/// Reads these settings and those that all kinds have.
pub(super) fn parse(settings: &Settings) -> Result<ParsedSettings, Vec<SettingFault>> {
    let mut reader = SettingReader::of(settings);
    let common = reader.common();
    let supplied = reader.filled(ROOT_CERT).is_some();
    reader.secret(PRIVATE_KEY);
    reader.finish(common, supplied)
}

/// The root's certificate in settings that were already read.
pub(super) fn root_cert(settings: &ParsedSettings) -> Option<String> {
    SettingReader::of(&settings.stored).filled(ROOT_CERT)
}
