//! Rule `differences`: in docs/differences.md the last column of each row names tests that show our behaviour. A row
//! that is not about behaviour has `–` and a reason. (Rule `documents` checks that the tests exist.)

use super::documents::is_test_name;
use super::finding::Finding;
use super::tables::cells;

const RULE: &str = "differences";
pub(crate) const DOCUMENT: &str = "docs/differences.md";
/// The title of this column.
const SHOWN_BY: &str = "shown by";
const NONE: char = '–';

pub(crate) fn check(document: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let lines: Vec<&str> = document.lines().collect();
    let mut tables = 0;
    for table in lines.split(|line| !line.starts_with('|')).filter(|table| !table.is_empty()) {
        tables += 1;
        found.extend(check_table(table));
    }
    if tables == 0 {
        found.push(Finding::new(RULE, DOCUMENT, "has no table"));
    }
    found
}

fn check_table(table: &[&str]) -> Vec<Finding> {
    let head = cells(table[0]);
    if head.last() != Some(&SHOWN_BY) {
        let what = format!("the last column of the table {:?} is not {SHOWN_BY:?}", table[0]);
        return vec![Finding::new(RULE, DOCUMENT, what)];
    }
    table
        .iter()
        .skip(2)
        .filter_map(|line| {
            let row = cells(line);
            let topic = row.first().copied().unwrap_or_default();
            let told = |what: &str| Some(Finding::new(RULE, DOCUMENT, format!("{topic:?} {what}")));
            if row.len() != head.len() {
                return told("has another number of cells than the head of its table");
            }
            let shown = row.last().copied().unwrap_or_default();
            if let Some(reason) = shown.strip_prefix(NONE) {
                let says_why = reason.trim_start_matches([':', ' ']).split_whitespace().count() > 1;
                return if says_why { None } else { told("names no test and does not say why") };
            }
            let names_one = shown.split('`').skip(1).step_by(2).any(is_test_name);
            if names_one { None } else { told("names no test that shows it") }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_says(head: &str, rows: &str, expected: &[&str]) {
        let document = format!("# D\n\n## T\n\n{head}\n|---|---|\n{rows}\nafter\n");
        let found: Vec<String> = check(&document).into_iter().map(|finding| finding.what).collect();
        assert_eq!(found, expected);
    }

    const HEAD: &str = "| topic | shown by |";

    #[test]
    fn a_row_names_a_test_or_says_why_there_is_none() {
        check_says(HEAD, "| a | `ca::it::leaf::is_short` |", &[]);
        check_says(HEAD, "| a | `ca::csr::tests::is_read`, `ca::it::leaf::is_short` |", &[]);
        check_says(HEAD, "| a | –: says what there is not |", &[]);
        check_says(HEAD, "| a | – nothing is done |", &[]);
    }

    #[test]
    fn a_row_that_shows_nothing_is_red() {
        check_says(HEAD, "| a |  |", &["\"a\" names no test that shows it"]);
        check_says(HEAD, "| a | `-flag` and words |", &["\"a\" names no test that shows it"]);
        check_says(HEAD, "| a | –  |", &["\"a\" names no test and does not say why"]);
        check_says(HEAD, "| a | –: no |", &["\"a\" names no test and does not say why"]);
        check_says(HEAD, "| b |", &["\"b\" has another number of cells than the head of its table"]);
    }

    #[test]
    fn a_table_without_the_column_and_a_page_without_a_table_are_red() {
        let told = "the last column of the table \"| topic | kind |\" is not \"shown by\"";
        check_says("| topic | kind |", "| a | S |", &[told]);
        assert_eq!(check("# D\n\nwords\n").len(), 1);
    }
}
