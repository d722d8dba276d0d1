//! What configuration entries may say: all faults of one at once.
//!
//! One file a kind, and one row here that leads to it.

mod fault;
mod limits;
mod service_intentions;

use concord_model::entry::Entry;

use self::fault::Faults;
pub use self::fault::{EntryFault, Fault};
pub use self::limits::{
    CLAIM_DEPTH_MAX, CLAIMS_MAX, HEADERS_MAX, META_KEY_BYTES_MAX, META_PAIRS_MAX, META_VALUE_BYTES_MAX,
    PATTERN_BYTES_MAX, PERMISSIONS_MAX, PROVIDERS_MAX, SOURCES_MAX, TEXT_BYTES_MAX,
};
pub use self::service_intentions::validate_source;

macro_rules! kinds {
    ($($kind:ident => $file:ident;)*) => {
        /// Checks an entry by itself; tells all its faults, in the order of the entry.
        pub fn validate(entry: &Entry) -> Result<(), Vec<EntryFault>> {
            let mut faults = Faults::default();
            faults.name(&entry.name());
            match entry { $(Entry::$kind(entry) => $file::check(entry, &mut faults),)* }
            faults.none_or()
        }
    };
}

kinds! {
    ServiceIntentions => service_intentions;
}
