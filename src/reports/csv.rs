//! A report as CSV (RFC 4180) for spreadsheets: one block a part, each with its name in a line of its
//! own and an empty line behind it; what the report rests on comes first.
//!
//! Spreadsheets compute cells that begin as a formula does. Names in the ledger come from rules and,
//! in part, from requests, so that every such cell gets an apostrophe in front and stays a text.

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
                    let cells: Vec<String> = row.iter().map(flat).collect();
                    line(&mut out, cells.iter().map(String::as_str));
                }
            }
        }
    }
    out
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
    use super::{csv, line};
    use crate::reports::document::tests::sample;

    #[test]
    fn the_whole_report_is_in_it_block_by_block() {
        let text = csv(&sample());
        let blocks: Vec<&str> = text.split("\r\n\r\n").collect();
        assert!(
            blocks[0].starts_with("\"A report\"\r\n\"as_of\",\"1970-01-01T00:00:00Z\"\r\n"),
            "{text}"
        );
        assert!(blocks[0].contains("\r\n\"tree_size\",\"7\"\r\n"), "{text}");
        assert!(blocks[0].ends_with("\"remark\",\"Read this first.\""), "{text}");
        assert_eq!(
            blocks[1..],
            [
                "\"people\",\"4 to 6\"",
                "\"late\",\"yes\"",
                "\"who_got_what\"\r\n\"recipient\",\"categories\",\"last\"\r\n\
                 \"'=cmd()\",\"a.b: keep; token\",\"\"\r\n\
                 \"<script>\",\"\",\"\"\"quoted\"\", with commas\"",
                "\"nothing\"\r\n\"a\"\r\n",
            ]
        );
    }

    #[test]
    fn no_cell_is_a_formula_and_no_quote_ends_one() {
        let mut out = String::new();
        line(&mut out, ["=1+1", " @x", "a\"b", "-3", "plain", "a\r\nb"]);
        assert_eq!(out, "\"'=1+1\",\"' @x\",\"a\"\"b\",\"'-3\",\"plain\",\"a  b\"\r\n");
    }
}
