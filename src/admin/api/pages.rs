//! Long lists a page at a time. Where a list goes on stands in a sealed cursor: the place after the last
//! row that was shown, so that what comes or goes meanwhile is neither shown twice nor passed over.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::AdminState;
use crate::admin::guard::Caller;
use crate::admin::problem::Problem;

/// Most rows of a page.
const ROWS: usize = 500;

/// Which part of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    limit: Option<usize>,
    cursor: Option<String>,
}

/// As it stands in a query.
pub(super) type AskedPage = Result<Query<Page>, QueryRejection>;

/// One list of one caller.
pub(super) struct Listing<'a> {
    state: &'a AdminState,
    caller: &'a Caller,
    list: &'static str,
    limit: usize,
}

impl<'a> Listing<'a> {
    /// The part that is asked for, and the place after which it begins: `N` texts, empty at the beginning.
    pub(super) fn of<const N: usize>(
        state: &'a AdminState,
        caller: &'a Caller,
        list: &'static str,
        page: AskedPage,
    ) -> Result<(Self, [String; N]), Problem> {
        let known = || Problem::Invalid(format!("limit, from 1 to {ROWS}, and cursor"));
        let Ok(Query(Page { limit, cursor })) = page else { return Err(known()) };
        let limit = limit.unwrap_or(ROWS);
        if !(1..=ROWS).contains(&limit) {
            return Err(known());
        }
        let place = match cursor {
            None => std::array::from_fn(|_| String::new()),
            Some(cursor) => {
                let cursors = state.access.load().cursors.clone();
                let place = cursors.and_then(|all| all.open(list, &caller.name, &cursor));
                let none = || Problem::Invalid("cursor: none of this list; begin anew".into());
                place.and_then(|place| place.try_into().ok()).ok_or_else(none)?
            }
        };
        Ok((Self { state, caller, list, limit }, place))
    }

    /// Rows to look for: one more than is shown tells whether there are more.
    pub(super) const fn sought(&self) -> usize {
        self.limit + 1
    }

    /// The answer: rows, and the cursor after them where there are more.
    pub(super) fn answer<T>(
        &self,
        found: &[T],
        show: impl Fn(&T) -> Value,
        place: impl Fn(&T) -> Vec<String>,
    ) -> Result<Value, Problem> {
        let shown = &found[..found.len().min(self.limit)];
        let mut answer = json!({});
        answer[self.list] = shown.iter().map(show).collect();
        if let Some(last) = shown.last().filter(|_| found.len() > shown.len()) {
            let (place, cursors) = (place(last), self.state.access.load().cursors.clone());
            let place: Vec<&str> = place.iter().map(String::as_str).collect();
            let next = cursors.and_then(|all| all.seal(self.list, &self.caller.name, &place));
            answer["next"] = next.ok_or(Problem::Unavailable)?.into();
        }
        Ok(answer)
    }
}
