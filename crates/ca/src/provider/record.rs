//! Records: what a provider keeps, sealed for the log (N-118). The host seals it, so that no kind can forget to.

use concord_model::Stamp;
use concord_model::ca::ProviderRecord;
use concord_model::secret::SecretBytes;

use super::{Kind, ProviderError};
use crate::seal::{Entropy, Kek, open, seal};

/// Seals what a provider of this kind keeps for the root with this id.
pub fn seal_record(
    kind: &dyn Kind,
    id: &str,
    kept: &SecretBytes,
    keks: &[Kek],
    entropy: Entropy<'_>,
) -> Result<ProviderRecord, ProviderError> {
    let sealed = seal(&purpose(kind, id), kept.expose(), keks, entropy)?;
    Ok(ProviderRecord { id: id.to_owned(), kind: kind.name().to_owned(), sealed, stamp: Stamp::default() })
}

/// Opens a record of this kind.
pub fn open_record(
    kind: &dyn Kind,
    record: &ProviderRecord,
    keks: &[Kek],
) -> Result<SecretBytes, ProviderError> {
    Ok(open(&purpose(kind, &record.id), &record.sealed, keks)?)
}

/// Includes the kind and the root in the purpose of the envelope, so that records cannot be exchanged.
fn purpose(kind: &dyn Kind, id: &str) -> String {
    format!("{} {id}", kind.purpose())
}
