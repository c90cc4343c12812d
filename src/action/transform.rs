//! Applies an action to one JSON scalar.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::civil::Date;

use super::Action;
use super::pseudonym::{Canonical, DomainKey};

/// A JSON scalar as it stood in the document.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number's text as written.
    Number(&'a str),
    /// A string, unescaped.
    String(&'a str),
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The action's result was written.
    Written,
    /// The value is not of a kind that the action was made for; a placeholder was written.
    Blanked,
}

/// An action with what it needs: key, date of release, table of groups.
#[derive(Clone, Debug)]
pub struct Treatment {
    /// The action.
    pub action: Action,
    /// The key, for pseudonyms and tokens.
    pub key: Option<Arc<DomainKey>>,
    /// How values are brought to one form before the key is used.
    pub canonical: Canonical,
    /// Value → group.
    pub groups: Option<Arc<BTreeMap<String, String>>>,
    /// The date of release in UTC, for ages.
    pub today: Date,
}

impl Treatment {
    /// Writes what `value` becomes, as JSON text.
    pub fn apply(&self, value: Scalar<'_>, out: &mut Vec<u8>) -> Applied {
        let _ = (value, out);
        todo!("actions")
    }
}
