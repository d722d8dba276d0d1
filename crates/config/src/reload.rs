//! What differs between two configurations.
//!
//! What a reload may change stands in no table: the parts of the program say what they put into force, and that is
//! compared with what was in force before and with what was read.

use crate::knob::KNOBS;
use crate::section::Config;

/// The keys whose values differ, in the order of the table of knobs.
pub fn changed(old: &Config, new: &Config) -> Vec<&'static str> {
    KNOBS.iter().filter(|knob| (knob.value)(old) != (knob.value)(new)).map(|knob| knob.key).collect()
}
