//! A report as CSV (RFC 4180) for spreadsheets: one block a part, each with its name in a line of its
//! own and an empty line behind it; what the report rests on comes first.
//!
//! Spreadsheets compute cells that begin as a formula does. Names in the ledger come from rules and,
//! in part, from requests, so that every such cell gets an apostrophe in front and stays a text.

use serde_json::Value;

use super::document::flat;
use super::{Document, Member};

/// What formulas begin with, and what some programs skip before they look.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '\t', '\r', '\n', '|'];

/// The report as CSV.
#[must_use]
pub fn csv(document: &Document) -> String {
    let mut out = String::new();
    line(&mut out, [document.title.as_str()]);
    for (key, value) in document.basis.rows() {
        line(&mut out, [key, flat(&value).as_str()]);
    }
    for remark in &document.remarks {
        line(&mut out, ["remark", remark.as_str()]);
    }
    for member in &document.members {
        out.push_str("\r\n");
        match member {
            Member::Said(key, value) => line(&mut out, [key, flat(value).as_str()]),
            Member::Rows(key, table) => {
                line(&mut out, [*key]);
                line(&mut out, table.columns.iter().copied());
                for row in &table.rows {
                    let cells: Vec<String> = row.iter().map(cell).collect();
                    line(&mut out, cells.iter().map(String::as_str));
                }
            }
        }
    }
    out
}

fn cell(value: &Value) -> String {
    flat(value)
}

fn line<'a>(out: &mut String, cells: impl IntoIterator<Item = &'a str>) {
    for (at, cell) in cells.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push('"');
        if cell.trim_start_matches(' ').starts_with(FORMULA) {
            out.push('\'');
        }
        // A line feed inside a cell would be legal, and is read wrongly by enough programs.
        out.push_str(&cell.replace('"', "\"\"").replace(['\r', '\n'], " "));
        out.push('"');
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn no_cell_is_a_formula_and_no_quote_ends_one() {
        let mut out = String::new();
        line(&mut out, ["=1+1", " @x", "a\"b", "-3", "plain", "a\r\nb"]);
        assert_eq!(out, "\"'=1+1\",\"' @x\",\"a\"\"b\",\"'-3\",\"plain\",\"a  b\"\r\n");
    }
}
