//! `tamis diff OLD NEW`: what a change of rules means, for whoever has to approve it.
//!
//! Not of texts but of what is released: recipient by recipient, purpose by purpose, route by route and
//! member by member. What shows more is widened, what shows less is narrowed. Conditions (consent,
//! objection, contract, transfers) are compared beside it, since a condition less widens too.

mod conditions;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::REJECTED;
use super::check::Format;
use crate::action::Action;
use crate::action::pseudonym::Scope;
use crate::config;
use crate::policy::model::Route;
use crate::policy::{Mode, Plan, Policy};
use crate::terms::{PurposeId, RecipientId, RouteId};

/// Something is widened: a second person should look.
const WIDENED: u8 = 3;

/// Arguments of `tamis diff`.
#[derive(clap::Args)]
#[command(after_help = "\
Example: tamis diff main/rules.yaml rules.yaml

Exit codes: 0 nothing is widened, 3 something is (so that a build asks for a second approval), 2 usage,
64 rules rejected.")]
pub(super) struct Diff {
    /// The rules in force.
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The rules to come.
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

/// Which way something changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// More leaves, or under fewer conditions.
    Widened,
    /// Neither includes the other; to be read as widened.
    Changed,
    /// Less leaves, or under more conditions.
    Narrowed,
}

impl Way {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Widened => "widened",
            Self::Changed => "changed",
            Self::Narrowed => "narrowed",
        }
    }
}

/// One change.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Change {
    pub(super) way: Way,
    /// What it is about: a recipient and a purpose, or a part of the rules.
    pub(super) about: String,
    /// The member or condition.
    pub(super) what: String,
    pub(super) before: String,
    pub(super) after: String,
}

impl Diff {
    pub(super) fn run(self) -> ExitCode {
        let policies = load(&self.old).and_then(|old| Ok((old, load(&self.new)?)));
        let (old, new) = match policies {
            Ok(policies) => policies,
            Err(complaint) => {
                let _ = writeln!(io::stderr(), "tamis diff: {complaint}");
                return ExitCode::from(REJECTED);
            }
        };
        let changes = match changes(&old, &new) {
            Ok(changes) => changes,
            Err(complaint) => {
                let _ = writeln!(io::stderr(), "tamis diff: {complaint}");
                return ExitCode::from(REJECTED);
            }
        };
        let mut out = io::stdout().lock();
        let written = match self.format {
            Format::Human => print(&mut out, &changes),
            Format::Json => writeln!(out, "{:#}", to_json(&changes)),
        };
        if written.and_then(|()| out.flush()).is_err() {
            return ExitCode::FAILURE;
        }
        if changes.iter().any(|change| change.way != Way::Narrowed) {
            ExitCode::from(WIDENED)
        } else {
            ExitCode::SUCCESS
        }
    }
}

fn load(file: &Path) -> Result<Policy, String> {
    let sources =
        config::rules(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    Policy::of(&sources).map_err(|rejected| rejected.to_string())
}

fn changes(old: &Policy, new: &Policy) -> Result<Vec<Change>, String> {
    let mut changes = conditions::changes(old, new);
    let before = released(old)?;
    let after = released(new)?;
    let places: BTreeSet<&Cell> = before.keys().chain(after.keys()).collect();
    for place in places {
        let nothing =
            Release { action: Action::Remove, scope: Scope::Response, needs: String::new() };
        let (was, is) =
            (before.get(place).unwrap_or(&nothing), after.get(place).unwrap_or(&nothing));
        if was == is {
            continue;
        }
        let way = match (is.action.at_least(&was.action), was.action.at_least(&is.action)) {
            // The same action within another scope, or under other needs.
            (true, true) if was.scope != is.scope => {
                match (is.scope.is_within(was.scope), was.scope.is_within(is.scope)) {
                    (true, _) if was.needs == is.needs => Way::Narrowed,
                    (_, true) if was.needs == is.needs => Way::Widened,
                    _ => Way::Changed,
                }
            }
            (true, true) if was.needs.is_empty() => Way::Narrowed,
            (true, true) if is.needs.is_empty() => Way::Widened,
            (true, true) => Way::Changed,
            (true, false) => Way::Narrowed,
            (false, true) => Way::Widened,
            (false, false) => Way::Changed,
        };
        changes.push(Change {
            way,
            about: format!("{} for {}", place.recipient, place.purpose),
            what: format!("{} {}", place.route, place.member),
            before: was.in_words(),
            after: is.in_words(),
        });
    }
    changes.sort();
    Ok(changes)
}

/// A member of a route as one recipient gets it for one purpose.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Cell {
    recipient: RecipientId,
    purpose: PurposeId,
    route: RouteId,
    member: String,
}

#[derive(PartialEq)]
struct Release {
    action: Action,
    /// Of pseudonyms; of all else the widest, since nothing of it is made in a domain.
    scope: Scope,
    needs: String,
}

impl Release {
    fn in_words(&self) -> String {
        let scoped = self.scope != Scope::Recipient && self.action != Action::Remove;
        let scope = if scoped { format!(" within {}", self.scope) } else { String::new() };
        let needs = match self.needs.as_str() {
            "" => String::new(),
            needs => format!(" (needs {needs})"),
        };
        format!("{}{scope}{needs}", self.action)
    }
}

/// Everything that leaves for anybody: what is refused as not enforced does not.
fn released(policy: &Policy) -> Result<BTreeMap<Cell, Release>, String> {
    let mut all = BTreeMap::new();
    for (id, recipient) in &policy.recipients {
        if recipient.refuses.is_some() {
            continue;
        }
        for purpose in &recipient.purposes {
            for (index, route) in policy.routes.iter().enumerate() {
                if route.refuses.is_some() || route.mode != Mode::Enforce || !is_for(route, purpose)
                {
                    continue;
                }
                let plan = Plan::build(policy, index, id, std::slice::from_ref(purpose))
                    .map_err(|too_large| too_large.to_string())?;
                // Without a personal member the request is refused as a whole.
                if plan.releases_personal_data() {
                    add(&mut all, &plan, purpose);
                }
            }
        }
    }
    Ok(all)
}

fn is_for(route: &Route, purpose: &PurposeId) -> bool {
    route.purposes.as_ref().is_none_or(|purposes| purposes.contains(purpose))
}

fn add(all: &mut BTreeMap<Cell, Release>, plan: &Plan, purpose: &PurposeId) {
    for cell in plan.cells.iter().filter(|cell| cell.action != Action::Remove) {
        let mut needs: Vec<String> =
            plan.needs.iter().chain(&cell.needs).map(|need| conditions::need(*need)).collect();
        if cell.category.is_none() {
            needs.clear();
        }
        needs.sort();
        needs.dedup();
        let place = Cell {
            recipient: plan.recipient.clone(),
            purpose: purpose.clone(),
            route: plan.route.clone(),
            member: cell.selector.clone(),
        };
        let scope = match cell.action {
            Action::Pseudonym(_) | Action::Fpe => cell.scope,
            _ => Scope::Recipient,
        };
        let release = Release { action: cell.action.clone(), scope, needs: needs.join(", ") };
        all.insert(place, release);
    }
}

fn print(out: &mut dyn Write, changes: &[Change]) -> io::Result<()> {
    for change in changes {
        let Change { way, about, what, before, after } = change;
        writeln!(out, "{:<8}  {about}: {what}: {before} -> {after}", way.as_str())?;
    }
    let count = |way: Way| changes.iter().filter(|change| change.way == way).count();
    writeln!(
        out,
        "{} widened, {} changed, {} narrowed",
        count(Way::Widened),
        count(Way::Changed),
        count(Way::Narrowed)
    )
}

fn to_json(changes: &[Change]) -> Value {
    let list: Vec<Value> = changes
        .iter()
        .map(|change| {
            json!({
                "way": change.way.as_str(),
                "about": change.about,
                "what": change.what,
                "before": change.before,
                "after": change.after,
            })
        })
        .collect();
    json!({
        "widens": changes.iter().any(|change| change.way != Way::Narrowed),
        "changes": list,
    })
}
