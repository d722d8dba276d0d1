//! What the wiring has to keep.

/// What takes the sections of the configuration apart.
const WIRING: [&str; 5] = [
    include_str!("agent.rs"),
    include_str!("node.rs"),
    include_str!("reload.rs"),
    include_str!("sealing.rs"),
    include_str!("telemetry.rs"),
];

/// A field that is put aside where its section is taken apart (`field: _`) is read elsewhere.
#[test]
fn every_setting_is_taken_by_somebody() {
    let sections = include_str!("../../../config/src/section.rs");
    let fields = sections.lines().filter_map(|line| line.strip_prefix("    pub ")?.split_once(": "));
    let fields: Vec<_> = fields.map(|(name, _)| name).filter(|name| !name.contains('(')).collect();
    assert!(fields.len() > 50, "{fields:?}");
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let takes = |source: &str, field: &str| {
        source.match_indices(field).any(|(at, _)| {
            let (before, after) = (&source[..at], &source[at + field.len()..]);
            // As a field of something, or bound under its own or another name.
            let whole = !before.ends_with(is_name) && !after.starts_with(is_name);
            let bound =
                before.ends_with([' ', '{']) && (after.starts_with([',', ' ']) || after.starts_with(": "));
            whole && (before.ends_with('.') || bound) && !after.starts_with(": _")
        })
    };
    let untaken: Vec<_> =
        fields.into_iter().filter(|field| !WIRING.iter().any(|source| takes(source, field))).collect();
    assert!(untaken.is_empty(), "nobody reads {untaken:?}");
}
