//! Tables for people: columns as wide as their widest cell.

use crate::style::Style;

/// A cell and how it is painted.
pub(super) struct Cell {
    text: String,
    style: Option<Style>,
}

/// Where the text of a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// One cell for each column.
pub(super) type Row<const N: usize> = [Cell; N];

/// Without colour.
pub(super) fn plain(text: impl Into<String>) -> Cell {
    Cell {
        text: text.into(),
        style: None,
    }
}

/// In this style.
pub(super) fn painted(text: impl Into<String>, style: Style) -> Cell {
    Cell {
        text: text.into(),
        style: Some(style),
    }
}

/// Heads and rows, indented by two columns, a line each.
pub(super) fn grid<const N: usize>(
    heads: [&str; N],
    aligns: [Align; N],
    rows: Vec<Row<N>>,
) -> String {
    let all: Vec<Row<N>> = std::iter::once(heads.map(plain)).chain(rows).collect();
    let width = |column: usize| {
        let widths = all.iter().map(|row| row[column].text.chars().count());
        widths.max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut out = String::new();
    for row in &all {
        let mut line = String::from("  ");
        for (index, cell) in row.iter().enumerate() {
            let gap = if index == 0 { "" } else { "  " };
            let space = " ".repeat(widths[index] - cell.text.chars().count());
            let text = match cell.style {
                Some(style) => style.paint(&cell.text),
                None => cell.text.clone(),
            };
            match aligns[index] {
                Align::Left => line.extend([gap, &text, &space]),
                Align::Right => line.extend([gap, &space, &text]),
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = vec![
            [plain("a"), plain("12"), plain("x")],
            [plain("bcd"), plain("3"), plain("")],
        ];
        let aligns = [Align::Left, Align::Right, Align::Left];
        assert_eq!(
            grid(["NAME", "N", "WHAT"], aligns, rows),
            "  NAME   N  WHAT\n  a     12  x\n  bcd    3\n"
        );
    }
}
