//! How much is planned, examined and told.

/// The most steps of one plan. Each is checked as a write is, and may lengthen the chains that the next one compiles:
/// a hundred redirects, one to the other, take less than a second.
pub const STEPS_MAX: usize = 100;
/// The most verdicts that are listed; all are counted.
pub const FLIPS_LISTED_MAX: usize = 1_000;
/// The most pairs and examples that are judged for one plan: about a second. Beyond this, counts are lower bounds.
pub const JUDGED_MAX: usize = 250_000;
/// The most examples for one pair of services.
pub const EXAMPLES_MAX: usize = 1_024;
/// The most chains that are compiled on each side of one plan. Beyond this, counts are lower bounds.
pub const CHAINS_EXAMINED_MAX: usize = 10_000;
/// The most changed chains that are listed; all are counted.
pub const CHAINS_LISTED_MAX: usize = 200;
/// The most lines of one chain that are listed.
pub const LINES_MAX: usize = 100;
