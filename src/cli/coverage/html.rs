//! Coverage as one page of HTML that loads nothing and can be printed: for those who answer for a
//! policy, not for those who wrote its rules.

use std::fmt::Write as _;

use crate::cases::Coverage;
use crate::cases::coverage::{Row, State};
use crate::cases::promises::Kind;
use crate::reports::escaped;

/// All of its looks. Colours only repeat what a word says, so that a print in grey loses nothing.
const STYLE: &str = "
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1a1a1a; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.quiet { color: #555; font-size: .87rem; } code { font-size: .85rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid #ccc; }
section.promise { border-left: .35rem solid #888; padding: .2rem 0 .2rem .9rem; margin: 1.1rem 0; break-inside: avoid; }
section.proven { border-color: #2a7f3f; } section.open { border-color: #b3261e; }
section.promise h3 { font-size: 1rem; margin: 0; } blockquote { margin: .2rem 0; font-style: italic; } ul { margin: .2rem 0 .4rem; padding-left: 1.2rem; }
.state { font-weight: 600; } pre { white-space: pre-wrap; margin: 0; font-size: .8rem; }
@media print { body { margin: 0; max-width: none; font-size: 11px; } }
";

/// The page of several policies.
pub(super) fn page(all: &[Coverage]) -> String {
    let titles: Vec<String> = all.iter().map(|one| escaped(&one.title)).collect();
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <title>Promises kept: {}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
        titles.join(", ")
    );
    for coverage in all {
        policy(&mut html, coverage);
    }
    html.push_str("</body>\n</html>\n");
    html
}

fn policy(html: &mut String, coverage: &Coverage) {
    let _ = write!(
        html,
        "<h1>{}</h1>\n<p class=\"quiet\">Text of {}. Rules <code>{}</code>. Read by tamis {}.</p>\n\
         <p>{}.</p>\n",
        escaped(&coverage.title),
        escaped(&coverage.revision),
        escaped(&coverage.digest),
        env!("CARGO_PKG_VERSION"),
        escaped(&coverage.summary()),
    );
    html.push_str("<table>\n<tr><th>State</th><th>Promises</th><th>What it means</th></tr>\n");
    for state in State::ALL.into_iter().filter(|state| coverage.count(*state) > 0) {
        let (count, word, means) = (coverage.count(state), state.as_str(), state.meaning());
        let _ = writeln!(
            html,
            "<tr><td class=\"state\">{word}</td><td>{count}</td><td>{}</td></tr>",
            escaped(means)
        );
    }
    html.push_str("</table>\n");
    list(html, "Wrong with these accounts", coverage.complaints.iter().map(|one| escaped(one)));
    let contradictions = coverage.contradictions.iter().map(|one| {
        format!(
            "<strong>{}</strong>: {}.<br>Until it is settled: {}.",
            escaped(&one.between.join(", ")),
            escaped(&one.says),
            escaped(&one.meanwhile)
        )
    });
    list(html, "Contradictions of the text, for the controller to settle", contradictions);
    html.push_str("<h2>Promise by promise</h2>\n");
    for row in &coverage.rows {
        promise(html, row);
    }
}

fn list(html: &mut String, title: &str, items: impl Iterator<Item = String>) {
    let items: Vec<String> = items.map(|item| format!("<li>{item}</li>\n")).collect();
    if !items.is_empty() {
        let _ = write!(html, "<h2>{title}</h2>\n<ul>\n{}</ul>\n", items.concat());
    }
}

fn promise(html: &mut String, row: &Row) {
    let class = match row.state {
        State::Proven => "proven",
        State::Open => "open",
        State::NotEncoded | State::Named | State::Beyond => "other",
    };
    let reach = match row.kind {
        Kind::Full => "a gateway can keep it on all traffic that passes",
        Kind::Partial => "a gateway can keep a part of it",
        Kind::Beyond => "no gateway can keep it",
    };
    let _ = write!(
        html,
        "<section class=\"promise {class}\" id=\"{id}\">\n<h3>{id} · <span class=\"state\">{}</span></h3>\n\
         <blockquote>“{}” <span class=\"quiet\">(line {})</span></blockquote>\n\
         <p class=\"quiet\">{reach}</p>\n",
        row.state.as_str(),
        escaped(&row.quote),
        row.line,
        id = escaped(&row.id),
    );
    let rules = row.rules.iter().map(|rule| {
        format!("<code>{}</code> <pre>{}</pre>", escaped(&rule.place()), escaped(&rule.text))
    });
    part(html, "Kept by", rules);
    let cases = row.cases.iter().map(|case| {
        // `file:line: name`, the name first.
        let (place, name) = case.split_once(": ").unwrap_or(("", case));
        format!("{} <span class=\"quiet\">({})</span>", escaped(name), escaped(place))
    });
    part(html, "Shown by the examples", cases);
    let tests = row.tests.iter().map(|test| format!("<code>{}</code>", escaped(test)));
    part(html, "Shown by tests of the program", tests);
    part(html, "Not made a rule, because", row.not_encoded.iter().map(|why| escaped(why)));
    part(html, "Beyond a gateway", row.beyond.iter().map(|what| escaped(what)));
    html.push_str("</section>\n");
}

fn part(html: &mut String, title: &str, items: impl Iterator<Item = String>) {
    let items: Vec<String> = items.map(|item| format!("<li>{item}</li>\n")).collect();
    if !items.is_empty() {
        let _ = write!(html, "<div>{title}</div>\n<ul>\n{}</ul>\n", items.concat());
    }
}
