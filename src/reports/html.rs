//! A report as one page of HTML that loads nothing, runs nothing and can be printed.

use std::fmt::Write as _;

use serde_json::Value;

use super::document::{flat, words};
use super::{Document, Member, Table};

/// All of its looks. Colours only repeat what a word says, so that a print in grey loses nothing.
const STYLE: &str = "
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1a1a1a; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem; border-bottom: 1px solid #ccc; overflow-wrap: anywhere; }
.basis { font-size: .87rem; } .basis th { width: 14rem; } .broken { border: .2rem solid #b3261e; padding: .6rem; font-weight: 600; }
@media print { body { margin: 0; max-width: none; font-size: 11px; } tr { break-inside: avoid; } }
";

/// Escapes what means something in XML and HTML. Control characters have no form there and become `?`.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(character),
            control if control.is_control() => out.push('?'),
            plain => out.push(plain),
        }
    }
    out
}

/// The report as a page. The policy in its head forbids whatever a page could load or run.
#[must_use]
pub fn html(document: &Document) -> String {
    let title = escaped(&document.title);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    );
    if document.basis.broken().is_some() {
        let said = escaped(&document.basis.state());
        let _ = writeln!(page, "<p class=\"broken\">Not to be relied on: {said}</p>");
    }
    page.push_str("<table class=\"basis\">\n");
    for (key, value) in document.basis.rows() {
        pair(&mut page, key, &value);
    }
    page.push_str("</table>\n");
    if !document.remarks.is_empty() {
        let items = document.remarks.iter().map(|one| format!("<li>{}</li>\n", escaped(one)));
        let _ = write!(page, "<ul>\n{}</ul>\n", items.collect::<String>());
    }
    let mut in_pairs = false;
    for member in &document.members {
        match member {
            Member::Said(key, value) => {
                if !in_pairs {
                    page.push_str("<table>\n");
                }
                in_pairs = true;
                pair(&mut page, key, value);
            }
            Member::Rows(key, table) => {
                if in_pairs {
                    page.push_str("</table>\n");
                }
                in_pairs = false;
                rows(&mut page, key, table);
            }
        }
    }
    if in_pairs {
        page.push_str("</table>\n");
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn pair(page: &mut String, key: &str, value: &Value) {
    let (key, value) = (escaped(&words(key)), escaped(&flat(value)));
    let _ = writeln!(page, "<tr><th scope=\"row\">{key}</th><td>{value}</td></tr>");
}

fn rows(page: &mut String, key: &str, table: &Table) {
    let _ = writeln!(page, "<h2>{}</h2>", escaped(&words(key)));
    if table.rows.is_empty() {
        page.push_str("<p>None.</p>\n");
        return;
    }
    page.push_str("<table>\n<tr>");
    for column in &table.columns {
        let _ = write!(page, "<th scope=\"col\">{}</th>", escaped(&words(column)));
    }
    page.push_str("</tr>\n");
    for row in &table.rows {
        page.push_str("<tr>");
        for cell in row {
            let _ = write!(page, "<td>{}</td>", escaped(&flat(cell)));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::VerifyError;
    use crate::reports::Chain;
    use crate::reports::document::tests::sample;

    #[test]
    fn a_page_holds_everything_escaped_and_runs_nothing() {
        let page = html(&sample());
        for part in [
            "<h1>A report</h1>",
            "<tr><th scope=\"row\">Policy</th><td>A &lt;policy&gt;</td></tr>",
            "<tr><th scope=\"row\">Controller</th><td>Beispiel &amp; Söhne</td></tr>",
            "<li>Read this first.</li>",
            "<tr><th scope=\"row\">People</th><td>4 to 6</td></tr>",
            "<tr><td>=cmd()</td><td>a.b: keep; token</td><td></td></tr>",
            "<tr><td>&lt;script&gt;</td><td></td><td>&quot;quoted&quot;, with commas</td></tr>",
            "<h2>Nothing</h2>\n<p>None.</p>",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!page.contains("<script") && !page.contains("class=\"broken\""));
        assert_eq!(page.matches("<table").count(), page.matches("</table>").count());
    }

    #[test]
    fn a_broken_chain_stands_above_everything() {
        let mut document = sample();
        document.basis.chains[0].state =
            Chain::Broken(VerifyError::Gap { sequence: 3, segment: 1, found: 5 });
        let page = html(&document);
        let said = page.find("Not to be relied on: broken: record 3").expect("it is said");
        assert!(said < page.find("<table").expect("there is one"));
    }
}
