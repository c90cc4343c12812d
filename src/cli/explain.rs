//! `tamis explain`: what a recipient gets of a route, field by field, and which rule line decided.

mod words;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::REJECTED;
use super::check::Format;
use crate::config;
use crate::policy::model::{Derivation, Form, Route};
use crate::policy::{Plan, Policy};
use crate::terms::{PurposeId, RecipientId};

/// The exit code of a question about names that the rules do not have.
const USAGE: u8 = 2;

/// Arguments of `tamis explain`.
#[derive(clap::Args)]
#[command(
    after_help = "Example: tamis explain --rules rules/letsmasak/rules.yaml --recipient ads-engine \
                  --purpose personalise.ads --route 'GET /v2/users/{user_id}'"
)]
pub(super) struct Explain {
    /// The rules file.
    #[arg(long, value_name = "FILE")]
    rules: PathBuf,
    /// The recipient.
    #[arg(long = "recipient", visible_alias = "to", value_name = "RECIPIENT")]
    to: String,
    /// The purpose; several are joined, as in a request.
    #[arg(
        long = "purpose",
        visible_alias = "for",
        value_name = "PURPOSE",
        value_delimiter = ',',
        required = true
    )]
    purposes: Vec<String>,
    /// The route as the rules name it, or a method and a path.
    #[arg(long, value_name = "ROUTE")]
    route: String,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

/// A question whose names are all known.
struct Question<'a> {
    policy: &'a Policy,
    route: &'a Route,
    plan: Plan,
}

impl Explain {
    pub(super) fn run(self) -> ExitCode {
        let file = self.rules.display().to_string();
        let sources = match config::rules(&self.rules) {
            Ok(sources) => sources,
            Err(error) => return complain(&format!("cannot read {file}: {error}"), REJECTED),
        };
        let policy = match Policy::of(&sources) {
            Ok(policy) => policy,
            Err(rejected) => return complain(&rejected.to_string(), REJECTED),
        };
        let question = match self.ask(&policy) {
            Ok(question) => question,
            Err(message) => return complain(&message, USAGE),
        };
        let mut out = io::stdout().lock();
        let written = match self.format {
            Format::Human => question.print(&mut out),
            Format::Json => writeln!(out, "{:#}", question.to_json()),
        };
        match written.and_then(|()| out.flush()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        }
    }

    fn ask<'a>(&self, policy: &'a Policy) -> Result<Question<'a>, String> {
        let recipient = RecipientId::from(self.to.as_str());
        if !policy.recipients.contains_key(&recipient) {
            let known: Vec<&str> = policy.recipients.keys().map(RecipientId::as_str).collect();
            return Err(format!("no recipient `{recipient}`; there are {}", known.join(", ")));
        }
        let mut purposes: Vec<PurposeId> =
            self.purposes.iter().map(|purpose| PurposeId::from(purpose.as_str())).collect();
        purposes.sort();
        purposes.dedup();
        if let Some(purpose) = purposes.iter().find(|one| !policy.purposes.contains_key(*one)) {
            let known: Vec<&str> = policy.purposes.keys().map(PurposeId::as_str).collect();
            return Err(format!("no purpose `{purpose}`; there are {}", known.join(", ")));
        }
        let index = self.route_in(policy).ok_or_else(|| {
            let known: Vec<&str> = policy.routes.iter().map(|route| route.id.as_str()).collect();
            format!("no route `{}`; there are:\n  {}", self.route, known.join("\n  "))
        })?;
        let plan = Plan::build(policy, index, &recipient, &purposes)
            .map_err(|too_large| too_large.to_string())?;
        Ok(Question { policy, route: &policy.routes[index], plan })
    }

    /// By its name, else by what a request of that method and path would match.
    fn route_in(&self, policy: &Policy) -> Option<usize> {
        let named = policy.routes.iter().position(|route| route.id.as_str() == self.route);
        named.or_else(|| {
            let (method, path) = self.route.split_once(' ')?;
            let segments: Vec<&str> =
                path.strip_prefix('/')?.split('/').filter(|segment| !segment.is_empty()).collect();
            policy.route(method, &segments).map(|matched| matched.index)
        })
    }
}

fn complain(message: &str, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "{message}");
    ExitCode::from(code)
}

/// One line of the table.
struct Row {
    selector: String,
    category: String,
    whose: String,
    action: String,
    needs: String,
    line: String,
    why: String,
}

impl Question<'_> {
    fn rows(&self) -> Vec<Row> {
        let rows = self.plan.cells.iter().map(|cell| {
            let role = cell.of.and_then(|of| self.route.subjects.get(usize::from(of.0)));
            Row {
                selector: cell.selector.clone(),
                category: cell.category.as_ref().map_or("-".to_owned(), ToString::to_string),
                whose: role.map_or("-".to_owned(), |subject| subject.role.to_string()),
                action: match &cell.derived {
                    Some(Derivation::CountEach) => "count anew".to_owned(),
                    Some(Derivation::Sealed { .. }) => "seal".to_owned(),
                    None => match cell.form {
                        Form::Value => cell.action.to_string(),
                        Form::Link | Form::Header(_) => format!("{} within the link", cell.action),
                        Form::Name => format!("{} as a member's name", cell.action),
                    },
                },
                needs: words::needs(&cell.needs).join(", "),
                line: cell.decided_by.to_string(),
                why: cell.because.clone(),
            }
        });
        rows.collect()
    }

    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let policy = self.policy;
        let purposes: Vec<&str> = self.plan.purposes.iter().map(PurposeId::as_str).collect();
        writeln!(out, "{} ({}), {}", policy.id, policy.revision, policy.digest)?;
        let (route, recipient) = (&self.route.id, &self.plan.recipient);
        writeln!(out, "{route} to {recipient} for {}\n", purposes.join(" and "))?;
        for line in words::in_short(policy, &self.plan) {
            writeln!(out, "{line}")?;
        }
        writeln!(out)?;
        let head = ["selector", "category", "whose", "action", "needs", "decided by", "why"];
        let mut table = vec![head.map(str::to_owned)];
        table.extend(self.rows().into_iter().map(|row| {
            let needs = if row.needs.is_empty() { "-".to_owned() } else { row.needs };
            [row.selector, row.category, row.whose, row.action, needs, row.line, row.why]
        }));
        // Nobody can tell what else is in a tunnel.
        if self.route.tunnel.is_none() {
            let anything = ["anything else", "-", "-", "remove", "-", "-", "not catalogued"];
            table.push(anything.map(str::to_owned));
        }
        let width = |column: usize| {
            table.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        for row in &table {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        for (title, lines) in self.sections() {
            if !lines.is_empty() {
                writeln!(out, "\n{title}")?;
                lines.iter().try_for_each(|line| writeln!(out, "  {line}"))?;
            }
        }
        Ok(())
    }

    fn sections(&self) -> [(&'static str, Vec<String>); 9] {
        [
            ("Refused before anything is fetched:", words::refusals(self.policy, &self.plan)),
            (
                "Needed of each person, or they are left out:",
                words::needs(&self.plan.needs).into_iter().map(str::to_owned).collect(),
            ),
            ("Aggregate:", words::aggregate(self.route)),
            ("Tunnel:", words::tunnel(self.route)),
            ("Query parameters:", words::query(self.route)),
            ("What a request may bring:", words::brings(self.route)),
            ("Gates for each person:", words::gates(self.policy, &self.plan)),
            ("Pseudonyms and scrubbed text:", words::pseudonyms(self.policy, &self.plan)),
            ("Told of erasures:", words::notice(self.policy, &self.plan.recipient)),
        ]
    }

    fn to_json(&self) -> Value {
        let rows: Vec<Value> = self
            .plan
            .cells
            .iter()
            .zip(self.rows())
            .map(|(cell, row)| {
                json!({
                    "selector": row.selector,
                    "category": cell.category.as_ref().map(ToString::to_string),
                    "whose": row.whose,
                    "action": row.action,
                    "needs": words::needs(&cell.needs),
                    "decided_by": row.line,
                    "because": row.why,
                })
            })
            .collect();
        let [refused, needs, aggregate, tunnel, query, brings, gates, pseudonyms, notices] =
            self.sections().map(|(_, it)| it);
        json!({
            "policy": self.policy.id.to_string(),
            "digest": self.policy.digest.to_string(),
            "route": self.route.id.to_string(),
            "recipient": self.plan.recipient.to_string(),
            "purposes": self.plan.purposes.iter().map(PurposeId::as_str).collect::<Vec<_>>(),
            "cells": rows,
            "refused": refused,
            "needs": needs,
            "aggregate": aggregate,
            "tunnel": tunnel,
            "query": query,
            "brings": brings,
            "gates": gates,
            "pseudonyms": pseudonyms,
            "told_of_erasures": notices,
        })
    }
}
