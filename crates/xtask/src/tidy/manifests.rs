//! Rule `manifest`: each crate takes its versions, lints and edition from the workspace, so that all builds with `-p`
//! share artefacts and no crate has different rules.

use std::collections::BTreeMap;

use super::finding::Finding;

const RULE: &str = "manifest";

pub(crate) fn check(manifests: &BTreeMap<String, String>) -> Vec<Finding> {
    manifests.iter().flat_map(|(name, text)| one(name, text)).collect()
}

fn one(name: &str, text: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut section = "";
    let mut inherits_lints = false;
    for line in text.lines().map(str::trim) {
        if let Some(heading) = line.strip_prefix('[') {
            section = heading.trim_end_matches(']').trim_matches('[');
            if is_table_of_one_dependency(section) {
                found.push(Finding::new(
                    RULE,
                    name,
                    format!("`[{section}]`: write it on one line, `x.workspace = true`"),
                ));
            }
        } else if section == "lints" && line.replace(' ', "") == "workspace=true" {
            inherits_lints = true;
        } else if is_dependencies(section) && line.contains('=') && !line.starts_with('#') && !inherits(line)
        {
            found.push(Finding::new(RULE, name, format!("`{line}`: say `x.workspace = true`")));
        }
    }
    if !inherits_lints {
        found.push(Finding::new(RULE, name, "no `[lints] workspace = true`"));
    }
    for key in ["version", "edition", "rust-version", "license", "publish"] {
        if !text.lines().any(|line| line.replace(' ', "") == format!("{key}.workspace=true")) {
            found.push(Finding::new(RULE, name, format!("no `{key}.workspace = true`")));
        }
    }
    found
}

/// A crate may depend on itself, to enable its `testing` feature in its tests.
fn inherits(line: &str) -> bool {
    let line = line.replace(' ', "");
    line.contains(".workspace=true") || line.contains("{workspace=true") || line.contains("path=\".\"")
}

fn is_dependencies(section: &str) -> bool {
    section.ends_with("dependencies")
}

fn is_table_of_one_dependency(section: &str) -> bool {
    section.contains("dependencies.")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "[package]\nname = \"x\"\nversion.workspace = true\nedition.workspace = true\n\
        rust-version.workspace = true\nlicense.workspace = true\npublish.workspace = true\n";

    #[track_caller]
    fn check_says(rest: &str, expected: &[&str]) {
        let manifests = BTreeMap::from([("x".to_owned(), format!("{HEAD}{rest}"))]);
        let found: Vec<String> = check(&manifests).into_iter().map(|finding| finding.what).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn inheriting_everything_is_green() {
        check_says(
            "[dependencies]\n# why\na.workspace = true\nb = { workspace = true, optional = true }\n\
             [dev-dependencies]\nx = { path = \".\", features = [\"testing\"] }\n[lints]\nworkspace = true\n",
            &[],
        );
    }

    #[test]
    fn a_version_of_its_own_is_red() {
        check_says(
            "[dev-dependencies]\na = \"1\"\n[lints]\nworkspace = true\n",
            &["`a = \"1\"`: say `x.workspace = true`"],
        );
        check_says(
            "[dependencies.a]\n[lints]\nworkspace = true\n",
            &["`[dependencies.a]`: write it on one line, `x.workspace = true`"],
        );
    }

    #[test]
    fn lints_of_its_own_are_red() {
        check_says("[dependencies]\n", &["no `[lints] workspace = true`"]);
    }
}
