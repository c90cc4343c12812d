//! What may be asked by the parameters of a route.

use std::collections::{BTreeMap, BTreeSet};

use super::conditions::push;
use super::{Change, Way};
use crate::policy::model::QueryParameter;
use crate::terms::CategoryId;

/// What a parameter takes.
#[derive(Clone, PartialEq)]
pub(super) enum Takes {
    /// Anything: it says nothing about a person.
    Anything,
    /// Values and tokens of a category.
    Values(CategoryId),
    /// Cursors that the gateway sealed for this parameter.
    Cursors,
}

impl Takes {
    fn in_words(&self) -> String {
        match self {
            Self::Anything => "open".to_owned(),
            Self::Values(category) => category.to_string(),
            Self::Cursors => "sealed".to_owned(),
        }
    }
}

pub(super) fn in_path(
    path: &BTreeMap<String, CategoryId>,
    open: &BTreeSet<String>,
) -> BTreeMap<String, Takes> {
    let values =
        path.iter().map(|(name, category)| (name.clone(), Takes::Values(category.clone())));
    values.chain(open.iter().map(|name| (name.clone(), Takes::Anything))).collect()
}

pub(super) fn in_query(query: &BTreeMap<String, QueryParameter>) -> BTreeMap<String, Takes> {
    let takes = |parameter: &QueryParameter| match parameter {
        QueryParameter::Open => Takes::Anything,
        QueryParameter::Category(category) => Takes::Values(category.clone()),
        QueryParameter::Sealed { .. } => Takes::Cursors,
    };
    query.iter().map(|(name, parameter)| (name.clone(), takes(parameter))).collect()
}

/// One parameter more is one question more that can be asked, and in a path one link more that leaves.
pub(super) fn parameters(
    about: &str,
    of: &str,
    old: &BTreeMap<String, Takes>,
    new: &BTreeMap<String, Takes>,
    changes: &mut Vec<Change>,
) {
    for name in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        let (was, is) = (old.get(name), new.get(name));
        if was == is {
            continue;
        }
        let way = match (was, is) {
            (Some(_), None) => Way::Narrowed,
            (None, _) | (_, Some(Takes::Anything)) => Way::Widened,
            // In a path what is open opens no token.
            (Some(Takes::Anything), Some(_)) if of == "query" => Way::Narrowed,
            (Some(_), Some(_)) => Way::Changed,
        };
        let words = |takes: Option<&Takes>| takes.map_or("-".to_owned(), Takes::in_words);
        push(changes, way, about, &format!("{of} parameter {name}"), &words(was), &words(is));
    }
}
