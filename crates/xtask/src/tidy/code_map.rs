//! Rule `map`: the code map of ARCHITECTURE.md lists exactly the existing crates, and their rows allow all uses.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::Finding;
use super::tables::table_after;
use crate::workspace::{PREFIX, Workspace, member_name};

const RULE: &str = "map";
const HEADING: &str = "## Code map";
const PLACE: &str = super::tree::ARCHITECTURE;

/// The layers of crates, from bottom to top.
pub(crate) const LAYERS: [&str; 7] = ["words", "meaning", "wires", "services", "faces", "program", "dev"];

enum MayUse<'a> {
    Everything,
    Only(BTreeSet<&'a str>),
}

pub(crate) fn check(workspace: &Workspace, architecture: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut rows = BTreeMap::new();
    let mut layer = "";
    for row in table_after(architecture, HEADING) {
        let [layer_cell, name, _, may_use] = row.as_slice() else {
            found.push(Finding::new(RULE, PLACE, format!("a row without four cells: {}", row.join(" | "))));
            continue;
        };
        if !layer_cell.is_empty() {
            layer = layer_cell;
        }
        if !LAYERS.contains(&layer) {
            found.push(Finding::new(RULE, PLACE, format!("`{layer}` is not a layer")));
        }
        rows.insert(name.trim_matches('`'), parse(may_use));
    }
    if rows.is_empty() {
        return vec![Finding::new(RULE, PLACE, format!("no table after `{HEADING}`"))];
    }
    found.extend(both_ways(workspace, &rows));
    found.extend(workspace.members.iter().flat_map(|member| {
        let allowed = rows.get(member.name.as_str());
        ours(&member.direct)
            .filter(move |used| match allowed {
                Some(MayUse::Only(allowed)) => !allowed.contains(used),
                Some(MayUse::Everything) | None => false,
            })
            .map(|used| {
                Finding::new(RULE, &member.name, format!("uses `{used}`, which its row does not allow"))
            })
    }));
    found
}

fn both_ways(workspace: &Workspace, rows: &BTreeMap<&str, MayUse<'_>>) -> Vec<Finding> {
    let mut found = Vec::new();
    for member in &workspace.members {
        if !rows.contains_key(member.name.as_str()) {
            found.push(Finding::new(RULE, PLACE, format!("no row for the crate `{}`", member.name)));
        }
    }
    for (name, may_use) in rows {
        if workspace.member(name).is_none() {
            found.push(Finding::new(RULE, PLACE, format!("a row for `{name}`, which is not a crate")));
        }
        if let MayUse::Only(used) = may_use {
            for used in used.iter().filter(|used| workspace.member(used).is_none()) {
                found.push(Finding::new(
                    RULE,
                    PLACE,
                    format!("`{name}` may use `{used}`, which is not a crate"),
                ));
            }
        }
    }
    found
}

fn parse(may_use: &str) -> MayUse<'_> {
    match may_use {
        "everything" => MayUse::Everything,
        list => MayUse::Only(
            list.split(',')
                .map(|name| name.trim().trim_matches('`'))
                .filter(|name| !matches!(*name, "" | "–"))
                .collect(),
        ),
    }
}

fn ours(packages: &BTreeSet<String>) -> impl Iterator<Item = &str> {
    packages.iter().filter(|package| package.starts_with(PREFIX)).map(|package| member_name(package))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Member;

    fn workspace(crates: &[(&str, &[&str])]) -> Workspace {
        let members = crates
            .iter()
            .map(|(name, direct)| Member {
                name: (*name).to_owned(),
                direct: direct.iter().map(|used| (*used).to_owned()).collect(),
                ..Member::default()
            })
            .collect();
        Workspace { members, ..Workspace::default() }
    }

    const DOCUMENT: &str = "## Code map\n\n| layer | crate | job | may use |\n|---|---|---|---|\n\
        | words | `model` | names | – |\n| meaning | `mesh` | rules | `model` |\n| | `state` | tables | model, mesh |\n";

    #[track_caller]
    fn check_says(crates: &[(&str, &[&str])], document: &str, expected: &[&str]) {
        let found: Vec<String> = check(&workspace(crates), document).into_iter().map(|f| f.what).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_true_map_is_green() {
        let crates: &[(&str, &[&str])] = &[
            ("model", &["serde"]),
            ("mesh", &["concord-model"]),
            ("state", &["concord-mesh", "concord-model", "imbl"]),
        ];
        check_says(crates, DOCUMENT, &[]);
    }

    #[test]
    fn an_arrow_that_is_not_in_the_row_is_red() {
        let crates: &[(&str, &[&str])] = &[("model", &["concord-mesh"]), ("mesh", &[]), ("state", &[])];
        check_says(crates, DOCUMENT, &["uses `mesh`, which its row does not allow"]);
    }

    #[test]
    fn a_crate_without_a_row_and_a_row_without_a_crate_are_red() {
        let crates: &[(&str, &[&str])] = &[("model", &[]), ("mesh", &[]), ("acl", &[])];
        check_says(
            crates,
            DOCUMENT,
            &["no row for the crate `acl`", "a row for `state`, which is not a crate"],
        );
    }

    #[test]
    fn a_missing_table_and_an_unknown_layer_are_red() {
        check_says(&[("model", &[])], "# Nothing", &["no table after `## Code map`"]);
        let odd = "## Code map\n| l | c | j | m |\n|---|---|---|---|\n| cellar | model | x | – |\n";
        check_says(&[("model", &[])], odd, &["`cellar` is not a layer"]);
    }
}
