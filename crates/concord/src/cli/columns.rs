//! Output in columns. Each column is as wide as its widest cell; two spaces separate columns; the last one has no
//! padding.

use super::print;

/// Rows of cells, printed in aligned columns.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    rows: Vec<Vec<String>>,
}

impl Columns {
    /// A table with these column titles.
    pub(crate) fn new<const N: usize>(heads: [&str; N]) -> Self {
        Self { rows: vec![heads.iter().map(|head| (*head).to_owned()).collect()] }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [&str; N]) {
        self.rows.push(cells.iter().map(|cell| print::safe(cell)).collect());
    }

    /// The table as text; each line ends with a line break.
    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count()));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Columns::new(["ID", "Name"]);
        table.row(["1", "caf\u{e9}"]);
        table.row(["12345", ""]);
        assert_eq!(table.render(), "ID     Name\n1      caf\u{e9}\n12345\n");
        assert_eq!(Columns::default().render(), "");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let mut table = Columns::default();
        table.row(["a\u{1b}[2Jb\nc\u{202e}", "d"]);
        assert_eq!(table.render(), "a [2Jb c   d\n");
    }
}
