//! The pages for newcomers: each of their commands is typed.

use concord_e2e::try_page;

#[test]
fn configuration() {
    try_page("configuration.md");
}
