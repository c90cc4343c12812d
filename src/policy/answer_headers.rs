//! Cells of the headers of an answer in which links stand: decided like fields, at no place in a body.
//!
//! A header leaves before the body, and once for all of it. So what depends on an element of a list, on
//! a date beside the value or on what leaves beside it takes the value out.

use super::Selector;
use super::cell::{self, Asked};
use super::model::{AnswerHeader, Field, Form, Need, Route};
use super::plan::{self, Cell};
use crate::action::Action;
use crate::terms::CategoryId;

/// One for each category that a header may hold, in the order of the route.
pub(super) fn cells(asked: &Asked<'_>, route: &Route, needs: &[Need]) -> Vec<Cell> {
    route.answer_headers.iter().map(|header| of_header(asked, route, needs, header)).collect()
}

fn of_header(asked: &Asked<'_>, route: &Route, needs: &[Need], header: &AnswerHeader) -> Cell {
    let text = format!("header {}", header.header.as_str());
    // It selects nothing; it is how `explain` and `diff` call the cell.
    let selector = Selector { segments: Vec::new(), text };
    let form = Form::Header(header.header);
    let Some(category) = &header.category else {
        return Cell { form, ..plan::beside(&selector, &header.place, "open", None) };
    };
    let (category, of, place) = (category.clone(), header.of, header.place.clone());
    let field = Field { selector, category, of, subtree: false, form, place };
    let mut cell = cell::decide(asked, &field);
    cell.needs.retain(|need| !needs.contains(need));
    if cell.action != Action::Remove
        && let Some(because) = withheld(asked, route, &field.category, &cell.action)
    {
        cell.action = Action::Remove;
        cell.because = because;
    }
    cell
}

/// Why a value that is granted stands in no header all the same.
fn withheld(
    asked: &Asked<'_>,
    route: &Route,
    category: &CategoryId,
    action: &Action,
) -> Option<String> {
    let policy = asked.policy;
    if route.each.is_some() && *action == Action::OwnLines {
        return Some("own lines, and a header stands in no line".to_owned());
    }
    let recipient = policy.recipients.get(asked.recipient);
    if route.each.is_some() && recipient.is_none_or(|recipient| !recipient.only_where.is_empty()) {
        return Some("only_where, and a header stands in no element".to_owned());
    }
    if let Some(period) =
        policy.retention.iter().find(|period| period.binds(category, asked.purposes))
    {
        return Some(format!("a period of {}, and a header has no date", period.written));
    }
    let bound = policy.company.iter().any(|company| {
        !company.except_to.contains(asked.recipient)
            && company.categories.iter().any(|pattern| pattern.covers(category))
    });
    bound.then(|| "together or alone, and a header leaves before its company".to_owned())
}
