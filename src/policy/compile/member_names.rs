//! `keys(…)`: identifiers used as names of members, under `fields` and `subjects` of a route.

use std::collections::BTreeSet;

use super::Compiler;
use crate::action::Action;
use crate::policy::model::{Field, Form, Policy, Route};
use crate::policy::path::{PathSegment, Step};
use crate::policy::plan::Plan;
use crate::policy::syntax::{Findings, Key, Node};
use crate::policy::{Place, Selector};

/// What `keys(…)` selects; `None` where it is no such selector.
pub(super) fn named(text: &str) -> Option<&str> {
    text.strip_prefix("keys(")?.strip_suffix(')').map(str::trim)
}

impl Compiler<'_> {
    /// Names of members that are values of a category.
    pub(super) fn names_field(&mut self, key: &Key, inner: &str, node: &Node, route: &mut Route) {
        let rows = route.each.clone();
        let at = (&key.place, key.quoted);
        let selector = self.names_of(&key.text, inner, at, rows.as_ref());
        let Some((category, of, subtree)) = self.category_of(node, route) else { return };
        if subtree {
            let message = "a name has nothing beneath; catalogue what stands under it by a selector \
                           of its own, such as `$.by_user.*.name`";
            self.findings.error("T102", &node.place, message);
        }
        let Some(selector) = selector else { return };
        self.whose_it_can_be(key, &selector, of, route);
        let (form, place) = (Form::Name, key.place.clone());
        route.fields.push(Field { selector, category, of, subtree: false, form, place });
    }

    /// The members of what is selected within `keys(…)`, which are called as the whole is written.
    pub(super) fn names_of(
        &mut self,
        text: &str,
        inner: &str,
        (place, quoted): (&Place, bool),
        each: Option<&Selector>,
    ) -> Option<Selector> {
        let mut found = self.selector(inner, place, quoted, each)?;
        if found.has_filter() {
            let message = format!("selector `{text}`: no filter decides whether a name is an id");
            self.findings.error("T103", place, message);
            return None;
        }
        found.segments.push(PathSegment { descendant: false, steps: vec![Step::Wildcard] });
        Some(Selector { text: text.to_owned(), ..found })
    }
}

/// T107 for names: what is masked or made coarser is no name that tells two members apart.
pub(super) fn lint(policy: &Policy, findings: &mut Findings) {
    let mut told = BTreeSet::new();
    for (index, route) in policy.routes.iter().enumerate() {
        if route.fields.iter().all(|field| field.form != Form::Name) {
            continue;
        }
        for (id, recipient) in &policy.recipients {
            for purpose in &recipient.purposes {
                let purposes = std::slice::from_ref(purpose);
                let Ok(plan) = Plan::build(policy, index, id, purposes) else { continue };
                let names = plan.cells.iter().filter(|cell| cell.form == Form::Name);
                for cell in names.filter(|cell| !may_be_a_name(&cell.action)) {
                    if !told.insert((cell.decided_by.clone(), cell.selector.clone())) {
                        continue;
                    }
                    let message = format!(
                        "`{}` leaves no name of a member: each member of `{}` would be removed",
                        cell.action, cell.selector
                    );
                    let help = "`keep`, `pseudonym`, `token` and `remove` are for names; give the \
                                names a category of their own where the two differ";
                    findings.error_with("T107", &cell.decided_by, message, Some(help.to_owned()));
                }
            }
        }
    }
}

fn may_be_a_name(action: &Action) -> bool {
    !action.releases()
        || matches!(action, Action::Keep | Action::OwnLines | Action::Token | Action::Pseudonym(_))
}
