//! Reads Markdown tables.

/// The cells of the first Markdown table after `heading`, without its two header rows.
pub(crate) fn table_after<'a>(document: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    document
        .lines()
        .skip_while(|line| line.trim() != heading)
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(cells)
        .collect()
}

pub(crate) fn cells(row: &str) -> Vec<&str> {
    row.trim().trim_matches('|').split('|').map(str::trim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_ends_where_it_ends() {
        let document = "# T\n\n## Map\n\ntext\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nmore\n| 3 | 4 |\n";
        assert_eq!(table_after(document, "## Map"), vec![vec!["1", "2"]]);
        assert!(table_after(document, "## None").is_empty());
        let empty = "## Map\n\n## Next\n| a | b |\n|---|---|\n| 1 | 2 |\n";
        assert!(table_after(empty, "## Map").is_empty());
    }
}
