//! Query predicates: who may filter, sort or search on a field learns it. So a parameter must be
//! declared, and one that speaks of a category is only for recipients who get that category in clear.
//! Where a person's gates take it out, the gate takes that person's part away (`gate.rs`).

use crate::policy::Plan;
use crate::policy::model::{QueryParameter, Route};
use crate::terms::{CategoryId, RefusalReason};

/// Checks the names of a query's parameters. Returns the categories that they filter on.
pub(super) fn check(
    route: &Route,
    plan: &Plan,
    names: &[String],
) -> Result<Vec<CategoryId>, (RefusalReason, String)> {
    let mut queried = Vec::new();
    for name in names {
        match route.query.get(name) {
            // An undeclared name is the client's own text: it is not repeated anywhere.
            None => {
                return Err((
                    RefusalReason::QueryNotCatalogued,
                    "a query parameter is not declared".into(),
                ));
            }
            // What a sealed one says, the gateway has said before: it was opened by now.
            Some(QueryParameter::Open | QueryParameter::Sealed { .. }) => {}
            Some(QueryParameter::Category(category)) => {
                let mut cells = plan
                    .cells
                    .iter()
                    .filter(|cell| cell.category.as_ref() == Some(category))
                    .peekable();
                let in_clear =
                    cells.peek().is_some() && cells.all(|cell| cell.action.may_be_queried());
                if !in_clear {
                    let detail =
                        format!("the query filters on {category}, which is not released in clear");
                    return Err((RefusalReason::QueryOnWithheldField, detail));
                }
                queried.push(category.clone());
            }
        }
    }
    Ok(queried)
}
