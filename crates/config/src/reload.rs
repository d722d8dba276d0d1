//! Compares two configurations.
//!
//! No table says what a reload may change. The parts of the program report which settings they have applied; this is
//! compared with the old configuration and the new one.

use crate::knob::KNOBS;
use crate::section::Config;

/// The keys with different values, in the order of the table of knobs.
pub fn changed(old: &Config, new: &Config) -> Vec<&'static str> {
    KNOBS.iter().filter(|knob| (knob.value)(old) != (knob.value)(new)).map(|knob| knob.key).collect()
}
